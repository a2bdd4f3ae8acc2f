//go:build !wasip1

package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/plugins/plugintest"
	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// The first login fetches the set and waits for it, those behind it join; later ones
// are judged at once. What is no token waits for nothing.
func TestFirstLoginFetches(t *testing.T) {
	r := newRig(t, nil)
	rsaToken := sign(t, "RS256", "rsa", jwt.MapClaims{"sub": "me"})
	r.want("a password", "pencil", contract.Next, 0)
	first, second := r.waits("the first", rsaToken), r.waits("the second", sign(t, "EdDSA", "ed", jwt.MapClaims{}))
	r.want("a password", "pencil", contract.Next, 0)
	if r.fetches != 1 {
		t.Errorf("%d fetches", r.fetches)
	}
	r.respond(200, set("rsa", "p256"))
	r.got("the first", first, contract.Allow, 0)
	r.got("the second, of a key that is not there", second, contract.Next, 0)
	if p, _ := r.decided[first].Ext(contract.ExtPrincipal); string(p) != "me" {
		t.Errorf("principal %q", p)
	}
	r.want("a third", rsaToken, contract.Allow, 0)
	r.want("an expired one", sign(t, "RS256", "rsa", jwt.MapClaims{"exp": 1}), contract.Deny, badCredentials)
	if r.fetches != 1 {
		t.Errorf("%d fetches", r.fetches)
	}
}

// A set that is due is fetched beside the logins, unless nobody has asked for long;
// a key that is no longer in it signs no more.
func TestRefresh(t *testing.T) {
	r := newRig(t, nil)
	old, next := sign(t, "RS256", "rsa", jwt.MapClaims{}), sign(t, "ES256", "p256", jwt.MapClaims{})
	r.waits("the first", old)
	r.respond(200, set("rsa"))
	r.now = r.now.Add(5*time.Minute + time.Second)
	r.want("when it is due", old, contract.Allow, 0)
	r.want("while it is fetched", old, contract.Allow, 0)
	if r.fetches != 2 {
		t.Fatalf("%d fetches", r.fetches)
	}
	r.respond(200, set("p256"))
	r.want("the new key", next, contract.Allow, 0)
	r.want("the old key", old, contract.Next, 0)
	r.now = r.now.Add(11 * time.Minute)
	token := r.waits("after a long silence", next)
	r.respond(200, set("p256"))
	r.got("after a long silence", token, contract.Allow, 0)
}

// A token of a key that is not known fetches the set, but not again and again.
func TestUnknownKey(t *testing.T) {
	r := newRig(t, map[string]any{"secret": secret})
	r.waits("the first", sign(t, "RS256", "rsa", jwt.MapClaims{}))
	r.respond(200, set("rsa"))
	next, forged := sign(t, "ES256", "p256", jwt.MapClaims{}), sign(t, "RS256", "rsa", jwt.MapClaims{})
	forged = forged[:len(forged)-8] + "AAAAAAAA"
	r.want("within ten seconds", next, contract.Next, 0)
	r.want("a forged one within ten seconds", forged, contract.Deny, badCredentials)
	r.now = r.now.Add(fetchGap)
	token := r.waits("a new key", next)
	wrong := r.waits("a forged one", forged)
	r.want("a key that is given", sign(t, "HS256", "", jwt.MapClaims{}), contract.Allow, 0)
	r.respond(200, set("rsa", "p256"))
	r.got("a new key", token, contract.Allow, 0)
	r.got("a forged one", wrong, contract.Deny, badCredentials)
	for range 100 {
		r.want("noise", sign(t, "EdDSA", "ed", jwt.MapClaims{}), contract.Next, 0)
	}
	if r.fetches != 2 {
		t.Errorf("%d fetches", r.fetches)
	}
}

