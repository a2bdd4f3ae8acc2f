// Package pebble keeps a store on a disk, in Pebble: one log with group commit,
// sorted tables, ranges deleted at once. It owns the layout of the directory,
// its modes and its version, when a log is synced, and what a failing disk
// means. It refuses to end the process, and to acknowledge anything after a
// failure. It is the sole importer of Pebble.
//
// The directory holds FORMAT, the version of the layout, and db/, which is
// Pebble's.
package pebble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/store"
)

// The defaults of Config, for a box with little memory.
const (
	DefaultCacheBytes    = 8 << 20
	DefaultMemTableBytes = 8 << 20
	DefaultSyncInterval  = 100 * time.Millisecond
)

// Config is a store's place and bounds. Zero values are the defaults.
type Config struct {
	Dir           string
	CacheBytes    int64         // of blocks of tables; 8 MiB
	MemTableBytes int           // of one table in memory, of which there are at most four; 8 MiB
	SyncInterval  time.Duration // how long an Async batch may be unsynced; 100 ms
	QueueBytes    int           // taken and not completed; 32 MiB
	MaxBytes      int64         // on the disk, beyond which the store is Full; 0: no limit
	MinFree       int64         // on the disk for others, below which it is Full; 0: no limit
	Log           *zap.Logger   // nil: none
	// OnState is told every change of State, on any goroutine and never twice at
	// the same time: an alarm. It must not block or call the store.
	OnState func(store.State)
	// FS is the file system; nil is the system's.
	FS vfs.FS
}

// Store is a store on a disk.
type Store struct {
	// Immutable after Open.
	cfg  Config
	log  *zap.Logger
	fs   *diskFS
	db   *pebble.DB
	com  *store.Committer
	stop chan struct{} // closed by Close: tend returns
	done chan struct{} // tend has returned

	health  health
	readers readers
	dirtied chan struct{} // holds 1: an Async group was written
	grown   chan struct{} // holds 1: look at the quota
	eased   chan struct{} // holds 1: a compaction has ended
	once    sync.Once
	ended   error // set by once
	room    reclaimer
	ops     atomic.Int64 // written

	// Owned by the committer.
	buf    []byte
	ranges int // deleted since the last flush for their sake
	since  int // bytes since the last look at how the engine keeps up
}

var (
	_ store.Store      = (*Store)(nil)
	_ store.Maintainer = (*Store)(nil)
)

// Open opens the store in cfg.Dir, or makes one. It recovers what was
// acknowledged. The errors are store.ErrNewer, store.ErrCorrupt and those of the
// disk; a directory that another process uses is refused.
func Open(cfg Config) (s *Store, err error) {
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, err
	}
	if cfg.SyncInterval <= 0 {
		cfg.SyncInterval = DefaultSyncInterval
	}
	if cfg.CacheBytes <= 0 {
		cfg.CacheBytes = DefaultCacheBytes
	}
	if cfg.MemTableBytes <= 0 {
		cfg.MemTableBytes = DefaultMemTableBytes
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	s = &Store{cfg: cfg, log: cfg.Log, stop: make(chan struct{}), done: make(chan struct{}),
		dirtied: make(chan struct{}, 1), grown: make(chan struct{}, 1), eased: make(chan struct{}, 1)}
	s.health.tell = cfg.OnState
	s.readers.init()
	s.room.init()
	s.fs = newFS(cfg.FS, filepath.Join(cfg.Dir, dbDir), s.failed)
	if err := openLayout(s.fs, cfg.Dir, layouts); err != nil {
		return nil, err
	}
	s.com = store.NewCommitter(store.CommitterConfig{QueueBytes: cfg.QueueBytes, Write: s.write})
	if err := s.openDB(); err != nil {
		s.com.Close()
		return nil, fmt.Errorf("store: open %s: %w", cfg.Dir, err)
	}
	if s.weigh() > 0 {
		poke(s.grown)
	}
	go s.tend()
	return s, nil
}

