//go:build !wasip1

package main

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/dunlinmq/dunlin/plugins/plugintest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// generators are the independent implementation, which the plugin does not use.
var generators = map[mechanism]scram.HashGeneratorFcn{sha256Mech: scram.SHA256, sha512Mech: scram.SHA512}

// line makes a line of the users file.
func line(t testing.TB, m mechanism, user, password string) string {
	t.Helper()
	c, err := generators[m].NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of 16 bytes", Iters: minIterations})
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s:%s$%d:%s$%s:%s\n", user, m, keys.Iters, b64([]byte(keys.Salt)), b64(keys.StoredKey), b64(keys.ServerKey))
}

// step hands the plugin one message of a client and returns the verdict.
type step struct {
	hook                contract.Hook
	method, data, state string
	username, principal string
	flags               contract.Flags
}

func (s step) ask(t testing.TB, p *plugintest.Plugin) contract.Verdict {
	t.Helper()
	w := p.Frame(s.hook)
	w.Begin(contract.Header{Hook: s.hook, Conn: 7, Flags: s.flags})
	w.String(contract.SlotAuthMethod, s.method)
	w.String(contract.SlotAuthData, s.data)
	if s.state != "" {
		w.String(contract.SlotAuthState, s.state)
	}
	if s.username != "" {
		w.String(contract.SlotUsername, s.username)
	}
	if s.principal != "" {
		w.String(contract.SlotPrincipal, s.principal)
	}
	w.End()
	return p.Call(t, s.hook, w, nil)[0]
}

func ext(v contract.Verdict, x contract.Ext) string {
	b, _ := v.Ext(x)
	return string(b)
}

// login runs a whole exchange; err is the client's opinion.
func login(t testing.TB, p *plugintest.Plugin, m mechanism, user, password string) (last contract.Verdict, err error) {
	t.Helper()
	c, err := generators[m].NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	talk := c.NewConversation()
	data, err := talk.Step("")
	if err != nil {
		t.Fatal(err)
	}
	v := step{hook: contract.HookAuthenticate, method: string(m), data: data}.ask(t, p)
	if v.Action != contract.Continue {
		t.Fatalf("first: %v %s", v.Action, ext(v, contract.ExtText))
	}
	data, err = talk.Step(ext(v, contract.ExtReply))
	if err != nil {
		return v, err
	}
	v = step{hook: contract.HookAuthContinue, method: string(m), data: data, state: ext(v, contract.ExtState)}.ask(t, p)
	if v.Action == contract.Allow {
		_, err = talk.Step(ext(v, contract.ExtReply))
		if err == nil && !talk.Valid() {
			err = fmt.Errorf("the client does not believe the server")
		}
	}
	return v, err
}

func config(users string) string {
	return `{"name":"scram_users","users":` + strconv.Quote(users) + `}`
}

// Another implementation's clients get in with the right password only, and
// believe the server, in both forms of the plugin.
func TestExchange(t *testing.T) {
	users := "# users\n\n"
	for _, m := range []mechanism{sha256Mech, sha512Mech} {
		users += line(t, m, "ann", "pencil") + line(t, m, "o=neil,jr", "p:w$d")
	}
	for _, kind := range []plugintest.Kind{plugintest.WASM, plugintest.Process} {
		p := plugintest.Open(t, kind, config(users))
		for _, m := range []mechanism{sha256Mech, sha512Mech} {
			for user, password := range map[string]string{"ann": "pencil", "o=neil,jr": "p:w$d"} {
				v, err := login(t, p, m, user, password)
				if err != nil || v.Action != contract.Allow || ext(v, contract.ExtPrincipal) != user {
					t.Errorf("%s %s %s: %v %v %s", kind, m, user, err, v.Action, ext(v, contract.ExtText))
				}
				v, _ = login(t, p, m, user, password+"x")
				if v.Action != contract.Deny || v.Reason != badCredentials {
					t.Errorf("%s %s: a wrong password: %v %x", kind, m, v.Action, v.Reason)
				}
			}
			if v, _ := login(t, p, m, "nobody", "pencil"); v.Action != contract.Deny || v.Reason != badCredentials {
				t.Errorf("%s %s: an unknown user: %v %x", kind, m, v.Action, v.Reason)
			}
		}
	}
}

