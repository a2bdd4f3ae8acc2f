// Package storetest is the suite that every store passes, and a store whose
// completions a test holds back. It refuses to know a backend.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/dunlinmq/dunlin/core/store"
)

// Backend is a kind of store under test.
type Backend struct {
	// Open returns an empty store; the suite closes it.
	Open func(t testing.TB) store.Store
	// Reopen closes s and opens what it has left; nil if that is nothing.
	Reopen func(t testing.TB, s store.Store) store.Store
}

// Run runs the suite.
func Run(t *testing.T, b Backend) {
	for _, c := range []struct {
		name string
		fn   func(t *testing.T, s store.Store)
	}{
		{"Get", testGet},
		{"LaterOperationsWin", testLaterWins},
		{"DeleteRange", testDeleteRange},
		{"Scan", testScan},
		{"ScanSeesOneMoment", testScanMoment},
		{"CompletionsKeepTheirOrder", testOrder},
		{"CompletionMayCommit", testCommitInDone},
		{"SharedCompletion", testShared},
		{"BatchIsUsedAgain", testReuse},
		{"BarrierIsLast", testBarrier},
		{"BatchIsWhole", testWhole},
		{"LargeBatch", testLarge},
		{"Close", testClose},
		{"Formats", testFormats},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := b.Open(t)
			c.fn(t, s)
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	t.Run("Model", func(t *testing.T) { testModel(t, b) })
}

// must commits and waits.
func must(t testing.TB, s store.Store, d store.Durability, fill func(b *store.Batch)) {
	t.Helper()
	var b store.Batch
	fill(&b)
	if err := store.Apply(context.Background(), s, &b, d); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

func put(t testing.TB, s store.Store, pairs ...string) {
	t.Helper()
	must(t, s, store.Async, func(b *store.Batch) {
		for i := 0; i < len(pairs); i += 2 {
			b.Put([]byte(pairs[i]), []byte(pairs[i+1]))
		}
	})
}

// dump is the keys and values of r: "a=1 b=2 ".
func dump(t testing.TB, s store.Reader, r store.Range) string {
	t.Helper()
	var out bytes.Buffer
	if err := s.Scan(r, func(k, v []byte) bool {
		fmt.Fprintf(&out, "%s=%s ", k, v)
		return true
	}); err != nil {
		t.Fatalf("scan: %v", err)
	}
	return out.String()
}

func expect(t testing.TB, s store.Reader, want string) {
	t.Helper()
	if got := dump(t, s, store.Range{}); got != want {
		t.Errorf("the store has %q, want %q", got, want)
	}
}

func testGet(t *testing.T, s store.Store) {
	put(t, s, "a", "1", "empty", "", "\x00z", "zero", "ÿ\xff", "high")
	for _, c := range []struct{ key, value string }{{"a", "1"}, {"empty", ""}, {"\x00z", "zero"}, {"ÿ\xff", "high"}} {
		if got, err := s.Get([]byte(c.key), []byte("dst:")); err != nil || string(got) != "dst:"+c.value {
			t.Errorf("get %q: %q, %v", c.key, got, err)
		}
	}
	if got, err := s.Get([]byte("b"), []byte("dst")); !errors.Is(err, store.ErrNotFound) || string(got) != "dst" {
		t.Errorf("get of no key: %q, %v", got, err)
	}
	if st := s.State(); st.Mode != store.Ready || st.Err != nil {
		t.Errorf("state %v: %v", st.Mode, st.Err)
	}
}

func testLaterWins(t *testing.T, s store.Store) {
	put(t, s, "a", "old", "b", "old", "c", "old")
	must(t, s, store.Async, func(b *store.Batch) {
		b.Put([]byte("a"), []byte("1"))
		b.Put([]byte("a"), []byte("2"))
		b.Delete([]byte("b"))
		b.Put([]byte("b"), []byte("new"))
		b.Put([]byte("d"), []byte("gone"))
		b.Delete([]byte("d"))
		b.DeleteRange([]byte("c"), []byte("z"))
		b.Put([]byte("e"), []byte("after the range"))
		b.Delete([]byte("never there"))
	})
	expect(t, s, "a=2 b=new e=after the range ")
}

func testDeleteRange(t *testing.T, s store.Store) {
	put(t, s, "a", "", "b", "", "b\x00", "", "c", "", "d", "")
	must(t, s, store.Async, func(b *store.Batch) { b.DeleteRange([]byte("b"), []byte("c")) })
	expect(t, s, "a= c= d= ")
	must(t, s, store.Async, func(b *store.Batch) {
		b.DeleteRange([]byte("d"), []byte("a"))
		b.DeleteRange([]byte("c"), []byte("c"))
		if b.Len() != 0 {
			t.Errorf("empty ranges are %d operations", b.Len())
		}
	})
	expect(t, s, "a= c= d= ")
	put(t, s, "b", "again")
	expect(t, s, "a= b=again c= d= ")
	r := store.Prefix([]byte("c"))
	must(t, s, store.Async, func(b *store.Batch) { b.DeleteRange(r.From, r.To) })
	expect(t, s, "a= b=again d= ")
}

func testScan(t *testing.T, s store.Store) {
	put(t, s, "a", "1", "b/1", "2", "b/2", "3", "b0", "4", "c", "5")
	for _, c := range []struct {
		r    store.Range
		want string
	}{
		{store.Range{}, "a=1 b/1=2 b/2=3 b0=4 c=5 "},
		{store.Prefix([]byte("b/")), "b/1=2 b/2=3 "},
		{store.Range{From: []byte("b/2")}, "b/2=3 b0=4 c=5 "},
		{store.Range{To: []byte("b/2")}, "a=1 b/1=2 "},
		{store.Range{From: []byte("x")}, ""},
	} {
		if got := dump(t, s, c.r); got != c.want {
			t.Errorf("%q: %q, want %q", c.r, got, c.want)
		}
	}
	n := 0
	if err := s.Scan(store.Range{}, func(_, _ []byte) bool { n++; return n < 2 }); err != nil || n != 2 {
		t.Errorf("a scan that is ended: %d keys, %v", n, err)
	}
	if keys, size, err := store.Count(s, store.Prefix([]byte("b/"))); keys != 2 || size != 8 || err != nil {
		t.Errorf("count: %d keys, %d bytes, %v", keys, size, err)
	}
}

func testScanMoment(t *testing.T, s store.Store) {
	put(t, s, "a", "1", "b", "1", "c", "1")
	var got []string
	if err := s.Scan(store.Range{}, func(k, v []byte) bool {
		if string(k) == "a" {
			must(t, s, store.Async, func(b *store.Batch) {
				b.Delete([]byte("b"))
				b.Put([]byte("c"), []byte("2"))
				b.Put([]byte("d"), []byte("2"))
			})
			if p, err := s.Get([]byte("c"), nil); err != nil || string(p) != "2" {
				t.Errorf("get in a scan: %q, %v", p, err)
			}
		}
		got = append(got, string(k)+string(v))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != "[a1 b1 c1]" {
		t.Errorf("the scan saw %v", got)
	}
	expect(t, s, "a=1 c=2 d=2 ")
}
