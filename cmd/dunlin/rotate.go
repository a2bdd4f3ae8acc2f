package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// Bounds of dunlin.log (log.rotation.size and .count of EMQ X): the file and the
// rotated ones, file.1 the newest.
const (
	rotateSize  = 10 << 20
	rotateCount = 5
)

// rotating is a file that is moved to <name>.1 before it passes size bytes; of
// the older ones count are kept. It implements zapcore.WriteSyncer.
type rotating struct {
	// Immutable.
	path  string
	size  int64
	count int

	mu   sync.Mutex
	file *os.File // guarded by mu
	used int64    // guarded by mu
}

func openRotating(path string, size int64, count int) (*rotating, error) {
	r := &rotating{path: path, size: size, count: count}
	return r, r.open()
}

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
	if r.used > 0 && r.used+int64(len(p)) > r.size {
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
	for i := r.count; i > 0; i-- {
		from := r.path
		if i > 1 {
			from = fmt.Sprintf("%s.%d", r.path, i-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", r.path, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
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
