package sink

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
)

// Stats are the figures of a sink since it was started.
type Stats struct {
	Queued      int    // items that wait
	QueuedBytes int64  // their bytes
	Success     uint64 // items that have arrived
	Failed      uint64 // items that were refused for what they are
	Retried     uint64 // writes that were tried again
	Down        bool   // the last write or check failed
	Error       string // why; "" if up
	Since       time.Time
}

// Worker empties one queue into one driver. Run it once.
type Worker struct {
	// Immutable.
	cfg    Config
	queue  Queue
	driver Driver
	hears  Listener

	mu    sync.Mutex
	stats Stats // guarded by mu
}

// Listener hears of what befalls a sink, on the worker's goroutine but for the
// changes that Check finds. It must not block for long.
type Listener interface {
	// Dead is told of an item that will never be taken, with the reason.
	Dead(it Item, why error)
	// Health is told of each change between up and down; why is nil when up.
	Health(up bool, why error)
}

// NewWorker returns a worker for the queue and the driver.
func NewWorker(cfg Config, q Queue, d Driver, l Listener) *Worker {
	return &Worker{cfg: cfg.withDefaults(), queue: q, driver: d, hears: l, stats: Stats{Since: time.Now()}}
}

// Stats are the figures now.
func (w *Worker) Stats() Stats {
	w.mu.Lock()
	s := w.stats
	w.mu.Unlock()
	s.Queued, s.QueuedBytes = w.queue.Len()
	return s
}

// Check asks the other side and notes the answer.
func (w *Worker) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	err := w.driver.Check(ctx)
	if !errors.Is(ctx.Err(), context.Canceled) {
		w.note(err)
	}
	return err
}

// Run works until ctx ends. What is under way then stays in the queue.
func (w *Worker) Run(ctx context.Context) {
	pause := w.cfg.RetryMin
	for ctx.Err() == nil {
		n, err := w.once(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			w.count(func(s *Stats) { s.Retried++ })
			wait(ctx, jitter(pause))
			pause = min(2*pause, w.cfg.RetryMax)
			continue
		case n == 0:
			select {
			case <-ctx.Done():
			case <-w.queue.Ready():
				if w.cfg.BatchTime > 0 {
					w.gather(ctx)
				}
			}
		}
		pause = w.cfg.RetryMin
	}
}

// gather waits for a full batch, no longer than BatchTime.
func (w *Worker) gather(ctx context.Context) {
	timer := time.NewTimer(w.cfg.BatchTime)
	defer timer.Stop()
	for {
		if n, bytes := w.queue.Len(); n >= w.cfg.BatchSize || bytes >= w.cfg.BatchBytes {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-w.queue.Ready():
		}
	}
}

// jitter is between half of d and d, so that many do not come back at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// once brings one batch and returns how many records it had.
func (w *Worker) once(ctx context.Context) (int, error) {
	rs, err := w.queue.Peek(0, w.cfg.BatchSize, w.cfg.BatchBytes)
	if err != nil {
		w.note(err)
		return 0, err
	}
	if len(rs) == 0 {
		return 0, nil
	}
	items, kept := w.decode(rs)
	var cause error
	if len(items) > 0 {
		ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
		cause = w.driver.Write(ctx, items)
		cancel()
	}
	done, cause := w.settle(items, cause)
	// Unreadable records among those that are done go with them.
	last := len(rs)
	if done < len(items) {
		last = kept[done]
	}
	if err := w.queue.Remove(rs[:last]); err != nil {
		cause = errors.Join(cause, err)
	}
	if ctx.Err() == nil {
		w.note(cause)
	}
	return len(rs), cause
}

// decode reads the records; kept are the places of the items among them.
func (w *Worker) decode(rs []buffer.Record) (items []Item, kept []int) {
	for i, r := range rs {
		it, err := DecodeItem(r.Data)
		if err != nil {
			w.refuse(Item{Row: r.Data}, err)
			continue
		}
		items, kept = append(items, it), append(kept, i)
	}
	return items, kept
}

// settle reads what Write has said: how many items are done with, and what is
// left to complain of.
func (w *Worker) settle(items []Item, err error) (done int, cause error) {
	var bad *Bad
	var partial *Partial
	switch {
	case err == nil:
		w.count(func(s *Stats) { s.Success += uint64(len(items)) })
		return len(items), nil
	case errors.As(err, &bad):
		for i, why := range bad.Items {
			w.refuse(items[i], why)
		}
		w.count(func(s *Stats) { s.Success += uint64(len(items) - len(bad.Items)) })
		return len(items), nil
	case errors.As(err, &partial):
		w.count(func(s *Stats) { s.Success += uint64(partial.Done) })
		return partial.Done, partial.Err
	}
	return 0, err
}

func (w *Worker) refuse(it Item, why error) {
	w.count(func(s *Stats) { s.Failed++ })
	w.hears.Dead(it, why)
}

func (w *Worker) count(f func(*Stats)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.stats)
}

// note keeps whether the other side is up, and tells of a change.
func (w *Worker) note(err error) {
	w.mu.Lock()
	changed := w.stats.Down != (err != nil)
	w.stats.Down = err != nil
	w.stats.Error = ""
	if err != nil {
		w.stats.Error = err.Error()
	}
	if changed {
		w.stats.Since = time.Now()
	}
	w.mu.Unlock()
	if changed {
		w.hears.Health(err == nil, err)
	}
}
