//go:build !wasip1

package plugintest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
)

const askerManifest = `name = "asker"
version = "0.1.0"
license = "Apache-2.0"
abi = 1
capabilities = ["http", "timer", "hash", "kv", "session", "metric"]
memory_pages = 512
max_instances = 2

[[hook]]
name = "authenticate"
class = "intercept"
`

// startAsker loads the plugin as kind with the grants of the operator's file.
func startAsker(t *testing.T, kind Kind, operator string) (*Host, error) {
	t.Helper()
	h, err := Source{Package: "./testdata/asker", Manifest: []byte(askerManifest)}.Start(t, kind, operator)
	if err == nil {
		h.Clients["known"] = &hook.Client{ID: "known", Username: "user", HasUsername: true, KeepAlive: 60}
	}
	return h, err
}

func granted(url string) string {
	return fmt.Sprintf("[plugin]\ngrant = [\"http:%s\", \"timer\", \"hash\", \"kv\", \"session\", \"metric\"]\n", url)
}

// Each capability, through the Go SDK, the real hosts and the manager, as a module
// and as a process.
func TestCapabilities(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/auth" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("X-Principal", "for "+r.Header.Get("X-Client"))
		_, _ = w.Write([]byte("acme"))
	}))
	defer s.Close()
	for _, kind := range []Kind{WASM, Process} {
		t.Run(string(kind), func(t *testing.T) {
			n, err := startAsker(t, kind, granted(s.URL))
			if err != nil {
				t.Fatal(err)
			}
			if e := n.Login(t, "c1", "http", s.URL+"/auth"); e.Verdict != hook.Allow || e.Client.Principal != "for c1" || e.Client.Tenant != "acme" {
				t.Errorf("http: %v %q, %+v", e.Verdict, e.Text, e.Client)
			}
			for _, c := range []struct{ user, password, want string }{
				{"http", s.URL + "/none", "status 404 "}, {"http", "http://192.0.2.1/x", "denied"}, {"http", "noise", "denied"},
				{"hash", "Hello World!", "wrong "}, {"nohash", "x", "wrong not a password hash that is known here"},
				{"session", "unknown", "not found"}, {"session", "known", "known user 60, <nil>"},
				{"metric", "a/ü", "<nil>,<nil>,<nil>,<nil>,<nil>,not found,invalid arguments"},
				{"kv", "k", "not found,<nil>,not found,<nil>,true <nil> 5 11,<nil>,not found,invalid arguments"},
			} {
				if e := n.Login(t, "c2", c.user, c.password); e.Verdict != hook.Deny || e.Text != c.want {
					t.Errorf("%s %s: %v %q, want %q", c.user, c.password, e.Verdict, e.Text, c.want)
				}
			}
			for user, password := range map[string]string{"hash": "Hello world!", "timer": ""} {
				if e := n.Login(t, "c3", user, password); e.Verdict != hook.Allow {
					t.Errorf("%s: %v %q", user, e.Verdict, e.Text)
				}
			}
			if e := n.Login(t, "c4", "never", ""); e.Verdict != hook.Deny || e.Reason != packet.ServerUnavailable {
				t.Errorf("never: %v %v", e.Verdict, e.Reason)
			}
			// A guest that faults with the answer is asked again once, then the hook's
			// on_error holds; the next login meets a new guest.
			if e := n.Login(t, "c5", "crash", ""); e.Verdict != hook.Deny || e.Reason != packet.ServerUnavailable {
				t.Errorf("crash: %v %v", e.Verdict, e.Reason)
			}
			if e := n.Login(t, "c6", "timer", ""); e.Verdict != hook.Allow {
				t.Errorf("after the crash: %v %q", e.Verdict, e.Text)
			}
			if m := n.Manager.List()[0].Metrics; len(m) != 3 || m["a/ü"] != 3.5 || m["level"] != -1 || m["7"] != 2 {
				t.Errorf("metrics %v", m)
			}
			if i := n.Manager.List()[0]; len(n.Kicked()) != 1 || i.Parked != 0 || i.Overdue != 1 {
				t.Errorf("%d kicked, %d parked, %d overdue", len(n.Kicked()), i.Parked, i.Overdue)
			}
		})
	}
}

// What is not granted stops the load, with the words of the grant.
func TestCapabilitiesNotGranted(t *testing.T) {
	for grant, want := range map[string]string{
		`["timer", "hash", "kv", "session", "metric"]`:                             `"http"`,
		`["http:https://a.example", "hash", "kv", "session", "metric"]`:            `"timer"`,
		`["http", "timer", "hash", "kv", "session", "metric"]`:                     "say which servers may be asked",
		`["http:ftp://a.example", "timer", "hash", "kv", "session", "metric"]`:     "want http://host[:port] or https://host[:port]",
		`["http:https://a.example/x", "timer", "hash", "kv", "session", "metric"]`: "want http://host[:port] or https://host[:port]",
	} {
		if _, err := startAsker(t, WASM, "[plugin]\ngrant = "+grant+"\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", grant, err, want)
		}
	}
	if _, err := startAsker(t, WASM, granted("https://a.example")+"[plugin.http]\nca_file = \"missing.pem\"\n"); err == nil || !strings.Contains(err.Error(), "missing.pem") {
		t.Errorf("a missing ca_file: %v", err)
	}
}
