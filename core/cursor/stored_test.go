package cursor_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dunlinmq/dunlin/core/cursor"
	"github.com/dunlinmq/dunlin/core/store"
)

// A reader of the store sees what is not done, and passes over what is no log.
func TestReadStored(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		logs, err := cursor.Open(t.Context(), n.j)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			g := logs.Log(name, cursor.Config{})
			if _, err := g.Append(nil, []byte("one"), []byte("two"), []byte("three")); err != nil {
				t.Fatal(err)
			}
			n.barrier()
			if name == "a" {
				if err := g.Ack(2); err != nil {
					t.Fatal(err)
				}
			}
		}
		n.barrier()
		var got []string
		to := cursor.Stored{
			Log: func(s cursor.State) error {
				got = append(got, fmt.Sprintf("%s %d-%d", s.Name, s.First, s.Last))
				return nil
			},
			Record: func(log string, seq uint64, record []byte) error {
				got = append(got, fmt.Sprintf("%s %d %s", log, seq, record))
				return nil
			},
		}
		if err := cursor.ReadStored(n.j.Store(), to); err != nil {
			t.Error(err)
		}
		if want := "[a 3-3 b 1-3 a 3 three b 1 one b 2 two b 3 three]"; fmt.Sprint(got) != want {
			t.Errorf("%v, want %s", got, want)
		}
	})
}

// Broken entries are told of at the end, and keep nothing else back.
func TestReadStoredBroken(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		logs, err := cursor.Open(t.Context(), n.j)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := logs.Log("b", cursor.Config{}).Append(nil, []byte("one")); err != nil {
			t.Fatal(err)
		}
		tx := n.j.Begin()
		tx.Put(store.Async, []byte("chx"), []byte("x"))
		tx.Put(store.Async, store.AppendString([]byte("cb"), "a"), []byte("x"))
		tx.Commit()
		n.barrier()
		seen := 0
		err = cursor.ReadStored(n.j.Store(), cursor.Stored{Record: func(_ string, seq uint64, _ []byte) error { seen = int(seq); return nil }})
		if !errors.Is(err, store.ErrCorrupt) || seen != 1 {
			t.Errorf("%v, record %d", err, seen)
		}
	})
}
