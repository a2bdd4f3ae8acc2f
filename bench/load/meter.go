package load

import (
	"context"
	"fmt"
	"time"
)

// Phase is what a run is doing.
type Phase string

// The phases, in their order.
const (
	Connecting Phase = "connecting"
	WarmUp     Phase = "warming up"
	Measuring  Phase = "measuring"
	Draining   Phase = "draining"
)

// Progress is how a run goes.
type Progress struct {
	Phase    Phase
	Elapsed  time.Duration // since the phase began
	Of       time.Duration // how long it lasts; 0: nobody knows
	Ready    int64         // clients
	Clients  int
	Failed   int64
	Sent     float64 // messages a second since the last
	Received float64
	Cycles   float64
}

// Usage is what a process and its children have used, and hold now in bytes.
type Usage struct {
	CPU                    time.Duration // user and system
	Resident, Proportional int64
}

// meter takes a run through its phases and measures.
type meter struct {
	run      *run
	probe    *probe
	progress func(Progress)
	result   *Result

	phase     Phase
	began     time.Time
	of        time.Duration
	told      time.Time
	toldCount counts
}

// sum adds up what the workers have seen; cut: and starts their histograms anew.
func (m *meter) sum(cut bool) (c counts, lat hist) {
	for _, w := range m.run.workers {
		w.mu.Lock()
		c.add(&w.count)
		lat.merge(&w.latency)
		if cut {
			w.latency, w.measuring = hist{}, true
		}
		w.mu.Unlock()
	}
	return c, lat
}

func (m *meter) enter(p Phase, of time.Duration) {
	m.phase, m.began, m.of = p, time.Now(), of
	m.told = m.began
	m.toldCount, _ = m.sum(false)
	m.tell()
}

func (m *meter) tell() {
	c, _ := m.sum(false)
	p := Progress{Phase: m.phase, Elapsed: time.Since(m.began), Of: m.of, Ready: c.ready, Clients: len(m.run.all), Failed: c.failed}
	if s := time.Since(m.told).Seconds(); s > 0.1 {
		p.Sent = float64(c.sent-m.toldCount.sent) / s
		p.Received = float64(c.received-m.toldCount.received) / s
		p.Cycles = float64(c.cycles-m.toldCount.cycles) / s
		m.told, m.toldCount = time.Now(), c
	}
	m.progress(p)
}

// wait lets d pass and tells how it goes. False: ctx is done.
func (m *meter) wait(ctx context.Context, d time.Duration, until func() bool) bool {
	end := time.NewTimer(d)
	defer end.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-end.C:
			return true
		case <-look.C:
			if until != nil && until() {
				return true
			}
			if time.Since(m.told) >= time.Second {
				m.tell()
			}
		}
	}
}

// measure is the whole run.
func (m *meter) measure(ctx context.Context) error {
	r := m.run
	before := m.probe.read()
	m.enter(Connecting, 0)
	if r.cfg.Kind != Storm { // its connections are what is measured
		if err := r.connect(ctx, m.tell); err != nil {
			return err
		}
	}
	ramp := time.Since(m.began)
	connected, latency := m.sum(false)
	if r.cfg.Kind != Storm && connected.ready == 0 && ctx.Err() == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		return fmt.Errorf("none of %d clients got ready: %w", len(r.all), r.first)
	}
	up := m.probe.read()
	for _, w := range r.workers {
		w.flow(true, len(r.pubs))
	}
	if r.cfg.Kind != Conn {
		m.enter(WarmUp, r.cfg.Pace.Warm)
		m.wait(ctx, r.cfg.Pace.Warm, nil)
	}
	m.enter(Measuring, r.cfg.Pace.Duration)
	c0, _ := m.sum(r.cfg.Kind != Conn)
	p0, own0, t0 := m.probe.read(), ownTime(), time.Now()
	m.wait(ctx, r.cfg.Pace.Duration, m.finished)
	p1, own1, took := m.probe.read(), ownTime(), time.Since(t0)
	c1, lat := m.sum(false)
	for _, w := range r.workers {
		w.flow(false, 0)
	}
	m.drain(ctx)
	m.result = newResult(r, took, c0, c1)
	m.result.Interrupted = ctx.Err() != nil
	m.result.Latency = lat.latency()
	m.result.settle(m)
	if r.cfg.Kind != Storm {
		m.result.ramp(ramp, connected.ready, latency)
	}
	m.result.Generator = share(own1-own0, took)
	if r.cfg.PID != 0 {
		m.result.broker(brokerFigures{before, up, p0, p1}, took)
	}
	return nil
}

// finished tells whether all that was to be sent has been.
func (m *meter) finished() bool {
	if m.run.cfg.Flow.Limit == 0 {
		return false
	}
	for _, w := range m.run.workers {
		w.mu.Lock()
		done := true
		for _, p := range w.publishers {
			done = done && p.finished()
		}
		w.mu.Unlock()
		if !done {
			return false
		}
	}
	return true
}

// drainMost is how long a run waits for what is still under way, quiet how long
// nothing must have come.
const (
	drainMost = 10 * time.Second
	quiet     = time.Second
)

// drain waits for what is under way.
func (m *meter) drain(ctx context.Context) {
	if m.run.cfg.Kind == Conn || m.run.cfg.Kind == Sub || m.run.cfg.Kind == Storm {
		return
	}
	m.enter(Draining, 0)
	var last counts
	since := time.Now()
	m.wait(ctx, drainMost, func() bool {
		c, _ := m.sum(false)
		if c.received != last.received || c.acked != last.acked {
			last, since = c, time.Now()
		}
		return m.run.due(&c) == 0 || time.Since(since) > quiet
	})
}

// due is how many receptions and acknowledgements are still to come.
func (r *run) due(c *counts) uint64 {
	var want, due uint64
	for _, w := range r.workers {
		w.mu.Lock()
		for _, p := range w.publishers {
			want += p.next * p.fan
			due += uint64(p.underWay)
		}
		w.mu.Unlock()
	}
	if r.cfg.Kind != Pub {
		due += want - min(want, c.received)
	}
	return due
}
