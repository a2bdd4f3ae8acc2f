package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/config"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/topicstore"
)

// node is a server that runs without plugins and reads its configuration from
// text.
type node struct {
	*Server
	mu    sync.Mutex
	text  string // guarded by mu
	level string // of the last SetLog
}

const oneListener = "listener.tcp.a.bind = \"127.0.0.1:0\"\n"

func runNode(t *testing.T, text string) *node {
	t.Helper()
	home, err := os.MkdirTemp("", "dl") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if err := os.WriteFile(filepath.Join(home, "loaded_plugins"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n := &node{text: text}
	load := func() (*config.Config, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		return config.Parse("test.toml", []byte(n.text), config.Options{Home: home})
	}
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cfg.Node.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n.Server, err = New(ctx, cfg, Options{Version: "0", Log: zap.NewNop(), Stop: stop, Load: load,
		SetLog: func(l config.Log) { n.level = l.Level }})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return n
}

func (n *node) reloadAs(t *testing.T, text string) Reloaded {
	t.Helper()
	n.mu.Lock()
	n.text = text
	n.mu.Unlock()
	done, err := n.Reload()
	if err != nil {
		t.Fatalf("Reload of %q: %v", text, err)
	}
	return done
}

// Each part gets its hot keys at once.
func TestHotKeysReachTheirParts(t *testing.T) {
	n := runNode(t, oneListener)
	done := n.reloadAs(t, oneListener+`
topicstore.max_messages = 1
alarm.size_limit = 1
log.level = "error"
zone.external.enable_flapping_detect = true
zone.external.flapping_detect_policy = "3, 1m, 9m"
`)
	if len(done.Applied) != 5 || len(done.Restart) != 0 {
		t.Errorf("the reload says %+v", done)
	}
	for _, d := range done.Applied {
		if d.Change != config.ChangeHot {
			t.Errorf("%s is for %v", d.Key, d.Change)
		}
	}
	put := func(name string) error {
		return n.retained.Put(&message.Message{Topic: name, Payload: []byte("x")}, store.Memory)
	}
	if err := put("a"); err != nil {
		t.Errorf("the first message: %v", err)
	}
	if err := put("b"); !errors.Is(err, topicstore.ErrFull) {
		t.Errorf("the second message: %v, want ErrFull", err)
	}
	if first, second := n.guards.alarms.Activate("one", "", nil), n.guards.alarms.Activate("two", "", nil); !first || second {
		t.Errorf("alarms are activated: %v, %v", first, second)
	}
	if n.level != "error" {
		t.Errorf("the log's level is %q", n.level)
	}
	if n.hooks.ClientDisconnected.Chain() == nil {
		t.Error("nobody counts disconnections")
	}
	if want := (access.FlapPolicy{Count: 3, Window: time.Minute, Ban: 9 * time.Minute}); n.Config().Zones["external"].Flap != want {
		t.Errorf("the policy is %+v", n.Config().Zones["external"].Flap)
	}
}

// A zone in which nothing has changed is the same one, with its shared quota;
// one that is gone stays for the clients that it has.
func TestUnchangedZonesStay(t *testing.T) {
	n := runNode(t, oneListener+"[zone.shop]\n[zone.gone]\n")
	before := n.Config().Zones
	n.reloadAs(t, oneListener+"zone.shop.max_inflight = 3\n")
	after := n.Config().Zones
	if after["external"] != before["external"] || after["gone"] != before["gone"] {
		t.Error("a zone without a change is another one")
	}
	if after["shop"] == before["shop"] || after["shop"].Session.MaxInflight != 3 || before["shop"].Session.MaxInflight != 32 {
		t.Error("the zone with a change is the old one, or was written")
	}
}

// Listeners are changed as a whole or not at all, also when it goes wrong late.
func TestListenersAllOrNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	n := runNode(t, oneListener+"listener.tcp.old.bind = \"127.0.0.1:0\"\nlistener.tcp.old.backlog = 7\n")
	was := n.ports.list()
	n.mu.Lock()
	n.text = fmt.Sprintf("listener.tcp.a.bind = \"127.0.0.1:0\"\nlistener.tcp.a.max_connections = 5\nlistener.tcp.z.bind = %q\n", taken.Addr())
	n.mu.Unlock()
	before := n.Config()
	if _, err := n.Reload(); err == nil {
		t.Fatal("a taken port is no fault")
	}
	if n.Config() != before {
		t.Error("another configuration is in force")
	}
	now := n.ports.list()
	if len(now) != 2 || now[0] != was[0] || now[1] != was[1] {
		t.Fatalf("listeners are %v, were %v", now, was)
	}
	if cfg := now[0].Config(); cfg.MaxConnections != 1024000 {
		t.Errorf("a has max_connections %d", cfg.MaxConnections)
	}
	for _, l := range now {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Errorf("nobody listens any more: %v", err)
			continue
		}
		c.Close()
	}
}

// A port can go from a listener to another within one reload.
func TestListenerTakesAnothersPort(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	n := runNode(t, fmt.Sprintf("listener.tcp.a.bind = %q\n", addr))
	n.reloadAs(t, fmt.Sprintf("listener.tcp.b.bind = %q\n", addr))
	now := n.ports.list()
	if len(now) != 1 || now[0].Addr().String() != addr || n.ports.find("tcp:b") != now[0] || n.ports.find("tcp:a") != nil {
		t.Errorf("listeners are %v", now)
	}
}

// Reloads that come at once follow each other; the newest files stay.
func TestManyReloads(t *testing.T) {
	n := runNode(t, oneListener)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 3 {
				if _, err := n.Reload(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	files, err := filepath.Glob(filepath.Join(n.cfg.Node.DataDir, configsDir, "*"))
	if err != nil || len(files) == 0 || len(files) > configsKept {
		t.Errorf("%d files of configurations, %v", len(files), err)
	}
}

// steps is a part that says when it runs.
type steps struct {
	name string
	to   chan string
}

func (s *steps) Run(ctx context.Context) error {
	s.to <- s.name + " runs"
	<-ctx.Done()
	s.to <- s.name + " ends"
	return nil
}

// A part ends before the one that follows it is made.
func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := make(chan string, 10)
		r := newRelay(&steps{"one", to})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		synctest.Wait()
		r.replace(func(old *steps) *steps {
			to <- "made after " + old.name
			return &steps{"two", to}
		})
		synctest.Wait()
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		close(to)
		want := []string{"one runs", "one ends", "made after one", "two runs", "two ends"}
		for i := 0; ; i++ {
			got, more := <-to
			if !more {
				if i != len(want) {
					t.Errorf("%d steps, want %d", i, len(want))
				}
				return
			}
			if i >= len(want) || got != want[i] {
				t.Fatalf("step %d is %q, want %q", i, got, want[i:])
			}
		}
	})
}
