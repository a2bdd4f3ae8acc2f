package storetest

import (
	"sync"

	"github.com/dunlinmq/dunlin/core/store"
)

// Gate is a store whose completions a test holds back and fails: for those who
// have to prove that they acknowledge nothing before. Batches reach the store
// behind it when they are released, so that a Gate that is dropped has lost what
// was not acknowledged, as a crash does.
type Gate struct {
	store.Store

	mu      sync.Mutex
	waiting []held
	fail    error
}

type held struct {
	b    *store.Batch
	d    store.Durability
	done store.Completion
}

// NewGate returns a closed gate before s.
func NewGate(s store.Store) *Gate { return &Gate{Store: s} }

// Commit implements [store.Store].
func (g *Gate) Commit(b *store.Batch, d store.Durability, done store.Completion) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail != nil {
		return g.fail
	}
	g.waiting = append(g.waiting, held{b, d, done})
	return nil
}

// Waiting is how many batches are held, and the strongest durability among them.
func (g *Gate) Waiting() (n int, d store.Durability) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range g.waiting {
		d = max(d, h.d)
	}
	return len(g.waiting), d
}

// Release lets the first n batches pass; negative: all. It returns when the store
// has taken them.
func (g *Gate) Release(n int) error {
	for ; n != 0; n-- {
		g.mu.Lock()
		if len(g.waiting) == 0 {
			g.mu.Unlock()
			return nil
		}
		h := g.waiting[0]
		g.waiting = g.waiting[1:]
		g.mu.Unlock()
		if err := g.Store.Commit(h.b, h.d, h.done); err != nil {
			return err
		}
	}
	return nil
}

// Fail completes what is held with err and refuses everything from now on, as a
// disk that has failed.
func (g *Gate) Fail(err error) {
	g.mu.Lock()
	g.fail = err
	waiting := g.waiting
	g.waiting = nil
	g.mu.Unlock()
	for _, h := range waiting {
		if h.done != nil {
			h.done.Done(err)
		}
	}
}
