//go:build !wasip1

package plugintest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/schedule"
	"github.com/dunlinmq/dunlin/core/store/mem"
)

// Host is the broker's own plugin manager with its real hosts and one plugin, which
// has all that its operator grants: for plugins that decide later, or use the
// capabilities kv, timer, http, hash and session.
type Host struct {
	Points  *hook.Points
	Manager *plugin.Manager
	Clients map[string]*hook.Client // that are connected; not to be changed while the plugin is asked

	mu        sync.Mutex
	kicked    []string           // guarded by mu
	published []*message.Message // guarded by mu
	due       []*message.Message // guarded by mu
}

// Start builds the plugin as kind and loads it with operator, the text of an
// etc/plugins/<name>.toml; schema.json of the test's directory is used if it is
// there. The error is that of the load. It is closed with the test.
func (src Source) Start(t testing.TB, kind Kind, operator string) (*Host, error) {
	t.Helper()
	p, err := src.prepare(t)
	if err != nil {
		return nil, err
	}
	text := src.Manifest
	if text == nil {
		if text, err = os.ReadFile("plugin.toml"); err != nil {
			return nil, err
		}
	}
	name := p.Manifest.Name
	artefact := name
	if kind == WASM {
		artefact += ".wasm"
	}
	files := map[string][]byte{
		"plugins/" + name + "/plugin.toml": text, "plugins/" + name + "/" + artefact: src.build(t, kind),
		"etc/" + name + ".toml": []byte(operator), "loaded_plugins": fmt.Appendf(nil, "{%s, true}.\n", name),
	}
	if schema := p.Manifest.ConfigSchema; schema != "" {
		if files["plugins/"+name+"/"+schema], err = os.ReadFile(schema); err != nil {
			return nil, err
		}
	}
	dir := t.TempDir()
	for file, content := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, content, 0o755); err != nil {
			return nil, err
		}
	}
	return start(t, dir)
}

// start starts the manager over the files in dir.
func start(t testing.TB, dir string) (*Host, error) {
	t.Helper()
	h := &Host{Points: &hook.Points{}, Clients: map[string]*hook.Client{}}
	ready := make(chan struct{})
	close(ready)
	later, err := schedule.Open(t.Context(), schedule.Config{Journal: journal.New(mem.New()), Publish: h.publishDue, Ready: ready, Log: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	h.Manager = plugin.New(plugin.Config{
		Loaded: filepath.Join(dir, "loaded_plugins"), Dirs: []string{filepath.Join(dir, "plugins")}, ConfigDir: filepath.Join(dir, "etc"),
		Trust: manifest.Trust{AllowUnpinned: true}, Node: Node, Version: "0.0.0-test", Hooks: h.Points, Sessions: sessions{h},
		Publish: h.publish, Schedules: later,
		WASM: transport(t, WASM), Process: transport(t, Process),
		Secrets: manifest.Secrets{Env: os.LookupEnv, Dir: filepath.Join(dir, "etc")}, Log: zap.NewNop(),
	})
	if err := h.Manager.StartAll(t.Context()); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := h.Manager.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return h, nil
}

func (h *Host) publish(ms []*message.Message) (refused int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.published = append(h.published, ms...)
	return 0
}

// publishDue takes messages that a plugin has delayed.
func (h *Host) publishDue(ms []*message.Message) []packet.ReasonCode {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.due = append(h.due, ms...)
	return make([]packet.ReasonCode, len(ms))
}

// Due is what the plugin has delayed and the broker published by now.
func (h *Host) Due() []*message.Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.due)
}

// Publish asks about messages as the broker does before it routes them.
func (h *Host) Publish(es []hook.PublishEvent) {
	for _, ask := range h.Points.MessagePublish.Chain() {
		ask(es)
	}
}

// Published is what the plugin has published by now.
func (h *Host) Published() []*message.Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.published)
}

// Kicked names the clients that the plugin has kicked by now.
func (h *Host) Kicked() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.kicked)
}

// sessions is the broker's view of its clients.
type sessions struct{ h *Host }

// Client implements plugin.Sessions.
func (s sessions) Client(id string) *hook.Client { return s.h.Clients[id] }

// Kick implements plugin.Sessions.
func (s sessions) Kick(id string) bool {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.kicked = append(s.h.kicked, id)
	return s.h.Clients[id] != nil
}

// verdictPatience is how long a verdict that comes later may take.
const verdictPatience = time.Minute + 10*time.Second

// Login asks about a client with a user name and a password and waits for the
// verdict, as its connection would.
func (h *Host) Login(t testing.TB, id, user, password string) *hook.AuthEvent {
	t.Helper()
	e := &hook.AuthEvent{Client: &hook.Client{ID: id, Username: user, HasUsername: true, Conn: 1}, Password: []byte(password)}
	h.Ask(t, e)
	return e
}

// Ask asks about a login and waits for the verdict; e carries it.
func (h *Host) Ask(t testing.TB, e *hook.AuthEvent) {
	t.Helper()
	h.wait(t, func(k *hook.Parking) bool {
		e.Park = k
		return h.Points.ClientAuthenticate.Walk(k, func(fn hook.Intercept[hook.AuthEvent]) bool {
			if e.Verdict == hook.Next {
				fn(e)
			}
			return e.Verdict == hook.Next
		})
	})
}

// Check asks about publishing and subscribing and waits for the verdicts.
func (h *Host) Check(t testing.TB, es []hook.ACLEvent) {
	t.Helper()
	h.wait(t, func(k *hook.Parking) bool {
		for i := range es {
			es[i].Park = k
		}
		return h.Points.ClientCheckACL.Walk(k, func(fn hook.InterceptMany[hook.ACLEvent]) bool { fn(es); return true })
	})
}

// wait walks through a chain until nothing waits any more.
func (h *Host) wait(t testing.TB, walk func(k *hook.Parking) bool) {
	t.Helper()
	woken := make(chan struct{}, 64)
	k := hook.NewParking(func() { woken <- struct{}{} })
	end := time.After(verdictPatience)
	for walk(k) {
		for !k.Settle(time.Now().UnixNano()) {
			late := time.NewTimer(max(time.Millisecond, time.Until(time.Unix(0, k.Deadline()))))
			select {
			case <-woken:
			case <-late.C:
			case <-end:
				t.Fatal("no verdict")
			}
			late.Stop()
		}
	}
}
