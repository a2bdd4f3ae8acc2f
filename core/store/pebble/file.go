package pebble

import (
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The modes of what the store makes: the owner's alone.
const (
	fileMode os.FileMode = 0o600
	dirMode  os.FileMode = 0o700
)

// file is a file that is written, or a directory that is synced.
type file struct {
	vfs.File
	// Immutable.
	fs    *diskFS
	kind  kind
	plain bool // not below the store's directory: failures are the caller's

	dirty atomic.Bool // a log: written and not synced

	open sync.RWMutex // a log: Close waits for syncLate
	shut bool         // guarded by open
}

// Write implements vfs.File.
func (f *file) Write(p []byte) (int, error) {
	return f.write(len(p), func() (int, error) { return f.File.Write(p) })
}

// WriteAt implements vfs.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	return f.write(len(p), func() (int, error) { return f.File.WriteAt(p, off) })
}

func (f *file) write(size int, op func() (int, error)) (int, error) {
	n := size
	err := f.do(func() error {
		f.dirty.Store(true)
		w, err := op()
		f.fs.written.Add(int64(w))
		if err == nil && w < size {
			err = io.ErrShortWrite
		}
		n = w
		return err
	})
	if err == nil {
		n = size
	}
	return n, err
}

// do runs an operation that the disk may refuse.
func (f *file) do(op func() error) error {
	switch {
	case f.plain:
		return op()
	case f.fs.failure() != nil:
		return f.fs.settle(f.kind, errFrozen)
	}
	return f.fs.settle(f.kind, op())
}

// Preallocate implements vfs.File. It is a hint: the write will tell.
func (f *file) Preallocate(off, length int64) error {
	if f.fs.failure() == nil {
		_ = f.File.Preallocate(off, length)
	}
	return nil
}

// Sync implements vfs.File.
func (f *file) Sync() error { return f.sync(f.File.Sync) }

// SyncData implements vfs.File.
func (f *file) SyncData() error { return f.sync(f.File.SyncData) }

// SyncTo implements vfs.File.
func (f *file) SyncTo(length int64) (full bool, err error) {
	if f.kind == kindLog && !f.plain {
		return true, f.SyncData()
	}
	err = f.do(func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

func (f *file) sync(op func() error) error {
	if f.kind != kindLog || f.plain {
		return f.do(op)
	}
	if f.fs.lazy.Load() {
		return nil
	}
	return f.syncNow(op)
}

func (f *file) syncNow(op func() error) error {
	return f.do(func() error {
		f.dirty.Store(false)
		f.fs.syncs.Add(1)
		return op()
	})
}

// syncLate syncs a log that was left dirty, beside its writer.
func (f *file) syncLate() {
	f.open.RLock()
	defer f.open.RUnlock()
	if !f.shut && f.dirty.Load() {
		_ = f.syncNow(f.File.SyncData) // a failure freezes
	}
}

// Close implements vfs.File.
func (f *file) Close() error {
	if f.kind != kindLog || f.plain {
		return f.settleClose()
	}
	f.open.Lock()
	defer f.open.Unlock()
	if f.dirty.Load() {
		_ = f.syncNow(f.File.SyncData)
	}
	f.shut = true
	f.fs.mu.Lock()
	delete(f.fs.logs, f)
	f.fs.mu.Unlock()
	return f.settleClose()
}

// settleClose closes the file even if the disk is frozen: it is ours.
func (f *file) settleClose() error {
	err := f.File.Close()
	if f.plain || err == nil {
		return err
	}
	return f.fs.settle(f.kind, err)
}

// sink takes everything and keeps nothing.
type sink struct{ vfs.File }

func (sink) Write(p []byte) (int, error)            { return len(p), nil }
func (sink) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (sink) Preallocate(int64, int64) error         { return nil }
func (sink) Sync() error                            { return nil }
func (sink) SyncData() error                        { return nil }
func (sink) SyncTo(int64) (bool, error)             { return true, nil }
func (sink) Close() error                           { return nil }
