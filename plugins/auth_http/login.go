package main

import (
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// login is a client that waits.
type login struct {
	h     *HTTP
	token sdk.Token
	about facts
	will  string
	got   sdk.Login
}

// patience is how long a client waits at most for n requests, each with what its
// first tries may have taken before they failed.
func (c *config) patience(n int) time.Duration {
	return min(c.timeout*time.Duration(n*(2+c.retries))/2+time.Second, time.Minute)
}

// OnAuthenticate asks who the client is.
func (h *HTTP) OnAuthenticate(e *sdk.AuthEvent) sdk.Verdict {
	if h.cfg.auth == nil || e.Method() != "" {
		return sdk.Verdict{}
	}
	password, _ := e.Password()
	v, token := sdk.Later(h.cfg.patience(3))
	l := &login{h: h, token: token, will: e.WillTopic(), about: facts{
		clientID: e.ClientID(), username: e.Username(), password: string(password),
		address: host(e.PeerBytes()), port: port(e.LocalBytes()), commonName: e.CommonName(), subject: e.DN(),
	}}
	if !h.send(h.cfg.auth, l.about, e.Time(), l.authenticated) {
		return unavailable
	}
	return v
}

// unavailable refuses a login because nobody could be asked.
var unavailable = sdk.Verdict{Action: sdk.Deny, Reason: serverUnavailable, Text: "authentication is not available"}

// authenticated goes on when the server has said who the client is.
func (l *login) authenticated(a answer, now time.Time) {
	switch {
	case a.ignores():
		l.decide(sdk.Verdict{})
	case a.status != 200:
		l.decide(refused(a.status))
	case mounts(a.body):
		sdk.Log(sdk.Error, l.h.cfg.auth.name+": the server wants another mount point for a client, which only a zone can give: it was refused")
		l.decide(unavailable)
	default:
		l.got.Principal = l.about.username
		if l.got.Principal == "" {
			l.got.Principal = l.about.clientID
		}
		l.about.password = ""
		if l.h.cfg.super != nil {
			if l.h.send(l.h.cfg.super, l.about, now, l.promoted) {
				return
			}
		}
		l.askWill(now)
	}
}

// promoted goes on when the server has said whether the client is a superuser. One
// that does not answer makes nobody one.
func (l *login) promoted(a answer, now time.Time) {
	if l.got.Superuser = a.allows(); l.got.Superuser {
		l.decide(sdk.Verdict{Action: sdk.Allow, Login: &l.got})
		return
	}
	l.askWill(now)
}

// askWill asks about the topic of the will now: when it is published there is
// nobody left who could wait for an answer.
func (l *login) askWill(now time.Time) {
	if l.h.cfg.acl != nil && l.will != "" {
		about := l.about
		about.access, about.topic = accessPublish, l.will
		if l.h.send(l.h.cfg.acl, about, now, l.willed) {
			return
		}
	}
	l.decide(sdk.Verdict{Action: sdk.Allow, Login: &l.got})
}

func (l *login) willed(a answer, _ time.Time) {
	if !a.ignores() && a.status != 0 {
		l.got.Permissions = []contract.Permission{allowed(l.will, a.allows())}
	}
	l.decide(sdk.Verdict{Action: sdk.Allow, Login: &l.got})
}

// decide lets the client go on. ErrNotFound: it has gone.
func (l *login) decide(v sdk.Verdict) { _ = l.token.Resume(v) }

// refused is the verdict for a status that is not 200 (emqx4 §4.3).
func refused(status int) sdk.Verdict {
	reason, known := map[int]byte{400: badCredentials, 401: badCredentials, 403: notAuthorized, 429: banned, 504: serverBusy}[status]
	if !known {
		return unavailable
	}
	return sdk.Verdict{Action: sdk.Deny, Reason: reason}
}
