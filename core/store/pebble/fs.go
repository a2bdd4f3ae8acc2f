package pebble

import (
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// kind is what a file is for, and with it what its failure means.
type kind byte

const (
	kindMeta    kind = iota // manifest, options, markers, directories
	kindLog                 // the write-ahead log
	kindFlush               // a table made of memory
	kindCompact             // a table made of tables
)

// diskFS stands between the engine and the disk, for three reasons.
//
// The engine ends the process, or hangs, when a write or fsync fails. So the
// first failure freezes the disk as it is: it is told to failed, and from then
// on nothing is written any more. The engine learns nothing of it: the log and
// what describes the tables go nowhere, tables that are made of memory go to
// memory (bounded by the tables in memory), compactions wait for the end. So the
// engine reads on, and what is acknowledged is decided above, by failure().
//
// The engine can hold a commit until its log is synced, but not until it is
// handed to the operating system. While lazy is set a sync of the log is
// therefore put off: it returns when everything before it was given to write(),
// and [diskFS.syncLogs] syncs later. A log is never closed without a sync, so
// that only the last one can have an incomplete tail.
//
// And files are the owner's alone.
type diskFS struct {
	vfs.FS
	// Immutable after open.
	dir    string // what is below it freezes, the rest passes through
	native bool   // FS is that of the system: modes are set
	failed func(error)

	live     atomic.Bool // the engine is there: failures freeze
	lazy     atomic.Bool // set by the committer before each commit
	written  atomic.Int64
	syncs    atomic.Int64
	frozen   atomic.Pointer[error]
	told     chan struct{} // closed when failed has returned
	released chan struct{} // closed when the store is closing
	release  sync.Once

	mu     sync.Mutex
	logs   map[*file]struct{} // open logs
	memory *vfs.MemFS         // tables made after the freeze
}

func newFS(inner vfs.FS, dir string, failed func(error)) *diskFS {
	fs := &diskFS{FS: inner, dir: dir, failed: failed, native: inner == nil,
		released: make(chan struct{}), told: make(chan struct{}), logs: map[*file]struct{}{}, memory: vfs.NewMem()}
	if fs.native {
		fs.FS = vfs.Default
	}
	return fs
}

var errFrozen = errors.New("the store is read only")

// failure is why the disk is frozen; nil if it is not.
func (fs *diskFS) failure() error {
	if p := fs.frozen.Load(); p != nil {
		return *p
	}
	return nil
}

func (fs *diskFS) freeze(err error) {
	if fs.frozen.CompareAndSwap(nil, &err) {
		fs.failed(err)
		close(fs.told)
	}
}

// refused is failure for those who pass it on: the alarm comes first.
func (fs *diskFS) refused() error {
	err := fs.failure()
	if err != nil {
		<-fs.told
	}
	return err
}

// end lets those that wait in park go.
func (fs *diskFS) end() { fs.release.Do(func() { close(fs.released) }) }

// park keeps a compaction from trying again and again.
func (fs *diskFS) park() error {
	<-fs.released
	return errFrozen
}

// settle decides what the engine learns of the result of a write to a file of
// kind k below dir.
func (fs *diskFS) settle(k kind, err error) error {
	if err == nil || !fs.live.Load() {
		return err
	}
	fs.freeze(err)
	switch k {
	case kindFlush:
		return err // it tries again, into memory
	case kindCompact:
		return fs.park()
	}
	return nil
}

func (fs *diskFS) ours(name string) bool {
	return name == fs.dir || strings.HasPrefix(name, fs.dir) && os.IsPathSeparator(name[len(fs.dir)])
}

func kindOf(name string, c vfs.DiskWriteCategory) kind {
	switch {
	case strings.HasSuffix(name, ".log"):
		return kindLog
	case c == "pebble-memtable-flush":
		return kindFlush
	case strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob"):
		return kindCompact
	}
	return kindMeta
}

// Create implements vfs.FS.
func (fs *diskFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.open(name, kindOf(name, c), func() (vfs.File, error) { return fs.FS.Create(name, c) })
}

// OpenReadWrite implements vfs.FS.
func (fs *diskFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return fs.open(name, kindOf(name, c), func() (vfs.File, error) { return fs.FS.OpenReadWrite(name, c, o...) })
}

// ReuseForWrite implements vfs.FS.
func (fs *diskFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.open(name, kindOf(name, c), func() (vfs.File, error) { return fs.FS.ReuseForWrite(old, name, c) })
}

func (fs *diskFS) open(name string, k kind, create func() (vfs.File, error)) (vfs.File, error) {
	if !fs.ours(name) {
		f, err := fs.private(name, create)
		if err != nil {
			return nil, err
		}
		return &file{File: f, fs: fs, plain: true}, nil
	}
	if fs.failure() != nil {
		return fs.nowhere(name, k)
	}
	f, err := fs.private(name, create)
	if err != nil {
		if err = fs.settle(k, err); err != nil {
			return nil, err
		}
		return fs.nowhere(name, k)
	}
	w := &file{File: f, fs: fs, kind: k}
	if k == kindLog {
		fs.mu.Lock()
		fs.logs[w] = struct{}{}
		fs.mu.Unlock()
	}
	return w, nil
}

func (fs *diskFS) private(name string, create func() (vfs.File, error)) (vfs.File, error) {
	f, err := create()
	if err != nil || !fs.native {
		return f, err
	}
	if err := os.Chmod(name, fileMode); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// nowhere is where files go once the disk is frozen.
func (fs *diskFS) nowhere(name string, k kind) (vfs.File, error) {
	switch k {
	case kindCompact:
		return nil, fs.park()
	case kindFlush:
		return fs.memory.Create("/"+path.Base(fs.PathBase(name)), vfs.WriteCategoryUnspecified)
	}
	return sink{vfs.NewMemFile(nil)}, nil
}

// Open implements vfs.FS.
func (fs *diskFS) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	if fs.ours(name) && fs.failure() != nil {
		if f, err := fs.memory.Open("/" + fs.PathBase(name)); err == nil {
			return f, nil
		}
	}
	return fs.FS.Open(name, o...)
}

// OpenDir implements vfs.FS.
func (fs *diskFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &file{File: f, fs: fs, plain: !fs.ours(name)}, nil
}

// change runs an operation on names of which one may be ours.
func (fs *diskFS) change(ours bool, op func() error) error {
	if !ours {
		return op()
	}
	if fs.failure() != nil {
		return nil
	}
	return fs.settle(kindMeta, op())
}

// Link implements vfs.FS.
func (fs *diskFS) Link(old, name string) error {
	return fs.change(fs.ours(name), func() error { return fs.FS.Link(old, name) })
}

// Rename implements vfs.FS.
func (fs *diskFS) Rename(old, name string) error {
	return fs.change(fs.ours(name), func() error { return fs.FS.Rename(old, name) })
}

// Remove implements vfs.FS. That something cannot be removed is no failure of
// what is stored.
func (fs *diskFS) Remove(name string) error {
	if fs.ours(name) && fs.failure() != nil {
		return nil
	}
	return fs.FS.Remove(name)
}

// MkdirAll implements vfs.FS.
func (fs *diskFS) MkdirAll(dir string, _ os.FileMode) error {
	return fs.change(fs.ours(dir), func() error { return fs.FS.MkdirAll(dir, dirMode) })
}

// Lock implements vfs.FS.
func (fs *diskFS) Lock(name string) (io.Closer, error) {
	c, err := fs.FS.Lock(name)
	if err == nil && fs.native {
		if err := os.Chmod(name, fileMode); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, err
}

// Unwrap implements vfs.FS.
func (fs *diskFS) Unwrap() vfs.FS { return fs.FS }

// syncLogs syncs what lazy has put off.
func (fs *diskFS) syncLogs() {
	fs.mu.Lock()
	logs := make([]*file, 0, len(fs.logs))
	for f := range fs.logs {
		logs = append(logs, f)
	}
	fs.mu.Unlock()
	for _, f := range logs {
		f.syncLate()
	}
}
