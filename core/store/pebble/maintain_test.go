package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dunlinmq/dunlin/core/store"
)

// A backup of a store in use has everything completed before it, is whole, and
// can be restored.
func TestBackupWhileWriting(t *testing.T) {
	ctx := context.Background()
	s := open(t, Config{Dir: filepath.Join(t.TempDir(), "s"), MemTableBytes: 256 << 10})
	fill(t, s, 2000, 500)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := uint64(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := apply(s, store.Async, func(b *store.Batch) { b.Put(numbered(0, i), make([]byte, 100)) }); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	to, dir := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "restored")
	err := s.Backup(ctx, to)
	close(stop)
	<-stopped
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(ctx, to); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second backup to one place: %v", err)
	}
	if err := s.Backup(ctx, filepath.Join(s.cfg.Dir, dbDir, "b")); err == nil {
		t.Error("a backup into the store is made")
	}
	if err := Restore(ctx, to, dir); err != nil {
		t.Fatal(err)
	}
	if err := Restore(ctx, to, dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("restore over a store: %v", err)
	}
	r := open(t, Config{Dir: dir})
	holds(t, r, 0, -1)
	if n, _, err := store.Count(r, store.Prefix([]byte("fill/"))); n != 2000 || err != nil {
		t.Errorf("%d of 2000 keys, %v", n, err)
	}
	if n, err := r.Check(ctx); n < 2000 || err != nil {
		t.Errorf("check: %d keys, %v", n, err)
	}
	private(t, to)
	private(t, dir)
	private(t, s.cfg.Dir)
}

func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		i, err := d.Info()
		want := fileMode
		if d.IsDir() {
			want = dirMode
		}
		if err == nil && i.Mode().Perm() != want {
			t.Errorf("%s has mode %o", path, i.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCompactAndInfo(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), MemTableBytes: 256 << 10})
	fill(t, s, 10000, 500)
	r := store.Prefix([]byte("fill/"))
	if err := apply(s, store.Sync, func(b *store.Batch) { b.DeleteRange(r.From, r.To) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	i := s.Info()
	if i.Operations != 10001 || i.PayloadBytes < 5e6 || i.WrittenBytes < 5e6 || i.Syncs == 0 || i.Groups == 0 || i.Batches < i.Groups || i.Queued != 0 {
		t.Errorf("info: %+v", i)
	}
	if n, err := s.Check(context.Background()); n != 0 || err != nil {
		t.Errorf("check: %d keys, %v", n, err)
	}
}

// Damage is found by Check and by whoever reads it, and is no reason to end.
func TestDamageIsFound(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	fill(t, s, 5000, 500)
	if err := s.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, dbDir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	p, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4096 {
		p[len(p)/8+i] ^= 0x55
	}
	if err := os.WriteFile(tables[0], p, fileMode); err != nil {
		t.Fatal(err)
	}
	r, err := Open(Config{Dir: dir})
	if err == nil {
		_, err = r.Check(context.Background())
		_ = r.Close()
	}
	if !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("check of a damaged store: %v", err)
	}
}

// At its quota a store takes what frees space, and is ready again afterwards: the
// room that was made is given back without anybody's help, however it was made.
func TestQuota(t *testing.T) {
	r := store.Prefix([]byte("fill/"))
	for how, free := range map[string]func(s *Store, n int) error{
		"ByRange": func(s *Store, _ int) error {
			return apply(s, store.Async, func(b *store.Batch) { b.DeleteRange(r.From, r.To) })
		},
		"OneByOne": func(s *Store, n int) error {
			return apply(s, store.Async, func(b *store.Batch) {
				for i := range n {
					b.Delete(fmt.Appendf(nil, "fill/%08d", i))
				}
			})
		},
	} {
		t.Run(how, func(t *testing.T) { quota(t, free) })
	}
}

func quota(t *testing.T, free func(s *Store, n int) error) {
	told := make(chan store.State, 10)
	s := open(t, Config{Dir: t.TempDir(), MemTableBytes: 256 << 10, MaxBytes: 4 << 20, OnState: func(st store.State) { told <- st }})
	var err error
	n := 0
	for ; err == nil; n++ {
		err = put(s, store.Async, fmt.Sprintf("fill/%08d", n), strings.Repeat(fmt.Sprint(time.Now()), 100))
	}
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("refused with %v", err)
	}
	if st := <-told; st.Mode != store.Full || !errors.Is(st.Err, store.ErrFull) {
		t.Errorf("told %v: %v", st.Mode, st.Err)
	}
	if err := apply(s, store.Async, func(b *store.Batch) { b.Put([]byte("cursor"), nil); b.Free() }); err != nil {
		t.Errorf("a batch that frees: %v", err)
	}
	if err := free(s, n); err != nil {
		t.Errorf("a batch that deletes: %v", err)
	}
	if st := <-told; st.Mode != store.Ready || st.Err != nil {
		t.Errorf("told %v: %v", st.Mode, st.Err)
	}
	if err := put(s, store.Async, "a", "1"); err != nil {
		t.Error(err)
	}
}

func TestLayouts(t *testing.T) {
	disk := newFS(vfs.NewMem(), "/s/db", nil)
	if err := openLayout(disk, "/s", nil); err != nil {
		t.Fatal(err)
	}
	var ran []int
	step := func(n int) func(vfs.FS, string) error {
		return func(fs vfs.FS, dir string) error {
			v, err := readLayout(fs, dir)
			if v != n || dir != "/s" {
				t.Errorf("step %d in %s of layout %d", n, dir, v)
			}
			ran = append(ran, n)
			return err
		}
	}
	for range 2 {
		if err := openLayout(disk, "/s", []func(vfs.FS, string) error{step(1), step(2)}); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(ran) != "[1 2]" {
		t.Errorf("steps %v", ran)
	}
	if err := openLayout(disk, "/s", nil); !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), "layout 3") {
		t.Errorf("a newer layout: %v", err)
	}
}

func TestForeignDirectoriesAreRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	if _, err := Open(Config{Dir: dir}); err == nil {
		t.Error("a store in use is opened")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want error
	}{{"dunlin store 99\n", store.ErrNewer}, {"dunlin store x\n", store.ErrCorrupt}, {"", store.ErrCorrupt}} {
		if err := os.WriteFile(filepath.Join(dir, formatFile), []byte(c.text), fileMode); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Dir: dir}); !errors.Is(err, c.want) {
			t.Errorf("format %q: %v", c.text, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, formatFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("data without a format: %v", err)
	}
}

// Many deleted ranges do not pile up in memory, where every read pays for them.
func TestDeletedRangesAreWrittenOut(t *testing.T) {
	s := open(t, Config{Dir: "/s", FS: vfs.NewMem()})
	for i := range uint64(rangesMax + 2) {
		if err := apply(s, store.Async, func(b *store.Batch) { b.DeleteRange(numbered(0, i*10), numbered(0, i*10+5)) }); err != nil {
			t.Fatal(err)
		}
	}
	for start := time.Now(); s.db.Metrics().Flush.Count == 0; {
		if time.Since(start) > 10*time.Second {
			t.Fatal("nothing was written out")
		}
	}
}
