// Package main is the auth_http plugin: it asks an HTTP server who a client is and
// what it may publish and subscribe, with the requests of EMQ X 4's emqx_auth_http
// (emqx4 §4.2, §4.3). A client waits for its answer, nobody else does; a server
// that does not answer means "no".
package main

import (
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// HTTP asks by its configuration.
type HTTP struct {
	cfg *config // immutable

	lastID uint64
	calls  map[uint64]*call      // under way, by the id of the request
	asked  map[question]*waiters // questions of acl under way
}

// question is what is asked about access. Questions that are the same wait for
// one answer.
type question struct {
	conn   uint64
	access byte
	topic  string
}

// waiters are the events that wait for one answer.
type waiters struct{ tokens []sdk.Token }

// call is one request that is under way.
type call struct {
	to     *request
	about  facts
	tries  int // that are left
	sent   time.Time
	finish func(a answer, now time.Time)
}

// answer is what a server has said.
type answer struct {
	status int // 0: nothing
	body   []byte
}

var _ = sdk.Register(&HTTP{cfg: &config{}})

func main() { sdk.Main() }

// Configure reads the requests. A fault refuses the load.
func (h *HTTP) Configure(text []byte) error {
	c, err := parse(text)
	if err == nil {
		*h = HTTP{cfg: c, calls: map[uint64]*call{}, asked: map[question]*waiters{}}
	}
	return err
}

// reasons of refusal (5.0 §2.4).
const (
	unspecified       = 0x80
	badCredentials    = 0x86
	notAuthorized     = 0x87
	serverUnavailable = 0x88
	serverBusy        = 0x89
	banned            = 0x8A
)

// send makes a request; finish gets the answer. false: it cannot be made now.
func (h *HTTP) send(to *request, about facts, now time.Time, finish func(a answer, now time.Time)) (ok bool) {
	return h.try(&call{to: to, about: about, tries: h.cfg.retries, finish: finish}, now)
}

// try makes a request, also again.
func (h *HTTP) try(c *call, now time.Time) (ok bool) {
	h.lastID++
	r := c.to.fill(&c.about)
	r.Timeout, r.NoRedirect = h.cfg.timeout, true
	if err := sdk.Fetch(h.lastID, r); err != nil {
		why := err.Error()
		if err == sdk.ErrDenied {
			why = "it is not granted: [plugin] grant has to name http:SCHEME://HOST:PORT of it"
		}
		sdk.Log(sdk.Error, c.to.name+": "+c.to.url+": "+why)
		return false
	}
	c.sent = now
	h.calls[h.lastID] = c
	return true
}

// OnHTTPResponse carries an answer to who waits for it.
func (h *HTTP) OnHTTPResponse(e *sdk.HTTPResponseEvent) {
	c := h.calls[e.ID()]
	if c == nil {
		return
	}
	delete(h.calls, e.ID())
	a := answer{status: e.Status(), body: e.BodyBytes()}
	if a.status == 0 {
		// One that took its time would take it again.
		quick := e.Time().Sub(c.sent) < h.cfg.timeout/2
		if quick && c.tries > 0 {
			c.tries--
			if h.try(c, e.Time()) {
				return
			}
		}
		sdk.Log(sdk.Warn, c.to.name+": "+c.to.url+": "+e.Err())
	}
	c.finish(a, e.Time())
}

// ignores tells that the server leaves the question to others (emqx4 §4.3).
func (a answer) ignores() bool { return a.status == 200 && word(a.body) == "ignore" }

// allows tells that the answer is "yes".
func (a answer) allows() bool { return a.status == 200 && !a.ignores() }

// final tells that the server has answered, and would say the same again.
func (a answer) final() bool {
	return a.status == 200 || a.status >= 400 && a.status < 500 && a.status != 429
}

// allowed is the line of a permission list about one topic as it is written.
func allowed(topic string, yes bool) contract.Permission {
	return contract.Permission{Filter: topic, Exact: true, Publish: true, Allow: yes, MaxQoS: 2, Retain: true}
}
