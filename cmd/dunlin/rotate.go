package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// bounds are log.rotation.size (bytes) and log.rotation.count.
type bounds struct {
	size  int64
	count int
}

// rotating is a file that is moved to <name>.1 before it passes a size; of the
// older ones, .1 the newest, a count is kept. It implements zapcore.WriteSyncer.
type rotating struct {
	path string // immutable

	mu     sync.Mutex
	bounds bounds   // guarded by mu
	file   *os.File // guarded by mu
	used   int64    // guarded by mu
}

func openRotating(path string, b bounds) (*rotating, error) {
	r := &rotating{path: path, bounds: b}
	return r, r.open()
}

// bound sets other bounds. Files that are over a smaller count are removed.
func (r *rotating) bound(b bounds) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := b.count + 1; i <= r.bounds.count; i++ {
		_ = os.Remove(r.name(i)) // it need not exist
	}
	r.bounds = b
}

// name is the i-th file that was moved.
func (r *rotating) name(i int) string { return fmt.Sprintf("%s.%d", r.path, i) }

// open opens the file to append; mu is held or nobody else has r yet. On an
// error the file that was open stays.
func (r *rotating) open() error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	old := r.file
	r.file, r.used = f, fi.Size()
	if old != nil {
		return old.Close()
	}
	return nil
}

// Write implements io.Writer: p, one line, goes to one file. When rotation
// fails, the file grows.
func (r *rotating) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used > 0 && r.used+int64(len(p)) > r.bounds.size {
		if err := r.rotate(); err != nil {
			fmt.Fprintf(r.file, "the log cannot be rotated: %v\n", err)
		}
	}
	n, err := r.file.Write(p)
	r.used += int64(n)
	return n, err
}

// rotate moves path to .1, .1 to .2 and so on. mu is held.
func (r *rotating) rotate() error {
	r.used = 0 // a failure is tried again after another size bytes
	for i := r.bounds.count; i > 0; i-- {
		from := r.path
		if i > 1 {
			from = r.name(i - 1)
		}
		if err := os.Rename(from, r.name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return r.open()
}

// Sync implements zapcore.WriteSyncer.
func (r *rotating) Sync() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.file.Sync()
}

func (r *rotating) reopen() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open()
}

// Close implements io.Closer.
func (r *rotating) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.file.Close()
}
