//go:build !wasip1

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/plugins/plugintest"
)

// server answers by path and notes what it was asked.
type server struct {
	*httptest.Server

	mu    sync.Mutex
	asked []string // "METHOD path query content-type body"
}

// serve starts a server. Without an answer for a path it says 200.
func serve(t testing.TB, answers map[string]http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(s.handler(answers))
	t.Cleanup(s.Close)
	return s
}

func (s *server) handler(answers map[string]http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.asked = append(s.asked, fmt.Sprintf("%s %s?%s %s %s %s", r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Content-Type"), r.Header.Get("X-Key"), body))
		s.mu.Unlock()
		if fn := answers[r.URL.Path]; fn != nil {
			fn(w, r)
		}
	})
}

// requests is what was asked since the last call.
func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.asked
	s.asked = nil
	return list
}

// say answers with a status and a body.
func say(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// open loads the plugin; more is what the operator's file says beside the grant.
func open(t testing.TB, kind plugintest.Kind, url, more string) *plugintest.Host {
	t.Helper()
	h, err := plugintest.Source{}.Start(t, kind, "[plugin]\ngrant = [\"http:"+url+"\"]\n"+more)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// client is one of whom everything is known.
func client() *hook.Client {
	return &hook.Client{
		ID: "c 1", Username: "u&1", HasUsername: true, Conn: 7, CommonName: "cn", DN: "CN=cn,O=acme",
		Peer: netip.MustParseAddrPort("[2001:db8::7]:5000"), Local: netip.MustParseAddrPort("192.0.2.1:8883"),
	}
}

// question asks about publishing or subscribing.
func ask(t testing.TB, h *plugintest.Host, action hook.Action, topics ...string) []hook.ACLEvent {
	t.Helper()
	c := client()
	var es []hook.ACLEvent
	for _, topic := range topics {
		es = append(es, hook.ACLEvent{Client: c, Action: action, Topic: topic, Lists: &hook.Lists{}})
	}
	h.Check(t, es)
	return es
}

// TestRequests: each placeholder, in each form of a request, as a module and as a
// process; and the parameters of EMQ X 4's own configuration.
func TestRequests(t *testing.T) {
	const all = "[%u] %c %a %P %r %p %C %d %m."
	s := serve(t, nil)
	for _, kind := range []plugintest.Kind{plugintest.WASM, plugintest.Process} {
		t.Run(string(kind), func(t *testing.T) {
			h := open(t, kind, s.URL, `[config]
auth_req.url = "`+s.URL+`/auth"
auth_req.headers = { content-type = "application/json", x-key = "k" }
auth_req.params = { all = "`+all+`", 'q"' = "%u" }
super_req.url = "`+s.URL+`/super?x=y"
super_req.method = "get"
super_req.params = "clientid=%c,username=%u, d=%d"
acl_req.url = "`+s.URL+`/acl"
acl_req.params = "access=%A,username=%u,clientid=%c,ipaddr=%a,topic=%t,mountpoint=%m,cn=%C,port=%p"
`)
			e := &hook.AuthEvent{Client: client(), Password: []byte("p\"w")}
			if h.Ask(t, e); e.Verdict != hook.Allow || !e.Client.Superuser || e.Client.Principal != "u&1" {
				t.Errorf("%+v %+v", e, e.Client)
			}
			want := []string{
				`POST /auth? application/json k {"all":"[u&1] c 1 2001:db8::7 p\"w mqtt 8883 cn CN=cn,O=acme .","q\"":"u&1"}`,
				`GET /super?x=y&clientid=c+1&username=u%261&d=CN%3Dcn%2CO%3Dacme   `,
			}
			if got := s.requests(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("login:\ngot  %q\nwant %q", got, want)
			}
			ask(t, h, hook.Publish, "a/ü")
			ask(t, h, hook.Subscribe, "a/#")
			rest := "&username=u%261&clientid=c+1&ipaddr=2001%3Adb8%3A%3A7&topic="
			want = []string{
				"POST /acl? " + typeForm + "  access=2" + rest + "a%2F%C3%BC&mountpoint=&cn=cn&port=8883",
				"POST /acl? " + typeForm + "  access=1" + rest + "a%2F%23&mountpoint=&cn=cn&port=8883",
			}
			if got := s.requests(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("acl:\ngot  %q\nwant %q", got, want)
			}
		})
	}
}

// TestAnswers: what each answer means for a login, for a superuser and for access.
func TestAnswers(t *testing.T) {
	var mu sync.Mutex
	answers := map[string]http.HandlerFunc{}
	reply := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		fn := answers[r.URL.Path]
		mu.Unlock()
		fn(w, r)
	}
	s := serve(t, map[string]http.HandlerFunc{"/auth": reply, "/super": reply, "/acl": reply})
	h := open(t, plugintest.WASM, s.URL, `[config]
cache_ttl = "7s"
auth_req.url = "`+s.URL+`/auth"
super_req.url = "`+s.URL+`/super"
acl_req.url = "`+s.URL+`/acl"
`)
	set := func(auth, super, acl http.HandlerFunc) {
		mu.Lock()
		defer mu.Unlock()
		answers["/auth"], answers["/super"], answers["/acl"] = auth, super, acl
	}
	no, yes := say(403, ""), say(200, "")
	for _, tc := range []struct {
		auth, super http.HandlerFunc
		verdict     hook.Verdict
		reason      packet.ReasonCode
		superuser   bool
	}{
		{yes, no, hook.Allow, 0, false}, {yes, yes, hook.Allow, 0, true}, {yes, say(200, "ignore"), hook.Allow, 0, false}, {yes, say(500, ""), hook.Allow, 0, false},
		{say(200, " ignore\n"), yes, hook.Next, 0, false}, {say(200, "whatever"), no, hook.Allow, 0, false},
		{say(400, ""), yes, hook.Deny, 0x86, false}, {say(401, "ignore"), yes, hook.Deny, 0x86, false}, {no, yes, hook.Deny, 0x87, false},
		{say(404, ""), yes, hook.Deny, 0x88, false}, {say(429, ""), yes, hook.Deny, 0x8A, false}, {say(503, ""), yes, hook.Deny, 0x88, false},
		{say(504, ""), yes, hook.Deny, 0x89, false}, {say(204, ""), yes, hook.Deny, 0x88, false}, {say(500, ""), yes, hook.Deny, 0x88, false},
		{say(200, `{"mountpoint":"acme/"}`), yes, hook.Deny, 0x88, false}, {say(200, `{"mountpoint":""}`), no, hook.Allow, 0, false},
	} {
		set(tc.auth, tc.super, no)
		e := h.Login(t, "c", "u", "p")
		if e.Verdict != tc.verdict || e.Reason != tc.reason || e.Client.Superuser != tc.superuser {
			t.Errorf("want %v %v %v, got %v %v %v", tc.verdict, tc.reason, tc.superuser, e.Verdict, e.Reason, e.Client.Superuser)
		}
	}
	for _, tc := range []struct {
		acl     http.HandlerFunc
		verdict hook.Verdict
		ttl     time.Duration
	}{
		{yes, hook.Allow, 7 * time.Second}, {no, hook.Deny, 7 * time.Second}, {say(404, ""), hook.Deny, 7 * time.Second},
		{say(200, "ignore"), hook.Next, 0}, {say(500, ""), hook.Deny, 0}, {say(429, ""), hook.Deny, 0}, {say(204, ""), hook.Deny, 0},
	} {
		set(yes, no, tc.acl)
		if e := ask(t, h, hook.Publish, "a")[0]; e.Verdict != tc.verdict || e.CacheTTL != tc.ttl {
			t.Errorf("want %v for %v, got %v for %v", tc.verdict, tc.ttl, e.Verdict, e.CacheTTL)
		}
	}
	s.requests()
	if es := ask(t, h, hook.Publish, "a", "a", "b", "a"); len(s.requests()) != 2 {
		t.Errorf("the same question was asked more than once: %+v", es)
	}
}

// The topic of a will is asked about at login: later there is nobody who could wait.
func TestWill(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/super": say(403, ""), "/acl": func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.RawQuery {
		case "topic=may&access=2":
		case "topic=ignored&access=2":
			_, _ = io.WriteString(w, "ignore")
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}})
	h := open(t, plugintest.WASM, s.URL, `[config]
auth_req.url = "`+s.URL+`/auth"
super_req.url = "`+s.URL+`/super"
acl_req.url = "`+s.URL+`/acl"
acl_req.method = "get"
acl_req.params = "topic=%t,access=%A"
`)
	for topic, want := range map[string]string{"may": "may true", "must not": "must not false", "ignored": "", "": ""} {
		e := &hook.AuthEvent{Client: client(), Will: topic}
		h.Ask(t, e)
		got := ""
		for _, p := range e.Client.Permissions {
			got += fmt.Sprint(p.Filter, " ", p.Allow)
		}
		if e.Verdict != hook.Allow || got != want {
			t.Errorf("%q: %v, %q", topic, e.Verdict, got)
		}
	}
}

