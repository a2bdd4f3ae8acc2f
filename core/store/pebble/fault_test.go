package pebble

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/dunlinmq/dunlin/core/store"
)

// Whatever the disk refuses: the store turns read only and says why, once;
// acknowledges nothing any more; reads what it had; closes; and after a power
// loss everything acknowledged is there.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		refuse func(op, name string, c vfs.DiskWriteCategory) bool
	}{
		{"LogWrite", syscall.ENOSPC, by(opWrite, "pebble-wal")},
		{"LogSync", syscall.EIO, by(opSync, "pebble-wal")},
		{"LogReuse", syscall.EIO, at(opReuse, ".log")},
		{"LogClose", syscall.EIO, by(opClose, "pebble-wal")},
		{"FlushCreate", syscall.ENOSPC, by(opCreate, "pebble-memtable-flush")},
		{"FlushWrite", syscall.ENOSPC, by(opWrite, "pebble-memtable-flush")},
		{"FlushSync", syscall.EIO, by(opSync, "pebble-memtable-flush")},
		{"FlushClose", syscall.EIO, by(opClose, "pebble-memtable-flush")},
		{"CompactionCreate", syscall.ENOSPC, by(opCreate, "pebble-compaction")},
		{"CompactionWrite", syscall.ENOSPC, by(opWrite, "pebble-compaction")},
		{"CompactionSync", syscall.EIO, by(opSync, "pebble-compaction")},
		{"ManifestWrite", syscall.ENOSPC, by(opWrite, "pebble-manifest")},
		{"ManifestSync", syscall.EIO, by(opSync, "pebble-manifest")},
		{"DirectorySync", syscall.EIO, at(opSync, "/db/")},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := vfs.NewCrashableMem()
			faulty(t, disk, &faultDisk{FS: disk, refuse: c.refuse, err: fmt.Errorf("%w: %w", errInjected, c.err)})
		})
	}
}

func faulty(t *testing.T, disk *vfs.MemFS, fs *faultDisk) {
	t.Helper()
	states := make(chan store.State, 10)
	cfg := Config{Dir: "/s", FS: fs, MemTableBytes: 256 << 10, OnState: func(st store.State) { states <- st }}
	s := open(t, cfg)
	fill(t, s, 3000, 1000) // several tables, so that compactions come
	if err := apply(s, store.Sync, func(*store.Batch) {}); err != nil {
		t.Fatal(err)
	}
	fs.armed.Store(true)
	var acked [writers]int64
	var wg sync.WaitGroup
	for w := range writers {
		acked[w] = -1
		wg.Go(func() {
			value := make([]byte, 1000)
			for i := uint64(0); ; i++ {
				err := apply(s, store.Sync, func(b *store.Batch) { b.Put(numbered(w, i), value) })
				if err != nil {
					if !errors.Is(err, store.ErrReadOnly) || !errors.Is(err, errInjected) {
						t.Errorf("the batch failed with %v", err)
					}
					return
				}
				acked[w] = int64(i)
			}
		})
	}
	wg.Wait()
	readOnlyNow(t, s)
	for w := range writers {
		holds(t, s, w, acked[w])
	}
	if err := s.Close(); !errors.Is(err, errInjected) {
		t.Errorf("close: %v", err)
	}
	close(states)
	var modes []store.Mode
	for st := range states {
		modes = append(modes, st.Mode)
	}
	if fmt.Sprint(modes) != "[read only closed]" {
		t.Errorf("the alarm was told %v", modes)
	}

	r := open(t, Config{Dir: "/s", FS: disk.CrashClone(vfs.CrashCloneCfg{}), MemTableBytes: 256 << 10})
	for w := range writers {
		holds(t, r, w, acked[w])
	}
	if n, _, err := store.Count(r, store.Prefix([]byte("fill/"))); n != 3000 || err != nil {
		t.Errorf("%d of 3000 keys of before the fault, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func readOnlyNow(t *testing.T, s *Store) {
	t.Helper()
	if st := s.State(); st.Mode != store.ReadOnly || !errors.Is(st.Err, errInjected) || st.Since.IsZero() {
		t.Errorf("state %v since %v: %v", st.Mode, st.Since, st.Err)
	}
	for _, d := range []store.Durability{store.Async, store.Sync} {
		if err := s.Commit(&store.Batch{}, d, nil); !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("commit: %v", err)
		}
	}
	if err := s.Compact(context.Background()); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("compact: %v", err)
	}
	if err := s.Backup(context.Background(), "/backup"); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("backup: %v", err)
	}
	if n, _, err := store.Count(s, store.Prefix([]byte("fill/"))); n != 3000 || err != nil {
		t.Errorf("read only: %d of 3000 keys can be read, %v", n, err)
	}
}

