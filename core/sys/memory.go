package sys

import (
	"context"
	"fmt"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// Level is an amount of memory: bytes, or a share of what the process may have.
type Level struct {
	Bytes int64
	Share float64 // 0: Bytes counts
}

// of is the level in bytes; 0: unknown or off.
func (l Level) of(total int64) int64 {
	if l.Share > 0 {
		return int64(l.Share * float64(total))
	}
	return l.Bytes
}

// MemoryConfig says when the node takes no further clients. The zero value of
// High switches the policy off.
type MemoryConfig struct {
	High  Level         // memory.high_watermark: from here on new connections are refused
	Low   Level         // memory.low_watermark: until use has fallen below this
	Every time.Duration // memory.check_interval; default 1 s
}

// HighMemory is the alarm of [Memory].
const HighMemory = "high_process_memory_usage"

// Memory watches what the process uses and says when it is too much: better to
// refuse clients than to be killed with all of them.
type Memory struct {
	// Immutable.
	high, low int64 // 0: off
	every     time.Duration
	alarms    *Alarms
	used      func() int64

	over atomic.Bool
}

// NewMemory returns a Memory that has not looked yet. total is what the process
// may use, in bytes, and used tells what it does; see [MemoryTotal] and
// [MemoryUsed].
func NewMemory(cfg MemoryConfig, alarms *Alarms, total int64, used func() int64) (*Memory, error) {
	m := &Memory{high: cfg.High.of(total), low: cfg.Low.of(total), every: cfg.Every, alarms: alarms, used: used}
	if m.every <= 0 {
		m.every = time.Second
	}
	if m.high > 0 && (m.low <= 0 || m.low > m.high) {
		return nil, fmt.Errorf("memory.low_watermark (%d bytes) must be between 0 and memory.high_watermark (%d bytes)", m.low, m.high)
	}
	return m, nil
}

// After makes m go on where old, whose Run has returned, has stopped: a node
// that refuses clients does so until use has fallen below m's low level.
func (m *Memory) After(old *Memory) {
	switch over := old.over.Load(); {
	case over && m.high > 0:
		m.over.Store(true)
	case over:
		m.alarms.Deactivate(HighMemory)
	}
}

// High is the level from which on connections are refused, in bytes; 0: never.
func (m *Memory) High() int64 { return m.high }

// Over tells whether new clients are to be refused.
func (m *Memory) Over() bool { return m.over.Load() }

// Run looks until ctx ends.
func (m *Memory) Run(ctx context.Context) error {
	if m.high <= 0 {
		<-ctx.Done()
		return nil
	}
	t := time.NewTicker(m.every)
	defer t.Stop()
	for {
		m.look()
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (m *Memory) look() {
	used := m.used()
	switch over := m.over.Load(); {
	case !over && used >= m.high:
		m.over.Store(true)
		m.alarms.Activate(HighMemory, "the process uses too much memory: new connections are refused",
			map[string]any{"used": used, "high_watermark": m.high, "low_watermark": m.low})
	case over && used < m.low:
		m.over.Store(false)
		m.alarms.Deactivate(HighMemory)
	}
}

// runtimeMemory is what the Go runtime holds, the measure of GOMEMLIMIT.
func runtimeMemory() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64()) - int64(s[1].Value.Uint64())
}
