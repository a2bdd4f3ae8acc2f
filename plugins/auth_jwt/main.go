// Package main is the auth_jwt plugin: a client is who the JSON Web Token in its
// password says (emqx4 §4.3). The token may name what the client may publish and
// subscribe, and its end is the end of the connection.
package main

import (
	"strings"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/placeholder"
)

// JWT checks tokens by its configuration.
type JWT struct{ cfg *config }

var _ = sdk.Register(&JWT{cfg: &config{}})

func main() { sdk.Main() }

// Configure reads keys and settings. A fault refuses the load.
func (j *JWT) Configure(text []byte) error {
	c, err := parse(text)
	if err != nil {
		return err
	}
	j.cfg = c
	for _, k := range c.keys {
		if k.hs != nil && len(k.hs) < 32 {
			sdk.Log(sdk.Warn, "a secret of less than 32 bytes can be found by trying (RFC 7518 §3.2)")
		}
	}
	switch {
	case c.remote == nil:
		sdk.Log(sdk.Info, "tokens are taken that are signed with "+usable(c.keys))
	case strings.HasPrefix(c.remote.url, "http://"):
		sdk.Log(sdk.Warn, "jwks: "+c.remote.url+": who is between can put keys of its own in place of these; https is for that")
	}
	return nil
}

// SaveState hands the keys that were fetched to the next version.
func (j *JWT) SaveState() []byte {
	if j.cfg.remote == nil {
		return nil
	}
	return j.cfg.remote.state()
}

// RestoreState takes them over.
func (j *JWT) RestoreState(state []byte) error {
	if j.cfg.remote == nil {
		return nil
	}
	return j.cfg.remote.restore(state)
}

// reasons of refusal (5.0 §2.4).
const (
	badCredentials    = 0x86
	notAuthorized     = 0x87
	serverUnavailable = 0x88
	serverBusy        = 0x89
)

// OnAuthenticate judges the token. What is no token, or of a key that is not
// known here, is left to the next plugin.
func (j *JWT) OnAuthenticate(e *sdk.AuthEvent) sdk.Verdict {
	if e.Method() != "" {
		return sdk.Verdict{}
	}
	text := e.Username()
	if !j.cfg.username {
		password, _ := e.Password()
		text = string(password)
	}
	client := placeholder.Client{ID: e.ClientID(), Username: e.Username(), Named: e.UsernameBytes() != nil}
	r, now := j.cfg.remote, e.Time()
	if r == nil || !looksLikeToken(text) {
		return j.cfg.judge(text, client, now)
	}
	if r.refresh(now) {
		return r.park(text, client)
	}
	v, fits, _ := j.cfg.weigh(text, client, now)
	if fits {
		return v
	}
	// It may be signed with a key that is new there.
	if r.fetch(now); r.asking {
		return r.park(text, client)
	}
	return j.without(v, now)
}

// without is the verdict about a token that no key fits: without a set that can be
// believed nobody else is asked.
func (j *JWT) without(v sdk.Verdict, now time.Time) sdk.Verdict {
	if j.cfg.remote.dead(now) {
		return refuse(serverUnavailable, "the keys to check tokens with are not available")
	}
	return v
}

// OnHTTPResponse takes the set and judges who has waited for it.
func (j *JWT) OnHTTPResponse(e *sdk.HTTPResponseEvent) {
	j.cfg.remote.answered(e)
	j.turn(e.Time())
}

// OnTimer goes on with those who wait.
func (j *JWT) OnTimer(e *sdk.TimerEvent) { j.turn(e.Time()) }

// turn judges some of those who wait: a call's work is bounded.
func (j *JWT) turn(now time.Time) {
	r := j.cfg.remote
	for work := 0; len(r.waiting) > 0; {
		w := r.waiting[0]
		if work >= turnWork {
			if sdk.SetTimer(1, time.Millisecond) == nil {
				return
			}
			_ = w.login.Resume(refuse(serverBusy, "too many logins wait for the keys; granting timer helps"))
		} else {
			v, fits, cost := j.cfg.weigh(w.text, w.who, now)
			if !fits {
				v = j.without(v, now)
			}
			work += cost
			_ = w.login.Resume(v) // ErrNotFound: the client has gone
		}
		r.waiting, r.bytes = r.waiting[1:], r.bytes-len(w.text)
	}
	r.waiting = nil
}

// judge is the verdict about a token with the keys that are there.
func (c *config) judge(text string, client placeholder.Client, now time.Time) sdk.Verdict {
	v, _, _ := c.weigh(text, client, now)
	return v
}

// weigh is judge, and tells whether a key fits the token and what it cost to find
// out. What is no token at all needs none.
func (c *config) weigh(text string, client placeholder.Client, now time.Time) (v sdk.Verdict, fits bool, work int) {
	t, err := parseToken(text)
	if err == errNoToken {
		return v, true, 0
	}
	if err != nil {
		return refuse(badCredentials, err.Error()), true, 0
	}
	keys := c.keys
	if c.remote != nil {
		keys = append(keys[:len(keys):len(keys)], c.remote.usable(now)...)
	}
	signed, known, work := check(keys, t)
	switch {
	case !known:
		return v, false, work
	case !signed:
		return refuse(badCredentials, "the token's signature is wrong"), false, work
	}
	return c.believe(t, client, now), true, work
}

// believe is the verdict about a token whose signature is right.
func (c *config) believe(t *token, client placeholder.Client, now time.Time) sdk.Verdict {
	expires, err := t.valid(now, c.leeway)
	if err != nil {
		return refuse(badCredentials, err.Error())
	}
	fill := strings.NewReplacer("%u", client.Username, "%c", client.ID)
	for _, want := range c.claims {
		if !t.has(want.name, fill.Replace(want.want)) {
			return refuse(notAuthorized, "claim "+want.name+" is not what it has to be")
		}
	}
	login := &sdk.Login{Principal: client.Username, ExpiresAt: expires}
	if c.username { // which is the token itself
		login.Principal = client.ID
	}
	if p, ok := t.claims[c.principal].String(); ok && p != "" {
		login.Principal = p
	}
	if v, ok := t.claims[c.superuser]; ok && c.superuser != "" {
		login.Superuser = string(v) == "true"
	}
	if v, ok := t.claims[c.acl]; ok {
		if login.Permissions, err = permissions(v, client); err != nil {
			return refuse(notAuthorized, err.Error())
		}
	}
	return sdk.Verdict{Action: sdk.Allow, Login: login}
}

func refuse(reason byte, text string) sdk.Verdict {
	return sdk.Verdict{Action: sdk.Deny, Reason: reason, Text: text}
}
