package pebble

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// reclaimer gives the space of what was deleted back when the store is full. The
// engine does so by itself only as more is written, which a full store refuses.
type reclaimer struct {
	ctx    context.Context // ends with the store
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// Owned by tend.
	seen   int64     // operations at the last flush for it
	after  time.Time // not before; pays for what the last time cost
	result chan time.Duration
}

const (
	// worthwhile is which part of the store a compaction has to give back, so that
	// a store at its bound is not rewritten for every message that leaves it.
	worthwhile = 16
	// spareMost is the free space with which any store is compacted, slice by slice.
	spareMost = 4 * sliceBytes
)

func (r *reclaimer) init() {
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.result = make(chan time.Duration, 1)
}

// close ends what runs. Nobody calls reclaim any more.
func (r *reclaimer) close() {
	r.cancel()
	r.wg.Wait()
}

// reclaim is called now and then while the store has over bytes more than it may.
// First what was deleted is made known to the tables, then, if it is enough, they
// are rewritten without it, beside the caller and never more than half of the time.
func (s *Store) reclaim(over int64) {
	r := &s.room
	select {
	case took := <-r.result:
		r.after = time.Now().Add(max(took, lookAgain))
	default:
	}
	if time.Now().Before(r.after) {
		return
	}
	if n := s.ops.Load(); n != r.seen {
		r.seen = n
		if _, err := s.db.AsyncFlush(); err != nil {
			s.log.Warn("store: flush", zap.Error(err))
		}
		return
	}
	m := s.db.Metrics()
	gone := int64(m.Table.Garbage.PointDeletionsBytesEstimate + m.Table.Garbage.RangeDeletionsBytesEstimate)
	size := int64(m.DiskSpaceUsage())
	if gone < over || gone < size/worthwhile {
		return
	}
	if free := s.free(); free >= 0 && free < min(size, spareMost) {
		return // it needs space before it gives any
	}
	r.after = time.Now().Add(24 * time.Hour) // until there is a result
	r.wg.Go(func() {
		began := time.Now()
		if err := s.Compact(r.ctx); err != nil && r.ctx.Err() == nil {
			s.log.Warn("store: make room", zap.Error(err))
		}
		r.result <- time.Since(began)
		poke(s.grown)
	})
}
