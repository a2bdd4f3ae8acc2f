package journal_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/core/store/storetest"
)

type waiter struct{ n int }

func (w *waiter) Resume() { w.n++ }

// TestWaitersResumeAtTheEnd: not before, once each, and with the outcome.
func TestWaitersResumeAtTheEnd(t *testing.T) {
	gate := storetest.NewGate(mem.New())
	j := journal.New(gate)
	tx := j.Begin()
	tx.Put(store.Async, []byte("k"), []byte("v"))
	tx.Delete([]byte("x"))
	var a, b waiter
	if !tx.Wait(&a) {
		t.Error("a transaction that is being filled has ended")
	}
	tx.Commit()
	if !tx.Wait(&b) || a.n != 0 {
		t.Errorf("ended before the store said so: %d", a.n)
	}
	if n, d := gate.Waiting(); n != 1 || d != store.Async {
		t.Errorf("the store has %d batches, %v", n, d)
	}
	if err := gate.Release(-1); err != nil {
		t.Fatal(err)
	}
	if over, err := tx.Ended(); !over || err != nil || a.n != 1 || b.n != 1 {
		t.Errorf("ended %v, %v; resumed %d and %d times", over, err, a.n, b.n)
	}
	if tx.Wait(&a) {
		t.Error("one may wait for what has ended")
	}
	if v, err := j.Store().Get([]byte("k"), nil); err != nil || string(v) != "v" {
		t.Errorf("the store has %q, %v", v, err)
	}
}

// TestFailureIsTold: a disk that fails ends what waits with the error.
func TestFailureIsTold(t *testing.T) {
	gate := storetest.NewGate(mem.New())
	j := journal.New(gate)
	var w waiter
	held := j.Begin()
	held.Put(store.Sync, []byte("k"), nil)
	held.Wait(&w)
	held.Commit()
	gate.Fail(store.ErrReadOnly)
	if over, err := held.Ended(); !over || !errors.Is(err, store.ErrReadOnly) || w.n != 1 {
		t.Errorf("held: %v, %v, resumed %d times", over, err, w.n)
	}
	if err := j.Barrier(context.Background()); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("after the failure: %v", err)
	}
	if s := j.Stats(); s.Transactions != 2 || s.Failed != 2 {
		t.Errorf("counts %+v", s)
	}
}

// TestFault: what the store says of itself is what the rooms see.
func TestFault(t *testing.T) {
	var none *journal.Journal
	if err := none.Fault(); err != nil {
		t.Errorf("a node that keeps nothing: %v", err)
	}
	j := journal.New(mem.New())
	full := fmt.Errorf("%w: 7 bytes", store.ErrFull)
	for _, c := range []struct {
		st   store.State
		want error
	}{
		{store.State{}, nil},
		{store.State{Mode: store.Full, Err: full}, store.ErrFull},
		{store.State{Mode: store.Ready}, nil},
		{store.State{Mode: store.Closed}, store.ErrClosed},
	} {
		if j.SetState(c.st); !errors.Is(j.Fault(), c.want) {
			t.Errorf("%v: %v", c.st, j.Fault())
		}
	}
}

// TestRefusal: a store that has failed is not called full.
func TestRefusal(t *testing.T) {
	for err, want := range map[error]packet.ReasonCode{
		store.ErrFull: packet.QuotaExceeded, errors.New("a log is full"): packet.QuotaExceeded,
		store.ErrReadOnly: packet.ImplementationSpecificError, store.ErrClosed: packet.ImplementationSpecificError,
	} {
		if got := journal.Refusal(fmt.Errorf("x: %w", err)); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

// TestOpen: a store that is full from the start is full for the rooms.
func TestOpen(t *testing.T) {
	j, err := journal.Open(func(tell func(store.State)) (store.Store, error) {
		tell(store.State{Mode: store.Full, Err: store.ErrFull})
		return mem.New(), nil
	})
	if err != nil || !errors.Is(j.Fault(), store.ErrFull) {
		t.Errorf("%v, fault %v", err, j.Fault())
	}
	if err := j.Barrier(context.Background()); err != nil {
		t.Error(err)
	}
	if j, err = journal.Open(func(func(store.State)) (store.Store, error) { return nil, store.ErrNewer }); j != nil || !errors.Is(err, store.ErrNewer) {
		t.Errorf("%v, %v", j, err)
	}
}

// narrow takes only so many batches at a time.
type narrow struct {
	store.Store
	mu    sync.Mutex
	room  int
	taken []store.Completion
	order []string
}

func (n *narrow) Commit(b *store.Batch, _ store.Durability, done store.Completion) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.taken) >= n.room {
		return store.ErrBusy
	}
	n.taken = append(n.taken, done)
	b.Each(func(_ store.Kind, key, _ []byte) { n.order = append(n.order, string(key)) })
	return nil
}

func (n *narrow) Busy() bool { return false }

// finish completes the oldest batch and tells whether there was one.
func (n *narrow) finish() bool {
	n.mu.Lock()
	if len(n.taken) == 0 {
		n.mu.Unlock()
		return false
	}
	done := n.taken[0]
	n.taken = n.taken[1:]
	n.mu.Unlock()
	done.Done(nil)
	return true
}

// TestNoRoom: what finds the store's queue full waits for room, in order, and
// publishers are told to wait meanwhile.
func TestNoRoom(t *testing.T) {
	st := &narrow{room: 2}
	j := journal.New(st)
	var txs []*journal.Tx
	for i := range 7 {
		tx := j.Begin()
		tx.Put(store.Async, fmt.Append(nil, i), nil)
		tx.Commit()
		txs = append(txs, tx)
		if busy := i >= 2; j.Busy() != busy {
			t.Errorf("after %d: busy is %v", i+1, !busy)
		}
	}
	n := 0
	for st.finish() {
		if over, err := txs[n].Ended(); !over || err != nil {
			t.Errorf("%d: %v, %v", n, over, err)
		}
		n++
	}
	if n != 7 || fmt.Sprint(st.order) != "[0 1 2 3 4 5 6]" || j.Busy() {
		t.Errorf("%d ended in the order %v, busy %v", n, st.order, j.Busy())
	}
	if s := j.Stats(); s.Late != 5 {
		t.Errorf("counts %+v", s)
	}
}

// TestNoRoomConcurrently: nobody is forgotten when many find no room.
func TestNoRoomConcurrently(t *testing.T) {
	st := &narrow{room: 3}
	j := journal.New(st)
	var wg sync.WaitGroup
	last := map[int]int{}
	for w := range 4 {
		wg.Go(func() {
			for i := range 500 {
				tx := j.Begin()
				tx.Put(store.Async, fmt.Appendf(nil, "%d %d", w, i), nil)
				tx.Commit()
			}
		})
	}
	stop := make(chan struct{})
	var finisher sync.WaitGroup
	finisher.Go(func() {
		for {
			select {
			case <-stop:
				for st.finish() {
				}
				return
			default:
				st.finish()
			}
		}
	})
	wg.Wait()
	close(stop)
	finisher.Wait()
	if s := j.Stats(); s.Transactions != 2000 {
		t.Errorf("%d of 2000 ended", s.Transactions)
	}
	for _, key := range st.order {
		var w, i int
		if _, err := fmt.Sscan(key, &w, &i); err != nil {
			t.Fatal(err)
		}
		if i != last[w] {
			t.Fatalf("writer %d: %d came where %d was due", w, i, last[w])
		}
		last[w]++
	}
}
