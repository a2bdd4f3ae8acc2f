package rpc

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// A frame that was open when the process died is sent again, and counted.
func TestRetriesAreCounted(t *testing.T) {
	r := open(t, Config{MaxFaults: 100}, nil)
	if _, err := r.ask("fine"); err != nil {
		t.Fatal(err)
	}
	if n := r.inst.Status().Retries; n != 0 {
		t.Errorf("%d retries before a fault", n)
	}
	if _, err := r.ask("crash"); err == nil || !strings.Contains(err.Error(), "died 3 times") {
		t.Fatal(err)
	}
	if n := r.inst.Status().Retries; n != 2 { // three tries
		t.Errorf("%d retries", n)
	}
}

// Host calls are counted by capability.
func TestHostCallsAreCounted(t *testing.T) {
	r := open(t, Config{}, nil)
	before := r.inst.Status().HostCalls
	if err := r.inst.Call(t.Context(), frame(contract.HookPublish, "publish")); err != nil {
		t.Fatal(err)
	}
	after := r.inst.Status().HostCalls
	if after["publish"] != before["publish"]+1 || after["kv"] != before["kv"] {
		t.Errorf("from %v to %v", before, after)
	}
	c := frame(contract.HookPublished, "a", "b")
	c.Observe = true
	if err := r.inst.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if n := r.inst.Status().HostCalls["metric"]; n != before["metric"]+2 {
		t.Errorf("%d calls about metrics", n)
	}
}

// Every call of the contract has a capability; what is none is not counted.
func TestCapabilitiesOfCalls(t *testing.T) {
	var h hostCounts
	for c := contract.CallLog; c <= contract.CallScheduleFind; c++ {
		if none := c == 23; (capabilities[c] == "") != none { // 23 was never given out
			t.Errorf("call %d is counted as %q", c, capabilities[c])
		}
	}
	h.count(contract.CallKVGet)
	h.count(contract.CallKVCas)
	h.count(contract.CallScheduleCount)
	h.count(0)
	h.count(1 << 31)
	if got, want := h.list(), map[string]uint64{"kv": 2, "schedule": 1}; !maps.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}

// The times of a process stand behind its name, which may hold spaces and parentheses.
func TestCPUOf(t *testing.T) {
	for line, want := range map[string]time.Duration{
		"42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20": 1750 * time.Millisecond,
		"42 (plug) S 1 2 3 4 5 6 7 8 9 10 0 0 0 0 20":       0,
		"42 (plug) S 1 2": 0,
		"":                0,
	} {
		if got := cpuOf(line); got != want {
			t.Errorf("%q: %v, not %v", line, got, want)
		}
	}
}

// A process that works uses the processor, and the status says so.
func TestCPUIsTold(t *testing.T) {
	r := open(t, Config{}, nil)
	before := r.inst.Status().CPU
	eventually(t, "time of the processor", func() bool {
		for range 50 {
			if _, err := r.ask("fine"); err != nil {
				t.Fatal(err)
			}
		}
		return r.inst.Status().CPU > before
	})
}