// In Async the sync comes after the acknowledgement: its failure is found
// without another batch.
func TestFailedLateSyncIsFound(t *testing.T) {
	disk := &faultDisk{FS: vfs.NewMem(), refuse: by(opSync, "pebble-wal"), err: errInjected}
	told := make(chan store.State, 3)
	s := open(t, Config{Dir: "/s", FS: disk, SyncInterval: time.Millisecond, OnState: func(st store.State) { told <- st }})
	disk.armed.Store(true)
	if err := put(s, store.Async, "a", "1"); err != nil {
		t.Fatal(err)
	}
	if st := <-told; st.Mode != store.ReadOnly || !errors.Is(st.Err, errInjected) {
		t.Errorf("told %v: %v", st.Mode, st.Err)
	}
	if err := put(s, store.Async, "b", "2"); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("after the failure: %v", err)
	}
}

// A disk that fails while the store is opened is an error, not the end.
func TestFaultsWhileOpening(t *testing.T) {
	for i := range int32(80) {
		disk := vfs.NewMem()
		s := open(t, Config{Dir: "/s", FS: disk})
		if err := put(s, store.Sync, "a", "1"); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		at := errorfs.OnIndex(i)
		r, err := Open(Config{Dir: "/s", FS: errorfs.Wrap(disk, errorfs.InjectorFunc(at.MaybeError))})
		if err == nil {
			_ = r.Close()
		} else if !errors.Is(err, errorfs.ErrInjected) && !strings.Contains(err.Error(), "injected") {
			t.Errorf("operation %d: %v", i, err)
		}
	}
}

// A store that has to write what it recovers, on a disk that takes nothing: Open
// gives up, and what is there stays.
func TestFullDiskWhileOpening(t *testing.T) {
	disk := vfs.NewMem()
	s := open(t, Config{Dir: "/s", FS: disk})
	fill(t, s, 1000, 1000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	full := &faultDisk{FS: disk, err: errInjected, refuse: func(op, _ string, _ vfs.DiskWriteCategory) bool { return op == opWrite }}
	full.armed.Store(true)
	if _, err := Open(Config{Dir: "/s", FS: full}); !errors.Is(err, errInjected) {
		t.Errorf("open: %v", err)
	}
	full.armed.Store(false)
	r := open(t, Config{Dir: "/s", FS: full})
	if n, _, err := store.Count(r, store.Prefix([]byte("fill/"))); n != 1000 || err != nil {
		t.Errorf("%d of 1000 keys, %v", n, err)
	}
}

// The disk that a backup goes to may fail without harm to the store.
func TestFailedBackupHarmsNothing(t *testing.T) {
	disk := &faultDisk{FS: vfs.NewMem(), err: errInjected, refuse: at(opWrite, "/backup")}
	s := open(t, Config{Dir: "/s", FS: disk})
	fill(t, s, 10, 10)
	disk.armed.Store(true)
	if err := s.Backup(context.Background(), "/backup"); !errors.Is(err, errInjected) {
		t.Errorf("backup: %v", err)
	}
	if _, err := disk.Stat("/backup" + partial); err == nil {
		t.Error("half a backup stays")
	}
	if err := put(s, store.Sync, "a", "1"); err != nil || s.State().Mode != store.Ready {
		t.Errorf("after it: %v, %v", err, s.State())
	}
	disk.armed.Store(false)
	if err := s.Backup(context.Background(), "/backup"); err != nil {
		t.Errorf("backup: %v", err)
	}
}