// openDB opens the engine. It panics on some failures of a disk; that is an
// error here.
func (s *Store) openDB() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("engine: %v", r)
		}
	}()
	// The engine tries to write what it has recovered until it can: with a full
	// disk, for ever. So failures freeze from here on, and Open gives up.
	s.fs.live.Store(true)
	cache := pebble.NewCache(s.cfg.CacheBytes)
	defer cache.Unref()
	o := &pebble.Options{
		FS:           s.fs,
		Cache:        cache,
		MemTableSize: uint64(s.cfg.MemTableBytes),
		// Three wait to be written while one is filled.
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		// Never: a stall in the engine cannot be ended. See Store.ease.
		L0StopWritesThreshold: 1 << 20,
		MaxOpenFiles:          512,
		// The last version whose log does not claim what was synced: with syncs put
		// off the claim would make a torn tail look like corruption.
		FormatMajorVersion: pebble.FormatColumnarBlocks,
		Logger:             logger{s},
	}
	l := pebble.EventListener{
		BackgroundError: func(err error) { s.log.Warn("store: background work failed", zap.Error(err)) },
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			s.fs.freeze(fmt.Errorf("%w: %s: %w", store.ErrCorrupt, i.Path, i.Details))
		},
		CompactionEnd: func(pebble.CompactionInfo) { poke(s.eased) },
	}
	o.EventListener = &l
	s.db, err = pebble.Open(filepath.Join(s.cfg.Dir, dbDir), o)
	if pebble.IsCorruptionError(err) {
		err = fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	if f := s.fs.failure(); f != nil {
		s.fs.end()
		if err == nil {
			_ = s.db.Close() // what it says of a frozen disk says nothing
		}
		err = f
	}
	return err
}

// Get implements [store.Reader].
func (s *Store) Get(key, dst []byte) ([]byte, error) {
	if !s.readers.enter() {
		return dst, store.ErrClosed
	}
	defer s.readers.leave()
	v, c, err := s.db.Get(key)
	if err != nil {
		return dst, reading(err)
	}
	dst = append(dst, v...)
	return dst, c.Close()
}

// Scan implements [store.Reader].
func (s *Store) Scan(r store.Range, fn func(key, value []byte) bool) error {
	if !s.readers.enter() {
		return store.ErrClosed
	}
	defer s.readers.leave()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: r.From, UpperBound: r.To})
	if err != nil {
		return reading(err)
	}
	for ok := it.First(); ok && fn(it.Key(), it.Value()); {
		ok = it.Next()
	}
	return reading(errors.Join(it.Error(), it.Close()))
}

func reading(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pebble.ErrNotFound):
		return store.ErrNotFound
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return fmt.Errorf("store: read: %w", err)
}

// Commit implements [store.Store]. Memory is Async here.
func (s *Store) Commit(b *store.Batch, d store.Durability, done store.Completion) error {
	if b.Growing() {
		if err := s.health.full(); err != nil {
			return err
		}
	}
	return s.com.Commit(b, max(d, store.Async), done)
}

// Busy implements [store.Store].
func (s *Store) Busy() bool { return s.com.Busy() }

// State implements [store.Store].
func (s *Store) State() store.State { return s.health.state() }

// Close implements [store.Store]. The error is that for which the store was read
// only, or that of the last sync.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.com.Close()
		close(s.stop)
		<-s.done
		s.room.close()
		s.readers.close()
		s.fs.lazy.Store(false)
		s.fs.end()
		err := s.db.Close()
		if f := s.fs.failure(); f != nil {
			err = f // what the engine says of a frozen disk says nothing
		}
		s.health.set(store.Closed, store.ErrClosed)
		if err != nil {
			s.ended = fmt.Errorf("store: close %s: %w", s.cfg.Dir, err)
		}
	})
	return s.ended
}

// failed is called once, by whoever met the first failure of the disk.
func (s *Store) failed(err error) {
	s.log.Error("store: read only", zap.String("dir", s.cfg.Dir), zap.Error(err))
	s.health.set(store.ReadOnly, fmt.Errorf("%w: %w", store.ErrReadOnly, err))
	s.com.Refuse(fmt.Errorf("%w: %w", store.ErrReadOnly, err))
	poke(s.eased)
}

// Restore makes a store in dir of a backup. dir must not exist or be empty; the
// backup is read only.
func Restore(ctx context.Context, backup, dir string) error {
	if names, err := os.ReadDir(dir); err == nil && len(names) > 0 {
		return fmt.Errorf("store: restore to %s: %w", dir, os.ErrExist)
	}
	if _, err := readLayout(vfs.Default, backup); err != nil {
		return err
	}
	part := dir + partial
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	fs := newFS(nil, part, nil)
	if err := copyTree(ctx, fs, backup, part); err != nil {
		return fmt.Errorf("store: restore %s: %w", backup, err)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return rename(fs, part, dir)
}
