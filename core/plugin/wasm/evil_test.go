package wasm

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Whatever a guest does, its record fails in bounded time, the records beside
// it are answered, and the next call works.
func TestEvilRecords(t *testing.T) {
	for _, e := range []struct {
		name string
		act  uint32
		want string
	}{
		{"trap", 10, "unreachable"},
		{"endless loop", 11, "out of fuel"},
		{"exponential call tree", 12, "out of fuel"},
		{"endless recursion", 13, ""}, // fuel or stack, whichever ends first
		{"endless memory.fill", 14, "out of fuel"},
		{"memory bomb", 15, "out of fuel"},
		{"log flood", 16, "out of fuel"},
		{"panic with words", 17, "unreachable: panic: the guest is unwell"},
		{"exit", 18, "exited with code 3"},
		{"verdicts outside the memory", 19, "outside the memory"},
		{"short verdicts", 20, "bad verdict block"},
		{"endless verdicts", 21, "outside the memory"},
		{"random number flood", 22, "out of fuel"},
		{"sleep", 23, "out of fuel"},
		{"unknown action", 9, "bad verdict block"},
		{"action of another hook", uint32(contract.Drop), "bad verdict block"},
	} {
		t.Run(e.name, func(t *testing.T) {
			p := open(t, 1, spec(t, read(t, "acts.wasm")))
			c := frame(1, 1, 1, e.act, 2, 1)
			start := time.Now()
			call(t, p, c)
			took := time.Since(start)
			for i, want := range []contract.Action{1, 1, 0, 2, 1} {
				v, err := c.Verdict(i)
				switch {
				case i == 2 && (err == nil || !strings.Contains(err.Error(), e.want)):
					t.Errorf("evil record: %v, %v", v.Action, err)
				case i != 2 && (err != nil || v.Action != want):
					t.Errorf("record %d: %v, %v", i, v.Action, err)
				}
			}
			// Two tries of the frame and a bisection: each is bounded by its fuel.
			if took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			t.Logf("%v, %d guests made anew", took, p.Status().Restarts)
			if v, err := one(t, p, 1); err != nil || v.Action != contract.Allow {
				t.Errorf("afterwards: %v, %v", v.Action, err)
			}
			if s := p.Status(); s.Faults == 0 || s.LastFault == "" || s.Instances != 1 || s.Memory > 64<<16 {
				t.Errorf("status %+v", s)
			}
		})
	}
}

// Pointers beyond the memory are refused by every host function.
func TestWildPointers(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	if v, err := one(t, p, 24); err != nil || v.CacheTTL != 24 {
		t.Errorf("%v, %v", v, err)
	}
}

// A fault that does not happen again costs nobody a verdict.
func TestRetryOnFreshGuest(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	c := frame(1, 47, 47) // the second traps only beside the first
	call(t, p, c)
	for i := range 2 {
		if _, err := c.Verdict(i); err != nil {
			t.Errorf("record %d: %v", i, err)
		}
	}
}

// A frame full of poison ends after a bounded number of faults.
func TestAllRecordsEvil(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	acts := make([]uint32, 64)
	for i := range acts {
		acts[i] = 10
	}
	c := frame(1, acts...)
	call(t, p, c)
	for i := range acts {
		if _, err := c.Verdict(i); err == nil {
			t.Fatalf("record %d has a verdict", i)
		}
	}
	if f := p.Status().Faults; f > maxFaults {
		t.Errorf("%d faults", f)
	}
}

// A plugin that always faults is given a rest; it works again afterwards.
func TestQuarantine(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	for key := range uint64(200) {
		c := frame(key, 10)
		call(t, p, c)
		if _, err := c.Verdict(0); err == nil {
			t.Fatal("no fault")
		} else if errors.Is(err, errFaultRate) {
			break
		}
	}
	if s := p.Status(); s.State != plugin.StateQuarantined || s.Faults > faultBurst+10 {
		t.Fatalf("status %+v", s)
	}
	if _, err := one(t, p, 1); !errors.Is(err, errFaultRate) {
		t.Fatalf("err = %v", err)
	}
	p.faults.mu.Lock()
	p.faults.last = p.faults.last.Add(-time.Second)
	p.faults.mu.Unlock()
	if v, err := one(t, p, 1); err != nil || v.Action != contract.Allow {
		t.Errorf("after the rest: %v, %v", v.Action, err)
	}
}

// While a guest runs as long as it may, the rest of the process does not stand
// still for long: this is the pause that a garbage collection sees.
func TestEvilGuestDoesNotStopTheWorld(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			_ = p.Call(context.Background(), frame(1, 11))
		}
	}()
	worst := time.Duration(0)
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		start := time.Now()
		runtime.GC()
		worst = max(worst, time.Since(start))
	}
	t.Logf("longest collection: %v", worst)
	if worst > 2*time.Second {
		t.Errorf("a collection took %v", worst)
	}
}

// Faults and output reach the log in a fit form.
func TestLog(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	s := spec(t, read(t, "acts.wasm"))
	s.Log = zap.New(core)
	p := open(t, 1, s)
	_, _ = one(t, p, 17)
	if n := logs.FilterMessage("panic: the guest is unwell").Len(); n == 0 {
		t.Error("stderr is not in the log")
	}
	if n := logs.FilterMessage("plugin fault").Len(); n != 2 {
		t.Errorf("%d faults in the log", n)
	}
	before := logs.Len()
	_, _ = one(t, p, 16)
	if n := logs.Len() - before; n < 100 || n > 20_000 {
		t.Errorf("a flood of %d lines", n)
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"fine", 10, "fine"},
		{" two\nlines\x00\x1b[0m ", 100, "two lines??[0m"},
		{"bad \xff\xfe utf8", 100, "bad ? utf8"},
		{"0123456789", 4, "0123... (10 bytes)"},
		{"ab\u00e9", 3, "ab... (4 bytes)"},
		{"ab\u00e9x", 4, "ab\u00e9... (5 bytes)"},
		{"", 0, ""},
	} {
		if got := clean([]byte(c.in), c.limit); got != c.want {
			t.Errorf("clean(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}
