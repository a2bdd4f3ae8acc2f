package pebble

import (
	"encoding/binary"
	"testing"

	"github.com/dunlinmq/dunlin/core/store"
)

// TestManySmallOperations: a group with so many small operations that the engine keeps its bytes as a table of their own is not
// overwritten by the groups behind it, whether it is read at once or after it came back from the disk.
func TestManySmallOperations(t *testing.T) {
	for _, n := range []int{1000, 15_000, 20_000, 40_000} {
		var s store.Store = open(t, Config{Dir: t.TempDir()})
		key := func(group byte, i int) []byte { return binary.BigEndian.AppendUint64([]byte{group}, uint64(i)) }
		const groups = 4
		for g := range byte(groups) {
			if err := apply(s, store.Async, func(b *store.Batch) {
				for i := range n {
					b.Put(key(g, i), []byte{g})
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			for g := range byte(groups) {
				next := 0
				if err := s.Scan(store.Prefix([]byte{g}), func(k, v []byte) bool {
					if string(k) != string(key(g, next)) || string(v) != string([]byte{g}) {
						t.Errorf("%d operations: group %d has %x with %x where %x was put", n, g, k, v, key(g, next))
						return false
					}
					next++
					return true
				}); err != nil {
					t.Errorf("%d operations: %v", n, err)
				}
				if next != n {
					t.Errorf("%d operations: group %d ends after %d", n, g, next)
				}
			}
			s = reopen(t, s)
		}
	}
}
