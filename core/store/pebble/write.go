package pebble

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/store"
)

// What a batch of the engine has before its operations: a sequence number, which
// it fills in, and their count.
const (
	batchHeader = 12
	batchCount  = 8
)

const (
	rangesMax = 1024        // ranges deleted in one table in memory: reads pay for each
	lookEvery = 1 << 20     // bytes written between two looks at the engine and the quota
	bufKept   = 4 << 20     // memory for a group that is kept for the next one
	layersMax = 24          // layers of young tables at which writing waits for compactions
	lookAgain = time.Second // while the store is full, or waits for compactions
)

// write is the committer's: it makes one batch of the group, logs it and applies
// it. The operations of a store.Batch are those of the engine's.
func (s *Store) write(group []*store.Batch, d store.Durability) error {
	if err := s.fs.refused(); err != nil {
		return err
	}
	n, ranges := 0, 0
	s.buf = append(s.buf[:0], make([]byte, batchHeader)...)
	for _, b := range group {
		s.buf = append(s.buf, b.Ops()...)
		n += b.Len()
		ranges += b.Ranges()
	}
	s.since += len(s.buf)
	s.ops.Add(int64(n))
	s.fs.lazy.Store(d < store.Sync)
	var err error
	switch {
	case n > 0:
		binary.LittleEndian.PutUint32(s.buf[batchCount:], uint32(n))
		var b pebble.Batch
		if err = b.SetRepr(s.buf); err == nil {
			err = s.db.Apply(&b, pebble.Sync)
		}
		// What would fill half a table in memory, where each operation takes some
		// 200 bytes beside its own, the engine keeps as a table, and tells so by
		// taking it out of the batch.
		if b.Len() != len(s.buf) || cap(s.buf) > bufKept {
			s.buf = nil
		}
	case d == store.Sync:
		err = s.db.LogData(nil, pebble.Sync)
	}
	if err != nil {
		s.fs.freeze(err)
	}
	if err := s.fs.refused(); err != nil {
		return err
	}
	if d < store.Sync {
		poke(s.dirtied)
	}
	if s.ranges += ranges; s.ranges > rangesMax {
		s.ranges = 0
		if _, err := s.db.AsyncFlush(); err != nil {
			s.log.Warn("store: flush", zap.Error(err))
		}
	}
	if s.since > lookEvery {
		s.since = 0
		poke(s.grown)
		s.ease()
	}
	return nil
}

// ease waits while compactions do not keep up, so that reading stays cheap. The
// queue fills meanwhile, and producers see Busy.
func (s *Store) ease() {
	for s.fs.failure() == nil && s.db.Metrics().Levels[0].Sublevels > layersMax {
		t := time.NewTimer(lookAgain)
		select {
		case <-s.eased:
		case <-t.C:
		}
		t.Stop()
	}
}

// tend syncs what Async batches have left and watches the quota until stop.
func (s *Store) tend() {
	defer close(s.done)
	late := time.NewTimer(0)
	again := time.NewTimer(0)
	late.Stop()
	again.Stop()
	defer late.Stop()
	defer again.Stop()
	for waiting := false; ; {
		select {
		case <-s.stop:
			return
		case <-s.dirtied:
			if !waiting {
				waiting = true
				late.Reset(s.cfg.SyncInterval * 3 / 4) // the rest is for the sync itself
			}
		case <-late.C:
			waiting = false
			s.fs.syncLogs()
		case <-s.grown:
			s.look(again)
		case <-again.C:
			s.look(again)
		}
	}
}

// look compares the store with its quota, again and again while it is full.
func (s *Store) look(again *time.Timer) {
	if over := s.weigh(); over > 0 {
		again.Reset(lookAgain)
		if s.fs.failure() == nil {
			s.reclaim(over)
		}
	}
}

// weigh compares the store with its quota and tells how many bytes too many it
// has; 0: it is not full.
func (s *Store) weigh() (over int64) {
	var why error
	if s.cfg.MaxBytes > 0 {
		if n := int64(s.db.Metrics().DiskSpaceUsage()); n > s.cfg.MaxBytes {
			over = n - s.cfg.MaxBytes
			why = fmt.Errorf("%w: %d of %d bytes", store.ErrFull, n, s.cfg.MaxBytes)
		}
	}
	if s.cfg.MinFree > 0 {
		if n := s.free(); n >= 0 && n < s.cfg.MinFree {
			over = max(over, s.cfg.MinFree-n)
			why = fmt.Errorf("%w: %d bytes left on the disk, %d are to stay free", store.ErrFull, n, s.cfg.MinFree)
		}
	}
	if why != nil {
		s.health.set(store.Full, why)
	} else {
		s.health.set(store.Ready, nil)
	}
	return over
}

// free is what is left on the disk; negative: unknown.
func (s *Store) free() int64 {
	u, err := s.fs.GetDiskUsage(s.cfg.Dir)
	if err != nil {
		return -1
	}
	return int64(min(u.AvailBytes, 1<<62))
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// logger gives the engine's words to the log. What it holds to be fatal freezes
// the disk.
type logger struct{ s *Store }

func (l logger) Infof(format string, args ...any) {
	if c := l.s.log.Check(zap.DebugLevel, "store: engine"); c != nil {
		c.Write(zap.String("what", fmt.Sprintf(format, args...)))
	}
}

func (l logger) Errorf(format string, args ...any) {
	l.s.log.Warn("store: engine", zap.String("what", fmt.Sprintf(format, args...)))
}

func (l logger) Fatalf(format string, args ...any) {
	l.s.fs.freeze(fmt.Errorf("engine: "+format, args...))
}
