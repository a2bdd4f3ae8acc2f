package mem

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuite(t *testing.T) {
	storetest.Run(t, storetest.Backend{Open: func(testing.TB) store.Store { return New() }})
}

// Completions of concurrent committers keep the order of the commits, though
// whoever is there tells them.
func TestCompletionsOfManyCommittersKeepOrder(t *testing.T) {
	s := New()
	var mu sync.Mutex // makes number and commit one step
	var told, next int
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				mu.Lock()
				want := next
				next++
				var b store.Batch
				b.Put(fmt.Append(nil, want), nil)
				ch := make(chan struct{})
				err := s.Commit(&b, store.Memory, store.Func(func(error) {
					if told != want {
						t.Errorf("completion %d came as number %d", want, told)
					}
					told++
					close(ch)
				}))
				mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				<-ch
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// The treap stays a heap by priority and ordered by key, whatever is done.
func TestTreapKeepsItsShape(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var root *node
	for i := range 5000 {
		k := fmt.Appendf(nil, "%04d", rnd.IntN(1000))
		before := root
		size := count(before)
		switch rnd.IntN(5) {
		case 0:
			if root.find(k) != nil {
				root = root.remove(k)
			}
		case 1:
			root = root.removeRange(k, fmt.Appendf(nil, "%04d", rnd.IntN(1000)))
		default:
			root = root.put(newNode(k, k))
		}
		if count(before) != size {
			t.Fatalf("step %d changed an older root", i)
		}
		valid(t, root)
	}
}

func count(n *node) int {
	if n == nil {
		return 0
	}
	return 1 + count(n.left) + count(n.right)
}

func valid(t *testing.T, n *node) {
	t.Helper()
	var last []byte
	n.scan(nil, nil, func(k, _ []byte) bool {
		if last != nil && bytes.Compare(last, k) >= 0 {
			t.Fatalf("%s comes after %s", k, last)
		}
		last = k
		return true
	})
	var heap func(n *node)
	heap = func(n *node) {
		for _, c := range []*node{n.left, n.right} {
			if c != nil {
				if c.prio > n.prio {
					t.Fatalf("%s is above %s", n.key, c.key)
				}
				heap(c)
			}
		}
	}
	if n != nil {
		heap(n)
	}
}
