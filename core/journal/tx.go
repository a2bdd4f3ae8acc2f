package journal

import (
	"sync"
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/store"
)

// Waiter is who has to go on when a transaction has ended: a connection whose
// acknowledgements wait for it, a client whose mailbox holds deliveries of it.
type Waiter interface {
	// Resume is called once for each successful Wait, on any goroutine. It must
	// not block.
	Resume()
}

// Tx is operations that are applied whole. Until Commit it belongs to one
// goroutine; Wait and Ended may be called by any, at any time. It is not used
// again: whoever waits for it may hold it for long.
//
// Everything in a Tx passes a store that is full. Who would make it grow asks
// [Journal.Fault] first, and refuses its publisher.
type Tx struct {
	j    *Journal
	b    *store.Batch // nil once ended
	need store.Durability
	bars int  // barriers, and what was owed
	part Part // nil: none

	given atomic.Bool // it has its place in the store's order
	over  atomic.Bool // err is set

	mu      sync.Mutex
	waiters []Waiter // guarded by mu
	err     error    // written before over
}

var _ store.Completion = (*Tx)(nil)

// Part is what a room gathers for a Tx while it is filled, to put it in at the end
// as few operations. A Tx has one at most.
type Part interface {
	// Fill puts the operations into t, which is about to be committed.
	Fill(t *Tx)
	// Given says that t has its place in the store's order: what is committed after
	// the call is applied after t. t may have ended.
	Given()
}

// Part is what Join has set; nil: nothing.
func (t *Tx) Part() Part { return t.part }

// Join has p fill t at its end.
func (t *Tx) Join(p Part) { t.part = p }

// Owe says that t's part has something new that is to be as safe as d when t has
// ended. It counts as an operation.
func (t *Tx) Owe(d store.Durability) {
	t.Need(d)
	t.bars++
}

// Given tells whether t has its place in the store's order.
func (t *Tx) Given() bool { return t.given.Load() }

// Put sets the key's value, such that it is as safe as d when t has ended.
func (t *Tx) Put(d store.Durability, key, value []byte) {
	t.need = max(t.need, d)
	t.b.Put(key, value)
}

// Delete removes the key. Nobody waits for that: see Need.
func (t *Tx) Delete(key []byte) { t.b.Delete(key) }

// DeleteRange removes the keys of a range; see [store.Batch.DeleteRange].
func (t *Tx) DeleteRange(from, to []byte) { t.b.DeleteRange(from, to) }

// Need makes everything in t, deletions too, as safe as d when it has ended.
func (t *Tx) Need(d store.Durability) { t.need = max(t.need, d) }

// Barrier makes t end after everything that this goroutine has committed before,
// which is then as safe as d: for a room whose changes have an order of their own
// and so come in a Tx of their own. It counts as an operation.
func (t *Tx) Barrier(d store.Durability) {
	t.Need(d)
	t.bars++
}

// Len is how many operations t has. It grows only.
func (t *Tx) Len() int { return t.b.Len() + t.bars }

// Commit ends the filling of t.
func (t *Tx) Commit() {
	part := t.part
	if part != nil {
		part.Fill(t)
		t.part = nil
	}
	t.b.Free()
	t.j.commit(t)
	t.given.Store(true)
	if part != nil {
		part.Given()
	}
}

// Wait makes w resume when t has ended, which may be at once, on this goroutine.
// It returns false, and does nothing, when t has ended already.
func (t *Tx) Wait(w Waiter) bool {
	if t.over.Load() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over.Load() {
		return false
	}
	t.waiters = append(t.waiters, w)
	return true
}

// Ended tells whether t has ended, and how: with an error nothing was promised.
func (t *Tx) Ended() (over bool, err error) {
	if !t.over.Load() {
		return false, nil
	}
	return true, t.err
}

// Done implements store.Completion.
func (t *Tx) Done(err error) {
	b := t.b
	t.mu.Lock()
	t.b, t.err = nil, err
	t.over.Store(true)
	waiters := t.waiters
	t.waiters = nil
	t.mu.Unlock()
	b.Reset()
	t.j.batches.Put(b)
	t.j.counts.txs.Add(1)
	if err != nil {
		t.j.counts.failed.Add(1)
	}
	for _, w := range waiters {
		w.Resume()
	}
	t.j.retry()
}
