package sys

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryPolicyHasHysteresis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alarms, _, _ := alarming(t, AlarmsConfig{})
		var used atomic.Int64
		m, err := NewMemory(MemoryConfig{High: Level{Share: 0.8}, Low: Level{Bytes: 600}}, alarms, 1000, used.Load)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		for _, step := range []struct {
			used   int64
			over   bool
			active int
		}{
			{100, false, 0}, {799, false, 0}, {800, true, 1}, {900, true, 1}, {700, true, 1}, {600, true, 1},
			{599, false, 0}, {799, false, 0}, {801, true, 1},
		} {
			used.Store(step.used)
			pass(time.Second)
			if m.Over() != step.over || len(alarms.Current()) != step.active {
				t.Errorf("%d bytes: over %v with %d alarms, want %+v", step.used, m.Over(), len(alarms.Current()), step)
			}
		}
		if a := alarms.Current()[0]; a.Name != HighMemory || a.Details["high_watermark"] != int64(800) {
			t.Errorf("alarm %+v", a)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestMemoryPolicyCanBeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alarms, _, _ := alarming(t, AlarmsConfig{})
		for _, cfg := range []MemoryConfig{{}, {High: Level{Share: 0.8}}} {
			m, err := NewMemory(cfg, alarms, 0, func() int64 { return 1 << 60 }) // the total is not known
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if err := m.Run(ctx); err != nil || m.Over() {
				t.Errorf("%+v: %v, over %v", cfg, err, m.Over())
			}
			cancel()
		}
	})
}

func TestMemoryLevelsFit(t *testing.T) {
	for _, cfg := range []MemoryConfig{
		{High: Level{Bytes: 10}, Low: Level{Bytes: 11}},
		{High: Level{Share: 0.5}, Low: Level{Share: 0.6}},
		{High: Level{Bytes: 10}},
	} {
		if _, err := NewMemory(cfg, nil, 100, MemoryUsed); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

// What is measured follows what the process takes.
func TestMemoryUsed(t *testing.T) {
	debug.FreeOSMemory() // so that the block does not fit into what others have left
	before := MemoryUsed()
	block := make([]byte, 64<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	after := MemoryUsed()
	if before <= 0 || after-before < 48<<20 {
		t.Errorf("%d bytes before, %d after taking %d", before, after, len(block))
	}
	if total := MemoryTotal(); total != 0 && total < after {
		t.Errorf("the process uses %d of %d bytes", after, total)
	}
	if n := runtimeMemory(); n < 64<<20 {
		t.Errorf("the runtime holds %d bytes", n)
	}
	block[0] = 2
}
