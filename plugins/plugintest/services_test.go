//go:build !wasip1

package plugintest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
)

const askerManifest = `name = "asker"
version = "0.1.0"
license = "Apache-2.0"
abi = 1
capabilities = ["http", "timer", "hash", "kv", "session"]
memory_pages = 512
max_instances = 2

[[hook]]
name = "authenticate"
class = "intercept"
`

// clients is a broker's view of its clients.
type clients struct{ kicked atomic.Int64 }

func (c *clients) Client(id string) *hook.Client {
	if id != "known" {
		return nil
	}
	return &hook.Client{ID: id, Username: "user", HasUsername: true, KeepAlive: 60}
}

func (c *clients) Kick(string) bool { c.kicked.Add(1); return true }

// node is a plugin manager with the real hosts and one plugin.
type node struct {
	t       *testing.T
	points  *hook.Points
	manager *plugin.Manager
	clients *clients
}

// startAsker loads the plugin as kind with the grants of the operator's file.
func startAsker(t *testing.T, kind Kind, operator string) (*node, error) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, text []byte, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, mode); err != nil {
			t.Fatal(err)
		}
	}
	file := "plugins/asker/asker"
	if kind == WASM {
		file += ".wasm"
	}
	write(file, Source{Package: "./testdata/asker"}.build(t, kind), 0o755)
	write("plugins/asker/plugin.toml", []byte(askerManifest), 0o644)
	write("etc/asker.toml", []byte(operator), 0o644)
	write("loaded_plugins", []byte("asker.\n"), 0o644)
	n := &node{t: t, points: &hook.Points{}, clients: &clients{}}
	cfg := plugin.Config{
		Loaded: filepath.Join(dir, "loaded_plugins"), Dirs: []string{filepath.Join(dir, "plugins")}, ConfigDir: filepath.Join(dir, "etc"),
		AllowUnpinned: true, Node: Node, Hooks: n.points, Sessions: n.clients, Publish: func([]*message.Message) {},
		Secrets: manifest.Secrets{Env: os.LookupEnv, Dir: dir}, Log: zap.NewNop(),
	}
	cfg.WASM, cfg.Process = transport(t, WASM), transport(t, Process)
	n.manager = plugin.New(cfg)
	if err := n.manager.StartAll(t.Context()); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := n.manager.Close(); err != nil {
			t.Error(err)
		}
	})
	return n, nil
}

// login asks about a client and waits for the verdict, as its connection would.
func (n *node) login(id, user, password string) *hook.AuthEvent {
	n.t.Helper()
	woken := make(chan struct{}, 16)
	k := hook.NewParking(func() { woken <- struct{}{} })
	e := &hook.AuthEvent{Client: &hook.Client{ID: id, Username: user, HasUsername: true, Conn: 1}, Password: []byte(password), Park: k}
	ask := func() bool {
		return n.points.ClientAuthenticate.Walk(k, func(fn hook.Intercept[hook.AuthEvent]) bool { fn(e); return e.Verdict == hook.Next })
	}
	if !ask() {
		return e
	}
	end := time.After(30 * time.Second)
	for !k.Settle(time.Now().UnixNano()) {
		select {
		case <-woken:
		case <-time.After(max(time.Millisecond, time.Until(time.Unix(0, k.Deadline())))):
		case <-end:
			n.t.Fatalf("%s: no verdict", user)
		}
	}
	return e
}

func granted(url string) string {
	return fmt.Sprintf("[plugin]\ngrant = [\"http:%s\", \"timer\", \"hash\", \"kv\", \"session\"]\n", url)
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
			if e := n.login("c1", "http", s.URL+"/auth"); e.Verdict != hook.Allow || e.Client.Principal != "for c1" || e.Client.Tenant != "acme" {
				t.Errorf("http: %v %q, %+v", e.Verdict, e.Text, e.Client)
			}
			for _, c := range []struct{ user, password, want string }{
				{"http", s.URL + "/none", "status 404 "}, {"http", "http://192.0.2.1/x", "denied"}, {"http", "noise", "denied"},
				{"hash", "Hello World!", "wrong "}, {"nohash", "x", "wrong not a password hash that is known here"},
				{"session", "unknown", "not found"}, {"session", "known", "known user 60, <nil>"},
				{"kv", "k", "not found,<nil>,not found,<nil>,true <nil> 5 11,<nil>,not found,invalid arguments"},
			} {
				if e := n.login("c2", c.user, c.password); e.Verdict != hook.Deny || e.Text != c.want {
					t.Errorf("%s %s: %v %q, want %q", c.user, c.password, e.Verdict, e.Text, c.want)
				}
			}
			for user, password := range map[string]string{"hash": "Hello world!", "timer": ""} {
				if e := n.login("c3", user, password); e.Verdict != hook.Allow {
					t.Errorf("%s: %v %q", user, e.Verdict, e.Text)
				}
			}
			if e := n.login("c4", "never", ""); e.Verdict != hook.Deny || e.Reason != packet.ServerUnavailable {
				t.Errorf("never: %v %v", e.Verdict, e.Reason)
			}
			// A guest that faults with the answer is asked again once, then the hook's
			// on_error holds; the next login meets a new guest.
			if e := n.login("c5", "crash", ""); e.Verdict != hook.Deny || e.Reason != packet.ServerUnavailable {
				t.Errorf("crash: %v %v", e.Verdict, e.Reason)
			}
			if e := n.login("c6", "timer", ""); e.Verdict != hook.Allow {
				t.Errorf("after the crash: %v %q", e.Verdict, e.Text)
			}
			if i := n.manager.List()[0]; n.clients.kicked.Load() != 1 || i.Parked != 0 || i.Overdue != 1 {
				t.Errorf("%d kicked, %d parked, %d overdue", n.clients.kicked.Load(), i.Parked, i.Overdue)
			}
		})
	}
}

// What is not granted stops the load, with the words of the grant.
func TestCapabilitiesNotGranted(t *testing.T) {
	for grant, want := range map[string]string{
		`["timer", "hash", "kv", "session"]`:                             `"http"`,
		`["http:https://a.example", "hash", "kv", "session"]`:            `"timer"`,
		`["http", "timer", "hash", "kv", "session"]`:                     "say which servers may be asked",
		`["http:ftp://a.example", "timer", "hash", "kv", "session"]`:     "want http://host[:port] or https://host[:port]",
		`["http:https://a.example/x", "timer", "hash", "kv", "session"]`: "want http://host[:port] or https://host[:port]",
	} {
		if _, err := startAsker(t, WASM, "[plugin]\ngrant = "+grant+"\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", grant, err, want)
		}
	}
	if _, err := startAsker(t, WASM, granted("https://a.example")+"[plugin.http]\nca_file = \"missing.pem\"\n"); err == nil || !strings.Contains(err.Error(), "missing.pem") {
		t.Errorf("a missing ca_file: %v", err)
	}
}
