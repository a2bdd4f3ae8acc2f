package pebble

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/dunlinmq/dunlin/core/store"
)

// A Reader has what the log has and no table yet, and refuses what is in use or of
// another version.
func TestReader(t *testing.T) {
	dir := t.TempDir()
	if r, err := OpenReader(dir); err == nil || r != nil {
		t.Errorf("an empty directory: %v", err)
	}
	s := open(t, Config{Dir: dir})
	if err := put(s, store.Sync, "a", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReader(dir); err == nil {
		t.Error("a store in use is read")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := r.Get([]byte("a"), nil); err != nil || string(v) != "1" {
		t.Errorf("%q, %v", v, err)
	}
	n := 0
	if err := r.Scan(store.Range{}, func(_, _ []byte) bool { n++; return true }); err != nil || n != 1 {
		t.Errorf("%d keys, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Get([]byte("a"), nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after its end: %v", err)
	}
	format := filepath.Join(dir, formatFile)
	for text, want := range map[string]error{"dunlin store 99\n": store.ErrNewer, "x": store.ErrCorrupt} {
		if err := os.WriteFile(format, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenReader(dir); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
