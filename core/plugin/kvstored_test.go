package plugin

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
)

// TestReadStoredKeys: a reader of the store sees the keys of all plugins, and passes over what is none.
func TestReadStoredKeys(t *testing.T) {
	disk := mem.New()
	c := &clock{time.Unix(1_000_000, 0)}
	j := journal.New(disk)
	for _, name := range []string{"one", "two"} {
		k := durableKeys(t, c, j, name)
		if err := errors.Join(k.Store("a", []byte("of "+name), 0), k.Store("short", nil, time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	read := func() (got []string, err error) {
		err = ReadStoredKeys(disk, func(k StoredKey) error {
			got = append(got, fmt.Sprintf("%s %s %q %v", k.Plugin, k.Key, k.Value, !k.Until.IsZero()))
			return nil
		})
		return got, err
	}
	got, err := read()
	if want := `[one a "of one" false one short "" true two a "of two" false two short "" true]`; fmt.Sprint(got) != want || err != nil {
		t.Errorf("%v, %v, want %s", got, err, want)
	}
	if err := store.Apply(t.Context(), disk, broken("k", "kone\x00\x01a", "kz\x00\x01"), store.Async); err != nil {
		t.Fatal(err)
	}
	if got, err = read(); !errors.Is(err, store.ErrCorrupt) || len(got) != 3 {
		t.Errorf("%v, %v", got, err)
	}
	stop := errors.New("enough")
	n := 0
	if err := ReadStoredKeys(disk, func(StoredKey) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
	newer := &store.Batch{}
	newer.Put([]byte("\x00format/kv"), []byte{2})
	if err := store.Apply(t.Context(), disk, newer, store.Async); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); !errors.Is(err, store.ErrNewer) {
		t.Errorf("a newer room: %v", err)
	}
}

// broken is a batch that sets keys to what no room writes.
func broken(keys ...string) *store.Batch {
	b := &store.Batch{}
	for _, k := range keys {
		b.Put([]byte(k), []byte("x"))
	}
	return b
}
