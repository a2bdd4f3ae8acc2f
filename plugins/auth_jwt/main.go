// Package main is the auth_jwt plugin: a client is who the JSON Web Token in its
// password says (emqx4 §4.3). The token may name what the client may publish and
// subscribe, and its end is the end of the connection.
package main

import (
	"errors"
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
	sdk.Log(sdk.Info, "tokens are taken that are signed with "+usable(c.keys))
	return nil
}

// reasons of refusal (5.0 §2.4).
const (
	badCredentials = 0x86
	notAuthorized  = 0x87
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
	return j.cfg.judge(text, client, e.Time())
}

func (c *config) judge(text string, client placeholder.Client, now time.Time) sdk.Verdict {
	t, err := parseToken(text)
	if errors.Is(err, errNoToken) {
		return sdk.Verdict{}
	}
	if err != nil {
		return refuse(badCredentials, err.Error())
	}
	signed, known := check(c.keys, t)
	if !known {
		return sdk.Verdict{}
	}
	if !signed {
		return refuse(badCredentials, "the token's signature is wrong")
	}
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
