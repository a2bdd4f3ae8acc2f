package rules

import (
	"sync"
	"sync/atomic"
	"time"
)

// Metrics are a rule's counters (emqx4 §7.4).
type Metrics struct {
	matched   atomic.Uint64
	passed    atomic.Uint64
	noResult  atomic.Uint64
	exception atomic.Uint64

	mu sync.Mutex
	// Guarded by mu.
	lastError string
	errorAt   time.Time
	speed     meter
}

// Counts are the values of Metrics.
type Counts struct {
	Matched   uint64    `json:"matched"`
	Passed    uint64    `json:"passed"`
	NoResult  uint64    `json:"no_result"`
	Exception uint64    `json:"exception"`
	Failed    uint64    `json:"failed"` // no_result and exception
	Speed     float64   `json:"speed"`  // matched a second, over the last seconds
	SpeedMax  float64   `json:"speed_max"`
	Speed5m   float64   `json:"speed_last5m"`
	LastError string    `json:"last_error,omitempty"`
	ErrorAt   time.Time `json:"last_error_at,omitzero"`
}

func (m *Metrics) start(now time.Time) { m.speed.last = now }

func (m *Metrics) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastError, m.errorAt = err.Error(), time.Now()
}

// Tick lets a second or more pass for the speeds.
func (m *Metrics) Tick(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.speed.tick(now, m.matched.Load())
}

// Counts are the values now.
func (m *Metrics) Counts() Counts {
	c := Counts{Matched: m.matched.Load(), Passed: m.passed.Load(), NoResult: m.noResult.Load(), Exception: m.exception.Load()}
	c.Failed = c.NoResult + c.Exception
	m.mu.Lock()
	defer m.mu.Unlock()
	c.Speed, c.SpeedMax, c.Speed5m = m.speed.now, m.speed.max, m.speed.last5m()
	c.LastError, c.ErrorAt = m.lastError, m.errorAt
	return c
}

// Reset sets the counters to zero.
func (m *Metrics) Reset() {
	for _, c := range []*atomic.Uint64{&m.matched, &m.passed, &m.noResult, &m.exception} {
		c.Store(0)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastError, m.errorAt = "", time.Time{}
	m.speed = meter{last: m.speed.last}
}

// meter makes speeds of a counter: of the last tick, the highest, and the mean of
// the last five minutes.
type meter struct {
	last   time.Time
	count  uint64
	now    float64
	max    float64
	window [30]float64 // of ten seconds each
	filled int
	at     int
	sum    float64 // of the current ten seconds
	ticks  int
}

func (m *meter) tick(now time.Time, count uint64) {
	passed := now.Sub(m.last).Seconds()
	if passed <= 0 {
		return
	}
	m.now = float64(count-min(count, m.count)) / passed
	m.max = max(m.max, m.now)
	m.last, m.count = now, count
	m.sum += m.now
	if m.ticks++; m.ticks == 10 {
		m.window[m.at] = m.sum / 10
		m.at = (m.at + 1) % len(m.window)
		m.filled = min(m.filled+1, len(m.window))
		m.sum, m.ticks = 0, 0
	}
}

func (m *meter) last5m() float64 {
	if m.filled == 0 {
		if m.ticks == 0 {
			return 0
		}
		return m.sum / float64(m.ticks)
	}
	sum := 0.0
	for _, v := range m.window[:m.filled] {
		sum += v
	}
	return sum / float64(m.filled)
}

// ActionMetrics are an action's counters.
type ActionMetrics struct {
	taken   atomic.Uint64
	success atomic.Uint64
	failed  atomic.Uint64
}

// ActionCounts are the values of ActionMetrics.
type ActionCounts struct {
	ID      string `json:"id"`
	Taken   uint64 `json:"taken"`
	Success uint64 `json:"success"` // done, or safe in the sink's queue
	Failed  uint64 `json:"failed"`
}

// Actions are the counters of the rule's actions, fallbacks behind theirs.
func (r *Rule) Actions() []ActionCounts { return counts(r.actions, nil) }

func counts(list []*step, dst []ActionCounts) []ActionCounts {
	for _, s := range list {
		dst = append(dst, ActionCounts{s.id, s.metrics.taken.Load(), s.metrics.success.Load(), s.metrics.failed.Load()})
		dst = counts(s.fallbacks, dst)
	}
	return dst
}

// Reset sets the counters of the rule and of its actions to zero.
func (r *Rule) Reset() {
	r.Metrics.Reset()
	reset(r.actions)
}

func reset(list []*step) {
	for _, s := range list {
		for _, c := range []*atomic.Uint64{&s.metrics.taken, &s.metrics.success, &s.metrics.failed} {
			c.Store(0)
		}
		reset(s.fallbacks)
	}
}
