package rpc

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

var plugCode = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "plug")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	path := filepath.Join(dir, "plug")
	if out, err := exec.Command("go", "build", "-o", path, "./testdata/plug").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w: %s", err, out)
	}
	return os.ReadFile(path)
})

// services note what a plugin asks of its host.
type services struct {
	mu        sync.Mutex
	published []string
	hops      uint8
	metrics   map[string]float64
	put       []int
	delivered []int
}

func (s *services) Publish(record []byte, hops uint8) error {
	r, _, err := contract.Split(record)
	if err != nil {
		return contract.ErrnoInvalid
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hops = hops
	s.published = append(s.published, string(r.Slot(contract.SlotTopic)))
	return nil
}

func (s *services) PublishKept(record []byte, hops uint8, done func(error)) error {
	done(s.Publish(record, hops))
	return nil
}

func (s *services) PublishOnce(key string, ttl time.Duration, record []byte, done func(error)) error {
	if key == "denied" {
		return contract.ErrnoDenied
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published = append(s.published, fmt.Sprintf("%s %s %d", key, ttl, min(len(record), 1)))
	done(nil)
	return nil
}

func (s *services) Add(name string, _ int32, v float64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metrics[name] += v
	return nil
}

func (s *services) metric(name string) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.metrics[name]
}

// records are the topicstore services of one call.
type records struct{ s *services }

func (r records) Put(i int, _ time.Duration) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.put = append(r.s.put, i)
	return nil
}

func (r records) Deliver(i int) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.delivered = append(r.s.delivered, i)
	return nil
}

func (records) Delete(int) error { return contract.ErrnoNotFound }
func (records) Count(string) int { return 0 }

// rig is an open process plugin.
type rig struct {
	t        *testing.T
	inst     plugin.Instance
	services *services
	logs     *observer.ObservedLogs
}

func spec(code []byte, s *services, log *zap.Logger) *plugin.Spec {
	sp := &plugin.Spec{
		Name: "plug", Manifest: &manifest.Manifest{Name: "plug"}, Code: code, Path: "plug", Config: []byte("{}"),
		Grants: []string{"publish", "topicstore", "metric"}, Log: log, Node: "n",
		Services: plugin.Services{Publish: s, Metrics: s, TopicStore: true, Now: time.Now},
	}
	for _, h := range []contract.Hook{contract.HookPublish, contract.HookPublished, contract.HookRetainedStore, contract.HookRetainedRead} {
		sp.Hooks = append(sp.Hooks, plugin.HookSpec{Hook: h, Timeout: 5 * time.Second, Park: 10 * time.Second})
	}
	return sp
}

func open(t *testing.T, cfg Config, change func(*plugin.Spec)) *rig {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Fatal("the tests of this package need signals")
	}
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	code, err := plugCode()
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	r := &rig{t: t, services: &services{metrics: map[string]float64{}}, logs: logs}
	sp := spec(code, r.services, zap.New(core))
	if change != nil {
		change(sp)
	}
	tr := New(cfg)
	t.Cleanup(tr.Close)
	if r.inst, err = tr.Open(t.Context(), sp); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := r.inst.Close(ctx); err != nil && r.inst.Status().State != plugin.StateClosed {
			t.Error(err)
		}
	})
	return r
}

// frame makes a call about messages with the given payloads.
func frame(h contract.Hook, payloads ...string) *plugin.Call {
	var w contract.Writer
	for _, p := range payloads {
		w.Begin(contract.Header{Hook: h, Conn: 1})
		w.String(contract.SlotTopic, "t")
		w.String(contract.SlotPayload, p)
		w.End()
	}
	return &plugin.Call{Hook: h, Frame: w.Frame(), N: len(payloads), Key: 1}
}

// ask returns the payloads that the plugin made of others.
func (r *rig) ask(payloads ...string) ([]string, error) {
	c := frame(contract.HookPublish, payloads...)
	if err := r.inst.Call(context.Background(), c); err != nil {
		return nil, err
	}
	var out []string
	for i := range payloads {
		v, err := c.Verdict(i)
		if err != nil {
			return nil, err
		}
		b, _ := v.Ext(contract.ExtPayload)
		out = append(out, string(b))
	}
	return out, nil
}

func (r *rig) pid() int { return r.inst.Status().PID }

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in 20 s: %s", what)
		}
		tick := time.NewTimer(2 * time.Millisecond)
		<-tick.C
	}
}

func alive(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(state), ") Z ")
}

// kill ends a process as the system does when memory is short.
func kill(t *testing.T, pid int) {
	t.Helper()
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
}
