//go:build !linux

package load

import (
	"net/netip"
	"time"
)

// engine is the clock of a worker whose connections are all streams.
type engine struct{ worker *worker }

func newEngine(w *worker) (*engine, error) { return &engine{w}, nil }

// wake is not needed: a wait is short.
func (e *engine) wake() {}

// dial begins a connection. Called with the worker's lock.
func (e *engine) dial(c *client, from netip.Addr) { dialStream(c, from) }

// run looks after the clients until stop is closed.
func (e *engine) run(stop <-chan struct{}) {
	every := 20 * time.Millisecond
	if e.worker.run.cfg.Flow.Rate > 0 {
		every = time.Millisecond
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	w := e.worker
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		w.mu.Lock()
		w.now = w.run.clock.now()
		w.due()
		w.keep()
		w.settle()
		w.mu.Unlock()
	}
}
