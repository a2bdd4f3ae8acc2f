package server

import (
	"fmt"
	"path/filepath"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/pebble"
)

// storeDir is the store in the data directory.
const storeDir = "store"

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
		s.guards.alarms.Activate(storeAlarm, what, map[string]any{"mode": st.Mode.String(), "error": st.Err.Error()})
	}
}
