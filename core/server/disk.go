package server

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/pebble"
	"github.com/dunlinmq/dunlin/core/topicstore"
)

// storeDir is the store in the data directory.
const storeDir = "store"

// diskReaders is how many clients that come back have their messages read from the
// disk at the same time.
const diskReaders = 4

// storeAlarm is on while the store takes nothing more.
const storeAlarm = "store"

// disk is the node's store and the way to it.
type disk struct {
	store   *pebble.Store
	journal *journal.Journal
}

// openDisk opens the store. The data directory is claimed.
func (s *Server) openDisk() (err error) {
	c := &s.cfg.Disk
	s.disk.journal, err = journal.Open(func(tell func(store.State)) (store.Store, error) {
		s.disk.store, err = pebble.Open(pebble.Config{
			Dir: filepath.Join(s.cfg.Node.DataDir, storeDir), CacheBytes: c.CacheBytes, SyncInterval: c.SyncInterval,
			MaxBytes: c.MaxBytes, MinFree: c.MinFree, Log: s.opts.Log.Named("store"),
			OnState: func(st store.State) {
				tell(st)
				s.storeIs(st)
			},
		})
		return s.disk.store, err
	})
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	return nil
}

// openRetained reads the retained messages that have survived.
func (s *Server) openRetained(ctx context.Context) (err error) {
	began := time.Now()
	limits := topicstore.Config{MaxMessages: s.cfg.Store.MaxMessages, MaxBytes: s.cfg.Store.MaxBytes}
	if s.retained, err = topicstore.Open(ctx, limits, s.disk.journal, began.UnixNano()); err != nil {
		return err
	}
	if n := s.retained.Count(); n > 0 {
		s.opts.Log.Info("retained messages are back", zap.Int("messages", n),
			zap.Int64("bytes", s.retained.Bytes()), zap.Duration("took", time.Since(began)))
	}
	return nil
}

// durability is that of the client's zone; what plugins and operators publish is
// as safe as by default.
func (s *Server) durability(c *hook.Client) store.Durability {
	if c == nil {
		return store.Async
	}
	if z := s.Config().Zones[c.Zone]; z != nil {
		return z.Durability
	}
	return store.Async // the zone is gone, its client not yet
}

// closeDisk closes the store; everything that was taken is synced.
func (s *Server) closeDisk() error { return s.disk.store.Close() }

// storeIs tells operators how the store is.
func (s *Server) storeIs(st store.State) {
	switch st.Mode {
	case store.Ready:
		s.guards.alarms.Deactivate(storeAlarm)
	case store.Full, store.ReadOnly:
		what := "the store is full: durable messages are refused until there is room (store.max_bytes, store.min_free)"
		if st.Mode == store.ReadOnly {
			what = "the store cannot be written: nothing durable is acknowledged until the disk is mended and the node restarted"
		}
		what = fmt.Sprintf("%s: %v", what, st.Err) // ctl alarms shows no details
		s.guards.alarms.Activate(storeAlarm, what, map[string]any{"mode": st.Mode.String(), "error": st.Err.Error()})
	}
}
