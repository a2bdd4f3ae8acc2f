package pebble

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/store"
)

// Reader reads a store that no node uses, or a backup, as it is: nothing in the
// directory is written, also when its node was killed.
type Reader struct{ s Store }

var _ store.Reader = (*Reader)(nil)

// OpenReader opens the store or the backup in dir. The errors are store.ErrNewer,
// store.ErrOlder, store.ErrCorrupt and those of the disk; a store in use is refused.
func OpenReader(dir string) (*Reader, error) {
	v, err := readLayout(vfs.Default, dir)
	switch {
	case err != nil:
		return nil, err
	case v > len(layouts)+1:
		return nil, fmt.Errorf("%w: %s has layout %d, this program knows up to %d", store.ErrNewer, dir, v, len(layouts)+1)
	case v <= len(layouts):
		return nil, fmt.Errorf("%w: %s has layout %d, this program reads %d", store.ErrOlder, dir, v, len(layouts)+1)
	}
	r := new(Reader)
	r.s.readers.init()
	r.s.log = zap.NewNop()
	r.s.db, err = pebble.Open(filepath.Join(dir, dbDir), &pebble.Options{
		FS: readFS{vfs.Default}, ReadOnly: true, FormatMajorVersion: pebble.FormatColumnarBlocks,
		MaxOpenFiles: 512, Logger: quiet{},
	})
	if err != nil {
		if pebble.IsCorruptionError(err) {
			err = fmt.Errorf("%w: %w", store.ErrCorrupt, err)
		}
		return nil, fmt.Errorf("store: read %s: %w", dir, err)
	}
	return r, nil
}

// Get implements [store.Reader].
func (r *Reader) Get(key, dst []byte) ([]byte, error) { return r.s.Get(key, dst) }

// Scan implements [store.Reader].
func (r *Reader) Scan(g store.Range, fn func(key, value []byte) bool) error { return r.s.Scan(g, fn) }

// Close waits for reads and ends them.
func (r *Reader) Close() error {
	r.s.readers.close()
	return r.s.db.Close()
}

// readFS makes no lock file where there is none: who uses the directory has made it.
type readFS struct{ vfs.FS }

// Lock implements vfs.FS.
func (fs readFS) Lock(name string) (io.Closer, error) {
	if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
		return io.NopCloser(nil), nil
	}
	return fs.FS.Lock(name)
}

// quiet is the engine's log of a Reader: errors come back from calls.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

// Fatalf is called for what cannot be gone on with.
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf("store: "+format, args...)) }
