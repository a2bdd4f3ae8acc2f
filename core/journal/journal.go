// Package journal takes what must survive from the rooms that own it to the
// store: one Journal a node, one Tx for the work of one burst. It owns the order
// of transactions, what happens when the store has no room at the moment, and
// whether anything more may be promised. It refuses to know what the keys and
// values mean: each room lays out its own.
package journal

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store"
)

// Journal is a node's way to its store. Safe for concurrent use. A nil Journal
// is that of a node that keeps everything in memory: it has no method but
// [Journal.Fault], and nobody begins a Tx on it.
type Journal struct {
	// Immutable after New or Open.
	st      store.Store
	batches sync.Pool // *store.Batch

	fault  atomic.Pointer[error] // why nothing more may be promised; nil: all is well
	counts counts

	mu       sync.Mutex // guards what follows; no call is made under it
	late     []*Tx      // found no room; oldest first
	retrying bool       // somebody commits from late
	again    bool       // room has come meanwhile

	queued atomic.Int32 // len(late), for those who do not lock
}

type counts struct{ txs, failed, late atomic.Uint64 }

// Stats are counts since the start.
type Stats struct {
	Transactions uint64 // completed
	Failed       uint64 // of which with an error
	Late         uint64 // that had to wait for room in the store's queue
}

// New returns the journal of a store, which its caller opens and closes.
func New(st store.Store) *Journal {
	j := &Journal{st: st}
	j.batches.New = func() any { return new(store.Batch) }
	return j
}

// Open returns the journal of the store that open makes. open gives tell to its
// store as what is told of its state.
func Open(open func(tell func(store.State)) (store.Store, error)) (*Journal, error) {
	j := New(nil)
	st, err := open(j.SetState)
	if err != nil {
		return nil, err
	}
	j.st = st
	return j, nil
}

// Store is where the journal writes, for reading.
func (j *Journal) Store() store.Reader { return j.st }

// OpenFormat brings a room's keys to the version of f; see [store.Format.Open].
func (j *Journal) OpenFormat(ctx context.Context, f store.Format) error { return f.Open(ctx, j.st) }

// SetState tells the journal how its store is: the store's OnState.
func (j *Journal) SetState(st store.State) {
	if st.Mode == store.Ready {
		j.fault.Store(nil)
		return
	}
	err := st.Err
	if err == nil {
		err = store.ErrClosed
	}
	j.fault.Store(&err)
}

// Fault is why nothing that grows may be promised now: ErrFull, ErrReadOnly,
// ErrClosed; nil if all is well. It costs one load. A room asks before it takes
// what it would have to keep; what frees space or ends something goes on.
func (j *Journal) Fault() error {
	if j == nil {
		return nil
	}
	if p := j.fault.Load(); p != nil {
		return *p
	}
	return nil
}

// Refusal is what a client is told whose message or subscription could not be kept because
// of err: that the store has failed (0x83) or, whatever else it is, that there is no
// room now (0x97).
func Refusal(err error) packet.ReasonCode {
	if errors.Is(err, store.ErrReadOnly) || errors.Is(err, store.ErrClosed) {
		return packet.ImplementationSpecificError
	}
	return packet.QuotaExceeded
}

// Busy tells that the store does not keep up: read from no publisher that has
// something to wait for.
func (j *Journal) Busy() bool { return j.queued.Load() > 0 || j.st.Busy() }

// Stats returns the counts.
func (j *Journal) Stats() Stats {
	return Stats{Transactions: j.counts.txs.Load(), Failed: j.counts.failed.Load(), Late: j.counts.late.Load()}
}

// Begin starts a transaction. Its owner fills it and calls Commit once.
func (j *Journal) Begin() *Tx {
	return &Tx{j: j, b: j.batches.Get().(*store.Batch)}
}

// Apply fills a transaction, commits it and waits for its end: for start-up and
// operators, not for a goroutine that serves clients.
func (j *Journal) Apply(ctx context.Context, d store.Durability, fill func(*Tx)) error {
	t := j.Begin()
	t.Need(d)
	if fill != nil {
		fill(t)
	}
	end := make(ended, 1)
	t.Wait(end)
	t.Commit()
	select {
	case <-end:
		_, err := t.Ended()
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Barrier waits until everything that was committed before is synced.
func (j *Journal) Barrier(ctx context.Context) error { return j.Apply(ctx, store.Sync, nil) }

type ended chan struct{}

// Resume implements Waiter.
func (e ended) Resume() { close(e) }

// commit gives t to the store, or keeps it until there is room. Transactions
// that one goroutine commits keep their order.
func (j *Journal) commit(t *Tx) {
	if j.queued.Load() == 0 {
		err := j.st.Commit(t.b, t.need, t)
		switch {
		case err == nil:
			return
		case !errors.Is(err, store.ErrBusy):
			t.Done(err)
			return
		}
	}
	j.counts.late.Add(1)
	j.mu.Lock()
	j.late = append(j.late, t)
	j.queued.Add(1)
	j.mu.Unlock()
	j.retry()
}

// retry commits what is late until there is no room again. It is called whenever
// room may have come.
func (j *Journal) retry() {
	if j.queued.Load() == 0 {
		return
	}
	j.mu.Lock()
	if j.retrying {
		j.again = true
		j.mu.Unlock()
		return
	}
	j.retrying = true
	for len(j.late) > 0 {
		t := j.late[0]
		j.again = false
		j.mu.Unlock()
		err := j.st.Commit(t.b, t.need, t)
		if err != nil && !errors.Is(err, store.ErrBusy) {
			t.Done(err)
			err = nil
		}
		j.mu.Lock()
		if err == nil {
			j.late[0] = nil
			j.late = j.late[1:]
			j.queued.Add(-1)
			continue
		}
		if !j.again {
			break // the completion of what fills the queue comes back here
		}
	}
	j.retrying = false
	j.mu.Unlock()
}
