package router_test

import (
	"testing"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/core/store/storetest"
)

// journalling is a sink that leaves something in the batch's transaction.
type journalling struct {
	j    *journal.Journal
	seen int // batches in the store when it was run
	gate *storetest.Gate
}

func (s *journalling) Flush(b *router.Batch) {
	s.seen, _ = s.gate.Waiting()
	b.Tx(s.j).Put(store.Async, []byte("answer"), nil)
}

// TestBatchCommitsOnce: what a batch's messages leave is one transaction, in the
// store before that of the subscribers' turns, and a batch that leaves nothing
// commits nothing.
func TestBatchCommitsOnce(t *testing.T) {
	gate := storetest.NewGate(mem.New())
	j := journal.New(gate)
	b := &router.Batch{}
	b.Flush()
	if n, _ := gate.Waiting(); n != 0 || b.Mark() != 0 {
		t.Errorf("an idle batch committed %d times, mark %d", n, b.Mark())
	}
	sink := &journalling{j: j, gate: gate}
	b.Touch(sink)
	tx := b.Tx(j)
	tx.Put(store.Sync, []byte("message"), nil)
	if b.Tx(j) != tx || b.Mark() != 1 {
		t.Errorf("a batch has one transaction; mark %d", b.Mark())
	}
	b.Flush()
	if n, d := gate.Waiting(); sink.seen != 1 || n != 2 || d != store.Sync {
		t.Errorf("%d batches before the subscriber's turn, %d after it, %v", sink.seen, n, d)
	}
	if b.Mark() != 0 {
		t.Errorf("mark is %d after the flush", b.Mark())
	}
}

// TestBatchWithoutJournalAllocatesNothing: a node that keeps all in memory does
// not pay for those that do not.
func TestBatchWithoutJournalAllocatesNothing(t *testing.T) {
	b := &router.Batch{}
	if n := testing.AllocsPerRun(100, func() {
		b.Mark()
		b.Flush()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