// Without a set nobody comes in by it; the one there is holds until it is too old.
func TestServerIsDown(t *testing.T) {
	r := newRig(t, map[string]any{"secret": secret})
	text := sign(t, "RS256", "rsa", jwt.MapClaims{})
	first := r.waits("the first", text)
	r.respond(0, "")
	r.got("the first", first, contract.Deny, serverUnavailable)
	r.want("within ten seconds", text, contract.Deny, serverUnavailable)
	r.want("a key that is given", sign(t, "HS256", "", jwt.MapClaims{}), contract.Allow, 0)
	r.now = r.now.Add(fetchGap)
	again := r.waits("later", text)
	r.respond(200, set("rsa"))
	r.got("later", again, contract.Allow, 0)
	fetched := r.now
	for _, bad := range []string{"", "[]", `{"keys":[]}`, "<html>"} {
		r.now = r.now.Add(6 * time.Minute)
		r.want("an old set", text, contract.Allow, 0)
		r.respond(200, bad)
		r.want("after a bad answer", text, contract.Allow, 0)
	}
	r.now = r.now.Add(11 * time.Minute)
	late := r.waits("a silence while it is down", text)
	r.respond(503, "")
	r.got("a silence while it is down", late, contract.Allow, 0)
	r.now = fetched.Add(time.Hour + time.Second)
	late = r.waits("too old", text)
	r.respond(503, "")
	r.got("too old", late, contract.Deny, serverUnavailable)
	if log := r.log.String(); !strings.Contains(log, "status 503; the keys of ") || !strings.Contains(log, "there are no keys, tokens are refused") {
		t.Errorf("the log: %s", log)
	}
}

// A set may have keys that cannot be used; they do no harm.
func TestPublicSets(t *testing.T) {
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	weak := fmt.Sprintf(`{"kty":"RSA","n":"%s","e":"AQAB"}`, base64.RawURLEncoding.EncodeToString(small.N.Bytes()))
	var told []string
	keys, err := parsePublicJWKS([]byte(`{"keys":[{"kty":"oct","k":"AAAA"},`+weak+`,{"kty":"new"},{"kty":"OKP","crv":"Ed25519","x":"AA"},`+strings.TrimPrefix(set("ed"), `{"keys":[`)), func(err error) { told = append(told, err.Error()) })
	if err != nil || len(keys) != 1 || len(told) != 3 || !strings.Contains(told[0], "a secret key in a public set") || !strings.Contains(told[1], "1024 bits") {
		t.Errorf("%v: %d keys, %q", err, len(keys), told)
	}
	one := strings.TrimSuffix(strings.TrimPrefix(set("ed"), `{"keys":[`), "]}")
	many := `{"keys":[` + one + strings.Repeat(","+one, maxKeys) + "]}"
	if _, err := parsePublicJWKS([]byte(many), func(error) {}); err == nil || !strings.Contains(err.Error(), "more than 64 keys") {
		t.Errorf("%v", err)
	}
}

// What waits is judged in turns that a call can afford; without timers the rest is
// refused. What is too much to keep is refused at once.
func TestTurns(t *testing.T) {
	for _, timers := range []bool{true, false} {
		r := newRig(t, nil)
		if !timers {
			r.refuse[contract.CallTimerSet] = int64(contract.ErrnoDenied)
		}
		text := sign(t, "RS256", "rsa", jwt.MapClaims{})
		for range 20 {
			r.waits("one of many", text)
		}
		r.respond(200, set("rsa"))
		turns := 1
		for r.timer {
			if len(r.decided) > turns*turnWork {
				t.Fatalf("%d verdicts in %d turns", len(r.decided), turns)
			}
			r.timer = false
			turns++
			var w contract.Writer
			w.Begin(contract.Header{Hook: contract.HookTimer, Time: uint64(r.now.UnixNano()), Aux: 1})
			w.End()
			r.run.Frame(w.Frame(), 1)
		}
		count := map[byte]int{}
		for _, v := range r.decided {
			count[v.Reason]++
		}
		if timers && count[0] != 20 || !timers && (count[0] != turnWork || count[serverBusy] != 20-turnWork) {
			t.Errorf("timers %v: %v", timers, count)
		}
	}
	r := newRig(t, nil)
	long := sign(t, "RS256", "rsa", jwt.MapClaims{"x": strings.Repeat("y", 8000)})
	for range maxWaiting / len(long) {
		r.waits("one of many", long)
	}
	r.want("one too many", long, contract.Deny, serverBusy)
}

