package registry

import (
	"slices"
	"testing"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
)

// resumed counts how often it is told to go on.
type resumed struct{ n int }

func (r *resumed) Resume() { r.n++ }

// A deletion waits for what was open when it was put off and for nothing that begins
// later, so that transactions without end put off none for ever; and one waiter is
// enough for many of them.
func TestPutOff(t *testing.T) {
	j := journal.New(mem.New())
	begin := func() *journal.Tx {
		tx := j.Begin()
		tx.Put(store.Async, []byte("k"), nil)
		return tx
	}
	var p putOff
	w := &resumed{}
	txs := []*journal.Tx{begin()}
	if p.add(1, txs[0], txs, w) || p.add(1, nil, nil, w) {
		t.Fatal("a deletion waits for its own transaction, or for none")
	}
	for i := range 100 { // seq i comes while txs[i] is open; txs[i+1] begins before it ends
		for range 3 {
			if !p.add(uint64(i), nil, txs[i:i+1], w) {
				t.Fatalf("%d does not wait", i)
			}
		}
		if got := p.take(txs[i:i+1], w); got != nil && i == 0 {
			t.Fatalf("%v are taken before the end", got)
		}
		txs = append(txs, begin())
		before := w.n
		txs[i].Commit()
		if w.n == before {
			t.Fatalf("nobody is told of the end of %d", i)
		}
		got := p.take(txs[i+1:], w)
		if want := []uint64{uint64(i), uint64(i), uint64(i)}; i == 0 && !slices.Equal(got, want[:1]) || i > 0 && len(got) == 0 {
			t.Fatalf("after the end of %d: %v", i, got)
		}
		if i > 0 && got[0] < uint64(i)-1 {
			t.Fatalf("after the end of %d: %v, which was due long ago", i, got)
		}
	}
	if w.n > 2*len(txs) {
		t.Errorf("told %d times of %d ends", w.n, len(txs))
	}
	txs[100].Commit()
	left := p.take(nil, w)
	if len(left) == 0 || left[len(left)-1] != 99 || p.seqs != nil || p.next != nil || p.txs != nil {
		t.Errorf("%v at the end, and %+v", left, p)
	}
}
