package topicstore

import (
	"fmt"
	"github.com/dunlinmq/dunlin/core/store"
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestListShrinks: chunks split, are joined and given up; what is left after
// many removals takes little.
func TestListShrinks(t *testing.T) {
	const n = 20_000
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 5))
		before, s := liveHeap(), New(Config{})
		for _, i := range rng.Perm(n) {
			mustPut(t, s, msg(fmt.Sprintf("t/%06d", i), "x"))
		}
		checkList(t, s)
		if c := len(s.list.chunks); c > 2*n/chunkMax {
			t.Errorf("%d chunks for %d messages", c, n)
		}
		for at, i := range rng.Perm(n) {
			if at == n-n/100 {
				break
			}
			if !s.Delete(fmt.Sprintf("t/%06d", i), store.Memory) {
				t.Fatalf("%d is not there", i)
			}
			if at%1000 == 0 {
				checkList(t, s)
			}
		}
		checkList(t, s)
		if each := (liveHeap() - before) / int64(s.Count()); each > 600 {
			t.Errorf("%d bytes for each message that is left", each)
		}
		runtime.KeepAlive(s)
	}
}

// TestListAscending: messages in order fill their chunks.
func TestListAscending(t *testing.T) {
	s := New(Config{})
	const n = 10 * chunkMax
	for i := range n {
		mustPut(t, s, msg(fmt.Sprintf("t/%06d", i), "x"))
	}
	checkList(t, s)
	if c := len(s.list.chunks); c > 11 {
		t.Errorf("%d chunks for %d messages", c, n)
	}
	for i := range n {
		s.Delete(fmt.Sprintf("t/%06d", i), store.Memory)
	}
	if s.list.chunks != nil || s.Count() != 0 || s.Bytes() != 0 {
		t.Error("the empty list is not empty")
	}
}