// The next version of the plugin goes on with the set, if it is of the same URL.
func TestStateOfTheSet(t *testing.T) {
	r := newRig(t, nil)
	if s := r.plugin.SaveState(); s != nil {
		t.Errorf("a state without a set: %s", s)
	}
	r.waits("the first", sign(t, "RS256", "rsa", jwt.MapClaims{}))
	r.respond(200, set("rsa"))
	state := r.plugin.SaveState()
	next := newRig(t, nil)
	if err := next.plugin.RestoreState(state); err != nil {
		t.Fatal(err)
	}
	next.now = r.now
	next.want("after a reload", sign(t, "RS256", "rsa", jwt.MapClaims{}), contract.Allow, 0)
	if next.fetches != 0 {
		t.Errorf("%d fetches", next.fetches)
	}
	other := newRig(t, nil)
	if err := other.plugin.RestoreState([]byte(strings.Replace(string(state), "idp.example", "other.example", 1))); err != nil {
		t.Fatal(err)
	}
	other.waits("with another URL", sign(t, "RS256", "rsa", jwt.MapClaims{}))
}

// A server that is not granted is named in the log with what grants it.
func TestNotGranted(t *testing.T) {
	r := newRig(t, nil)
	r.refuse[contract.CallHTTPStart] = int64(contract.ErrnoDenied)
	r.want("a token", sign(t, "RS256", "rsa", jwt.MapClaims{}), contract.Deny, serverUnavailable)
	if !strings.Contains(r.log.String(), "https://idp.example/keys: it is not granted: [plugin] grant has to name http:SCHEME://HOST:PORT") {
		t.Errorf("the log: %s", r.log.String())
	}
}

// In the real hosts: the set is fetched, and a reload while the server is down keeps it.
func TestSetByURL(t *testing.T) {
	for _, kind := range []plugintest.Kind{plugintest.WASM, plugintest.Process} {
		t.Run(string(kind), func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, set("rsa", "ed")) }))
			defer s.Close()
			h, err := plugintest.Source{}.Start(t, kind, fmt.Sprintf("[plugin]\ngrant = [\"http:%s\", \"timer\"]\n[config]\njwks = \"%s/keys\"\n", s.URL, s.URL))
			if err != nil {
				t.Fatal(err)
			}
			for method, want := range map[string]hook.Verdict{"RS256": hook.Allow, "EdDSA": hook.Allow, "ES256": hook.Next} {
				if e := h.Login(t, "c1", "u1", sign(t, method, byMethod[method], jwt.MapClaims{"sub": "me"})); e.Verdict != want || want == hook.Allow && e.Client.Principal != "me" {
					t.Errorf("%s: %v %v", method, e.Verdict, e.Client.Principal)
				}
			}
			s.Close()
			if kind != plugintest.WASM {
				return
			}
			if err := h.Manager.Reload("auth_jwt"); err != nil {
				t.Fatal(err)
			}
			if e := h.Login(t, "c1", "u1", sign(t, "RS256", "rsa", jwt.MapClaims{})); e.Verdict != hook.Allow {
				t.Errorf("after a reload while the server is down: %v %v", e.Verdict, e.Reason)
			}
		})
	}
}

// What servers send does not make the plugin fall over.
func FuzzPublicJWKS(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","kid":"ed","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"oct","k":"AAAA"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AA","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},7]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parsePublicJWKS(text, func(error) {})
		if err == nil && len(keys) == 0 || len(keys) > maxKeys {
			t.Errorf("%d keys, %v", len(keys), err)
		}
		for i := range keys {
			if keys[i].hs != nil {
				t.Error("a secret")
			}
		}
	})
}

// Tokens are noise until they are checked.
func FuzzToken(f *testing.F) {
	c := &config{acl: "acl", principal: "sub", keys: []key{{hs: []byte(secret)}}}
	f.Add("eyJhbGciOiJIUzI1NiJ9.e30.AAAA")
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, text string) {
		v, fits, _ := c.weigh(text, client, time.Now())
		if v.Action == sdk.Allow {
			t.Errorf("%q is let in", text)
		}
		if !looksLikeToken(text) && !fits {
			t.Errorf("%q asks for keys and is no token", text)
		}
	})
}
