package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dunlinmq/dunlin/core/store"
)

// Info implements [store.Maintainer].
func (s *Store) Info() store.Info {
	i := store.Info{Dir: s.cfg.Dir, Format: len(layouts) + 1, WrittenBytes: s.fs.written.Load(), Syncs: s.fs.syncs.Load()}
	s.com.Count(&i)
	if !s.readers.enter() {
		return i
	}
	defer s.readers.leave()
	m := s.db.Metrics()
	i.Bytes = int64(m.DiskSpaceUsage())
	i.Free = max(s.free(), 0)
	i.Log = int64(m.WAL.Size)
	i.Cache = m.BlockCache.Size
	i.Tail = int64(m.MemTable.Size)
	for _, l := range m.Levels {
		i.Tables += l.TablesCount
	}
	return i
}

// checkEvery is how many keys are read between two looks at the context.
const checkEvery = 1 << 12

// Check implements [store.Maintainer].
func (s *Store) Check(ctx context.Context) (keys int64, err error) {
	if !s.readers.enter() {
		return 0, store.ErrClosed
	}
	defer s.readers.leave()
	if err := s.db.CheckLevels(nil); err != nil {
		return 0, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	var last []byte
	disorder := false
	err = s.Scan(store.Range{}, func(k, _ []byte) bool {
		disorder = keys > 0 && bytes.Compare(last, k) >= 0
		last = append(last[:0], k...)
		keys++
		return !disorder && (keys%checkEvery != 0 || ctx.Err() == nil)
	})
	if disorder {
		err = fmt.Errorf("%w: keys out of order after %x", store.ErrCorrupt, last)
	}
	return keys, errors.Join(err, ctx.Err())
}

// Compact implements [store.Maintainer].
func (s *Store) Compact(ctx context.Context) error {
	if !s.readers.enter() {
		return store.ErrClosed
	}
	defer s.readers.leave()
	if err := s.health.writable(); err != nil {
		return err
	}
	var last []byte
	it, err := s.db.NewIter(nil)
	if err != nil {
		return reading(err)
	}
	if it.Last() {
		last = append(last, it.Key()...)
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return reading(err)
	}
	ends, err := s.slices()
	if err != nil {
		return fmt.Errorf("store: compact: %w", err)
	}
	from := []byte{}
	for _, to := range append(ends, append(last, bytes.Repeat([]byte{0xFF}, 8)...)) {
		if bytes.Compare(from, to) >= 0 {
			continue
		}
		if err := s.db.Compact(ctx, from, to, false); err != nil {
			return fmt.Errorf("store: compact: %w", err)
		}
		from = to
	}
	return nil
}

// sliceBytes is how much of the oldest tables is rewritten at once: so much space
// is needed before the old ones go, and about as much for younger tables.
const sliceBytes = 64 << 20

// slices returns keys that divide the store into parts of about sliceBytes.
func (s *Store) slices() (ends [][]byte, err error) {
	levels, err := s.db.SSTables()
	if err != nil {
		return nil, err
	}
	n := uint64(0)
	for _, t := range levels[len(levels)-1] {
		if n += t.Size; n >= sliceBytes {
			n = 0
			ends = append(ends, t.Largest.UserKey)
		}
	}
	return ends, nil
}

// Backup implements [store.Maintainer]. On the same disk tables are linked, not
// copied. A failure of the disk that the backup goes to does not harm the store.
func (s *Store) Backup(ctx context.Context, dir string) error {
	if !s.readers.enter() {
		return store.ErrClosed
	}
	defer s.readers.leave()
	if err := errors.Join(ctx.Err(), s.health.writable()); err != nil {
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if s.fs.ours(dir) {
		return fmt.Errorf("store: backup to %s: inside the store", dir)
	}
	if _, err := s.fs.Stat(dir); err == nil {
		return fmt.Errorf("store: backup to %s: %w", dir, os.ErrExist)
	}
	part := dir + partial
	err = errors.Join(s.fs.RemoveAll(part), makeDir(s.fs, part))
	if err == nil {
		err = s.db.Checkpoint(filepath.Join(part, dbDir), pebble.WithFlushedWAL())
	}
	if err == nil {
		err = writeLayout(s.fs, part, len(layouts)+1)
	}
	if err == nil {
		err = s.health.writable() // else the copy may lack what could not be written
	}
	if err == nil {
		err = rename(s.fs, part, dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("store: backup to %s: %w", dir, err), s.fs.RemoveAll(part))
	}
	return nil
}

// writable is why nothing can be written; nil if it can.
func (h *health) writable() error {
	if st := h.state(); st.Mode >= store.ReadOnly {
		return st.Err
	}
	return nil
}

// own makes an existing directory the owner's alone.
func (fs *diskFS) own(dir string) error {
	if !fs.native {
		return nil
	}
	if err := os.Chmod(dir, dirMode); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// copyTree copies a directory of files and directories, and syncs all of it.
func copyTree(ctx context.Context, fs vfs.FS, from, to string) error {
	if err := makeDir(fs, to); err != nil {
		return err
	}
	names, err := fs.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		src, dst := filepath.Join(from, name), filepath.Join(to, name)
		st, err := fs.Stat(src)
		if err != nil {
			return err
		}
		if st.IsDir() {
			err = copyTree(ctx, fs, src, dst)
		} else {
			err = vfs.Copy(fs, src, dst)
		}
		if err != nil {
			return err
		}
	}
	d, err := fs.OpenDir(to)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
