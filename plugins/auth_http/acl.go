package main

import (
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// What a client wants to do, as %A says it.
const (
	accessSubscribe = '1'
	accessPublish   = '2'
)

// OnACL asks whether a client may publish or subscribe. The same question of one
// connection is asked once at a time, whatever a client sends meanwhile.
func (h *HTTP) OnACL(e *sdk.ACLEvent) sdk.Verdict {
	if h.cfg.acl == nil {
		return sdk.Verdict{Permissions: []contract.Permission{}} // never asked again by this connection
	}
	q := question{conn: e.Conn(), access: accessSubscribe, topic: e.Topic()}
	if e.Publish() {
		q.access = accessPublish
	}
	v, token := sdk.Later(h.cfg.patience(1))
	if w := h.asked[q]; w != nil {
		w.tokens = append(w.tokens, token)
		return v
	}
	w := &waiters{tokens: []sdk.Token{token}}
	about := facts{
		clientID: e.ClientID(), username: e.Username(), address: host(e.PeerBytes()), port: port(e.LocalBytes()),
		commonName: e.CommonName(), subject: e.DN(), access: q.access, topic: q.topic,
	}
	if !h.send(h.cfg.acl, about, e.Time(), func(a answer, _ time.Time) { h.answered(q, w, a) }) {
		return h.access(answer{})
	}
	h.asked[q] = w
	return v
}

// answered lets those go on who have asked a question. ErrNotFound of Resume: the
// client has gone.
func (h *HTTP) answered(q question, w *waiters, a answer) {
	delete(h.asked, q)
	for _, token := range w.tokens {
		_ = token.Resume(h.access(a))
	}
}

// access is the verdict for an answer. What was said for certain is remembered.
func (h *HTTP) access(a answer) sdk.Verdict {
	v := sdk.Verdict{Action: sdk.Deny, Reason: notAuthorized}
	switch {
	case a.ignores():
		return sdk.Verdict{}
	case a.allows():
		v = sdk.Verdict{Action: sdk.Allow}
	case a.status == 0:
		v.Reason, v.Text = unspecified, "the rules of access are not available"
	}
	if a.final() {
		v.CacheTTL = h.cfg.cacheTTL
	}
	return v
}
