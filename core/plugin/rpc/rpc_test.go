package rpc

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Verdicts come back to the records they are about; concurrent calls share frames.
func TestCalls(t *testing.T) {
	r := open(t, Config{}, nil)
	if set, known := r.inst.Hooks(); !known || !set.Has(contract.HookPublish) || set.Has(contract.HookACL) {
		t.Errorf("hooks %b", set)
	}
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for k := range 50 {
				a, b := fmt.Sprintf("%d-%d", g, k), strings.Repeat("x", k)
				got, err := r.ask(a, b, a)
				if err != nil || got[0] != a || got[1] != b || got[2] != a {
					t.Errorf("got %q, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	st := r.inst.Status()
	if st.State != plugin.StateRunning || st.Calls != 800 || st.Records != 2400 || st.Faults != 0 || st.Instances != 1 {
		t.Errorf("status %+v", st)
	}
	if runtime.GOOS == "linux" && st.Memory == 0 {
		t.Error("no memory in the status")
	}
}

// The process gets no environment of the broker's and runs the bytes that were
// hashed.
func TestEnvironment(t *testing.T) {
	t.Setenv("DUNLIN_TEST_SECRET", "secret")
	r := open(t, Config{}, nil)
	got, err := r.ask("env", "pid")
	if err != nil || strings.TrimSpace(got[0]) != "" {
		t.Errorf("environment %q, %v", got, err)
	}
	if got[1] != strconv.Itoa(r.pid()) {
		t.Errorf("pid %s, status says %d", got[1], r.pid())
	}
}

// kill -9 under load: every call is answered, since open frames go to the next
// process.
func TestKillLosesNothing(t *testing.T) {
	r := open(t, Config{MaxFaults: 100}, nil)
	var stop atomic.Bool
	var done, failed atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for k := 0; !stop.Load(); k++ {
				want := fmt.Sprintf("%d-%d", g, k)
				got, err := r.ask(want)
				if err != nil || got[0] != want {
					failed.Add(1)
					t.Errorf("got %q, %v", got, err)
				}
				done.Add(1)
			}
		})
	}
	for range 3 {
		at, pid := done.Load(), r.pid()
		eventually(t, "calls go on", func() bool { return done.Load() > at+100 })
		kill(t, pid)
		eventually(t, "another process", func() bool { p := r.pid(); return p != 0 && p != pid })
	}
	at := done.Load()
	eventually(t, "calls go on", func() bool { return done.Load() > at+100 })
	stop.Store(true)
	wg.Wait()
	if st := r.inst.Status(); st.Restarts != 3 || st.Faults != 3 || failed.Load() != 0 {
		t.Errorf("%d of %d calls failed, status %+v", failed.Load(), done.Load(), st)
	}
}

// A frame that kills the process again and again is given up; the others are not.
func TestPoison(t *testing.T) {
	r := open(t, Config{MaxFaults: 100}, nil)
	if _, err := r.ask("crash"); err == nil || !strings.Contains(err.Error(), "died 3 times") {
		t.Errorf("error %v", err)
	}
	if got, err := r.ask("fine"); err != nil || got[0] != "fine" {
		t.Errorf("%q, %v", got, err)
	}
	if r.logs.FilterMessage("about to crash").Len() != 3 {
		t.Errorf("stderr is not in the log: %v", r.logs.All())
	}
}

// Too many faults: the plugin is quarantined, and says so, until it is reloaded.
func TestQuarantine(t *testing.T) {
	r := open(t, Config{MaxFaults: 2}, nil)
	if _, err := r.ask("crash"); err == nil || !strings.Contains(err.Error(), "quarantined") {
		t.Errorf("error %v", err)
	}
	if _, err := r.ask("fine"); err == nil || !strings.Contains(err.Error(), "quarantined") {
		t.Errorf("error %v", err)
	}
	if st := r.inst.Status(); st.State != plugin.StateQuarantined || st.Instances != 0 {
		t.Errorf("status %+v", st)
	}
}

// A plugin that does not answer costs its caller the timeout, and its process.
func TestHang(t *testing.T) {
	r := open(t, Config{Ping: 50 * time.Millisecond}, func(s *plugin.Spec) { s.Hooks[0].Timeout = 200 * time.Millisecond })
	pid := r.pid()
	start := time.Now()
	if _, err := r.ask("hang"); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took < 200*time.Millisecond || took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	eventually(t, "another process", func() bool { p := r.pid(); return p != 0 && p != pid })
	if got, err := r.ask("fine"); err != nil || got[0] != "fine" {
		t.Errorf("%q, %v", got, err)
	}
}