// A client cannot tell which users there are.
func TestUnknownUsersLookLikeOthers(t *testing.T) {
	p := plugintest.Open(t, plugintest.WASM, config(line(t, sha256Mech, "ann", "pencil")))
	salt := func(user string) string {
		v := step{hook: contract.HookAuthenticate, method: "SCRAM-SHA-256", data: "n,,n=" + user + ",r=abcdefgh"}.ask(t, p)
		_, rest, _ := strings.Cut(ext(v, contract.ExtReply), ",")
		return rest
	}
	first, second, other, known := salt("nobody"), salt("nobody"), salt("somebody"), salt("ann")
	if first != second || first == other || len(first) != len(known) || !strings.HasSuffix(first, ",i=4096") {
		t.Errorf("%q %q %q %q", first, second, other, known)
	}
}

// Who the client is does not change on the way.
func TestIdentity(t *testing.T) {
	p := plugintest.Open(t, plugintest.WASM, config(line(t, sha256Mech, "ann", "pencil")))
	first := step{hook: contract.HookAuthenticate, method: "SCRAM-SHA-256", data: "n,,n=ann,r=abcdefgh"}
	for name, tc := range map[string]struct {
		change func(*step)
		want   contract.Action
	}{
		"same user name":       {func(s *step) { s.username = "ann" }, contract.Continue},
		"other user name":      {func(s *step) { s.username = "bob" }, contract.Deny},
		"re-authentication":    {func(s *step) { s.flags, s.principal = contract.FlagReauth, "ann" }, contract.Continue},
		"becomes another user": {func(s *step) { s.flags, s.principal = contract.FlagReauth, "bob" }, contract.Deny},
		"was nobody before":    {func(s *step) { s.flags = contract.FlagReauth }, contract.Deny},
		"other method":         {func(s *step) { s.method = "SCRAM-SHA-1" }, contract.Next},
		"no method":            {func(s *step) { s.method = "" }, contract.Next},
		"wants to be asked":    {func(s *step) { s.data = "" }, contract.Continue},
	} {
		s := first
		tc.change(&s)
		if v := s.ask(t, p); v.Action != tc.want {
			t.Errorf("%s: %v", name, v.Action)
		}
	}
	asked := step{hook: contract.HookAuthContinue, method: "SCRAM-SHA-256", data: "n,,n=ann,r=abcdefgh", state: "asked"}
	if v := asked.ask(t, p); v.Action != contract.Continue || !strings.HasPrefix(ext(v, contract.ExtReply), "r=abcdefgh") {
		t.Errorf("asked: %v", v.Action)
	}
}