// Without acl_req a connection is asked about once, and without auth_req nobody is
// asked who a client is.
func TestHalf(t *testing.T) {
	s := serve(t, nil)
	h := open(t, plugintest.WASM, s.URL, "[config]\nauth_req.url = \""+s.URL+"/auth\"\n")
	c, lists := client(), &hook.Lists{}
	for range 3 {
		es := []hook.ACLEvent{{Client: c, Action: hook.Publish, Topic: "a", Lists: lists}}
		if h.Check(t, es); es[0].Verdict != hook.Next {
			t.Errorf("without acl_req: %v", es[0].Verdict)
		}
	}
	if n := h.Manager.List()[0].Status.Calls; n != 1 {
		t.Errorf("%d calls for three questions that are not the plugin's", n)
	}
	h = open(t, plugintest.WASM, s.URL, "[config]\nacl_req.url = \""+s.URL+"/acl\"\n")
	if e := h.Login(t, "c", "u", "p"); e.Verdict != hook.Next || len(s.requests()) != 0 {
		t.Errorf("without auth_req: %v", e.Verdict)
	}
	h = open(t, plugintest.WASM, s.URL, "[config]\nauth_req.url = \""+s.URL+"/auth\"\n")
	e := &hook.AuthEvent{Client: client(), Method: "SCRAM-SHA-256"}
	if h.Ask(t, e); e.Verdict != hook.Next || len(s.requests()) != 0 {
		t.Errorf("enhanced authentication: %v", e.Verdict)
	}
}

// A login and a question about access, with a server on this machine.
func BenchmarkAsk(b *testing.B) {
	s := serve(b, nil)
	h := open(b, plugintest.WASM, s.URL, "[config]\nauth_req.url = \""+s.URL+"/auth\"\nauth_req.params = \"u=%u,p=%P\"\nacl_req.url = \""+s.URL+"/acl\"\nacl_req.params = \"u=%u,t=%t\"\n")
	b.Run("login", func(b *testing.B) {
		for b.Loop() {
			h.Login(b, "c", "u", "p")
		}
	})
	b.Run("acl", func(b *testing.B) {
		for b.Loop() {
			ask(b, h, hook.Publish, "a/b")
		}
	})
	st := h.Manager.List()[0].Status
	b.Logf("fuel of a call: p50 %d, most %d; memory %d", st.FuelP50, st.FuelMost, st.Memory)
}