// A verdict block that breaks the contract is a fault, not a verdict.
func TestBadBlock(t *testing.T) {
	r := open(t, Config{}, nil)
	if _, err := r.ask("bad"); err == nil {
		t.Error("a verdict that the hook does not know was taken")
	}
	if st := r.inst.Status(); st.Faults != 1 || st.State != plugin.StateRunning {
		t.Errorf("status %+v", st)
	}
}

// What a plugin prints is in its log.
func TestPrinted(t *testing.T) {
	r := open(t, Config{}, nil)
	if _, err := r.ask("print"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lines", func() bool {
		return r.logs.FilterMessage("to stderr").Len() == 1 && r.logs.FilterMessage("to stdout").Len() == 1
	})
}

// Calls fail after their park time when no process comes back.
func TestParkEnds(t *testing.T) {
	r := open(t, Config{Backoff: []time.Duration{time.Hour}}, func(s *plugin.Spec) { s.Hooks[0].Park = 100 * time.Millisecond })
	pid := r.pid()
	kill(t, pid)
	eventually(t, "the loss is seen", func() bool { return r.inst.Status().State == plugin.StateRestarting })
	if _, err := r.ask("fine"); err == nil || !strings.Contains(err.Error(), "park") {
		t.Errorf("error %v", err)
	}
}

// Host calls: publish, counters, log lines and the topic store by record.
func TestHostCalls(t *testing.T) {
	r := open(t, Config{}, nil)
	c := frame(contract.HookPublish, "publish")
	c.Hops = 3
	if err := r.inst.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if s := r.services; len(s.published) != 1 || s.published[0] != "from/plug" || s.hops != 3 {
		t.Errorf("published %v with %d hops", s.published, s.hops)
	}
	c = frame(contract.HookPublished, "a", "b")
	c.Observe = true
	if err := r.inst.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := r.services.metric("1"); got != 2 {
		t.Errorf("counter %v", got)
	}
	eventually(t, "the log line", func() bool { return r.logs.FilterMessage("published t").Len() == 2 })

	c = frame(contract.HookRetainedStore, "a", "b")
	c.Records = records{r.services}
	if err := r.inst.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var w contract.Writer
	w.Begin(contract.Header{Hook: contract.HookRetainedRead})
	w.String(contract.SlotFilter, "#")
	w.End()
	c2 := &plugin.Call{Hook: contract.HookRetainedRead, Frame: w.Frame(), N: 1, Records: records{r.services}}
	if err := r.inst.Call(t.Context(), c2); err != nil {
		t.Fatal(err)
	}
	if s := r.services; len(s.put) != 2 || s.put[0] != 0 || s.put[1] != 1 || len(s.delivered) != 1 {
		t.Errorf("put %v, delivered %v", s.put, s.delivered)
	}
	if v, err := c.Verdict(1); err != nil || v.Action != contract.Allow {
		t.Errorf("verdict %v, %v", v.Action, err)
	}
}

// What does not start says why, and leaves nothing behind.
func TestDoesNotStart(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, leaks)
	code, err := plugCode()
	if err != nil {
		t.Fatal(err)
	}
	tr := New(Config{StartTimeout: 500 * time.Millisecond})
	defer tr.Close()
	for name, tc := range map[string]struct {
		code   string
		config string
		want   string
	}{
		"no handshake":         {"#!/bin/sh\necho hello\n", "", "Unrecognized remote plugin message: hello"},
		"another version":      {"#!/bin/sh\necho '1|9|tcp|127.0.0.1:1|grpc|'\n", "", "ncompatible"},
		"another protocol":     {"#!/bin/sh\necho '1|1|tcp|127.0.0.1:1|netrpc|'\n", "", "unsupported plugin protocol"},
		"never answers":        {"#!/bin/sh\nexec sleep 1000\n", "", "timeout"},
		"exits":                {"#!/bin/sh\nexit 1\n", "", ""},
		"not an executable":    {"hello", "", "exec format error"},
		"refuses its settings": {string(code), `{"Refuse":true}`, "refuse is set"},
	} {
		cfg := tr
		if tc.config != "" {
			cfg = New(Config{})
			defer cfg.Close()
		}
		s := spec([]byte(tc.code), &services{}, zap.NewNop())
		s.Config = []byte(tc.config)
		inst, err := cfg.Open(t.Context(), s)
		if err == nil {
			_ = inst.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Close lets the process exit by itself and forgets it.
func TestClose(t *testing.T) {
	r := open(t, Config{}, nil)
	pid := r.pid()
	if err := r.inst.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is gone", func() bool { return !alive(pid) })
	if _, err := r.ask("x"); err != plugin.ErrClosed {
		t.Errorf("error %v", err)
	}
}