// What is no SCRAM is refused, at either step.
func TestMalformed(t *testing.T) {
	p := plugintest.Open(t, plugintest.WASM, config(line(t, sha256Mech, "ann", "pencil")))
	for _, data := range []string{
		"x", "n,,", "n,,n=ann", "n,,n=,r=abcdefgh", "n,,n=ann,r=a", "p=tls-unique,,n=ann,r=abcdefgh", "n,a=bob,n=ann,r=abcdefgh",
		"n,b,n=ann,r=abcdefgh", "n,,m=x,n=ann,r=abcdefgh", "n,,n=a=2Xn,r=abcdefgh", "n,,n=a=,r=abcdefgh", "n,,n=a\x00n,r=abcdefgh", "q,,n=ann,r=abcdefgh",
	} {
		v := step{hook: contract.HookAuthenticate, method: "SCRAM-SHA-256", data: data}.ask(t, p)
		if v.Action != contract.Deny || v.Reason != protocolError && !strings.Contains(ext(v, contract.ExtText), "somebody else") {
			t.Errorf("%q: %v %x", data, v.Action, v.Reason)
		}
	}
	v := step{hook: contract.HookAuthenticate, method: "SCRAM-SHA-256", data: "n,,n=ann,r=abcdefgh"}.ask(t, p)
	nonce, _, _ := strings.Cut(ext(v, contract.ExtReply), ",")
	proof := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, data := range []string{
		"", "x", "c=biws," + nonce, "c=biws,r=abcdefgh,p=" + proof, "c=eSws," + nonce + ",p=" + proof, "c=biws," + nonce + ",p=AAAA", "c=biws," + nonce + ",p=!",
	} {
		v := step{hook: contract.HookAuthContinue, method: "SCRAM-SHA-256", data: data, state: ext(v, contract.ExtState)}.ask(t, p)
		if v.Action != contract.Deny || v.Reason != protocolError {
			t.Errorf("%q: %v %x", data, v.Action, v.Reason)
		}
	}
	if v := (step{hook: contract.HookAuthContinue, method: "SCRAM-SHA-256", data: "c=biws", state: "x"}).ask(t, p); v.Action != contract.Deny {
		t.Errorf("a state that is none: %v", v.Action)
	}
}

// A proof holds for its own exchange only.
func TestReplay(t *testing.T) {
	p := plugintest.Open(t, plugintest.WASM, config(line(t, sha256Mech, "ann", "pencil")))
	c, _ := scram.SHA256.NewClient("ann", "pencil", "")
	talk := c.NewConversation()
	first, _ := talk.Step("")
	start := step{hook: contract.HookAuthenticate, method: "SCRAM-SHA-256", data: first}
	v := start.ask(t, p)
	final, err := talk.Step(ext(v, contract.ExtReply))
	if err != nil {
		t.Fatal(err)
	}
	again := start.ask(t, p)
	if v := (step{hook: contract.HookAuthContinue, method: "SCRAM-SHA-256", data: final, state: ext(again, contract.ExtState)}).ask(t, p); v.Action != contract.Deny {
		t.Errorf("a repeated proof: %v", v.Action)
	}
}

// Faults of the file are told with their line.
func TestUsersFile(t *testing.T) {
	good := strings.TrimSpace(line(t, sha256Mech, "ann", "pencil"))
	for text, want := range map[string]string{
		"ann:pencil":                          "line 1: want user:SCRAM",
		"\n:SCRAM-SHA-256$4096:a$b:c":         "line 2: want user:SCRAM",
		good + "\n" + good:                    `line 2: user "ann" is there twice`,
		"a:SCRAM-SHA-1$4096:a$b:c":            "line 1: unknown mechanism SCRAM-SHA-1",
		"a:SCRAM-SHA-256$4095:a$b:c":          "line 1: 4095 iterations",
		"a:SCRAM-SHA-256$4096:!$b:c":          "line 1: not base64: !",
		"a:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA": "line 1: salt or keys have the wrong length",
	} {
		if _, err := parseUsers(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := plugintest.TryOpen(t, plugintest.WASM, config("ann:pencil")); err == nil || !strings.Contains(err.Error(), "scram_users: line 1: want user:SCRAM") {
		t.Errorf("%v", err)
	}
}

func BenchmarkExchange(b *testing.B) {
	p := plugintest.Open(b, plugintest.WASM, config(line(b, sha256Mech, "ann", "pencil")))
	for b.Loop() {
		v := step{hook: contract.HookAuthenticate, method: "SCRAM-SHA-256", data: "n,,n=ann,r=abcdefgh"}.ask(b, p)
		nonce, _, _ := strings.Cut(ext(v, contract.ExtReply), ",")
		step{hook: contract.HookAuthContinue, method: "SCRAM-SHA-256", data: "c=biws," + nonce + ",p=" + base64.StdEncoding.EncodeToString(make([]byte, 32)), state: ext(v, contract.ExtState)}.ask(b, p)
	}
}
