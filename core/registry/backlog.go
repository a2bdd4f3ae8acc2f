package registry

import (
	"encoding/binary"
	"slices"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/store"
)

// backlog is which places of a session are where, and which are over. Guarded by
// Client.mu.
//
// That a place is over is told in one of three ways: its block is gone; it is not
// above the floor; it has a mark. None of them has an order with the transaction that
// has brought the place, so that whoever drops it needs not wait.
type backlog struct {
	runs    []run       // those that have places that are not over, and some between; in order
	floor   uint64      // everything up to it is over
	ahead   []span      // what is over above it, in order
	marks   []uint64    // places that may have a mark in the store, in order
	floorTx *journal.Tx // the last with a floor, until it has its place in the store's order
	late    []uint64    // over since the last tell, in blocks that stay
}

// span is places from one to another, both included.
type span struct{ from, to uint64 }

// placed says that a place, the highest so far, is in a block.
func (l *backlog) placed(seq uint64, k *block) {
	k.live.Add(1)
	if n := len(l.runs); n > 0 {
		if r := &l.runs[n-1]; r.block == k && r.last+1 == seq {
			r.last, r.n, r.live = seq, r.n+1, r.live+1
			return
		}
	}
	l.runs = append(l.runs, run{last: seq, n: 1, live: 1, block: k})
}

// over says that a place is over. tell puts into the store what has to be there.
func (l *backlog) over(t *journal.Tx, seq uint64) {
	if !l.pass(seq) {
		return
	}
	if i := runOf(l.runs, seq); i >= 0 {
		r := &l.runs[i]
		r.live--
		gone := r.block.over(t, 1)
		for len(l.runs) > 0 && l.runs[0].live == 0 {
			l.runs[0] = run{}
			l.runs = l.runs[1:]
		}
		if len(l.runs) == 0 {
			l.runs = nil
		}
		if gone && !l.marked(seq) {
			return
		}
	}
	l.late = append(l.late, seq)
}

// pass enters a place that is over; false: it was.
func (l *backlog) pass(seq uint64) bool {
	if seq <= l.floor {
		return false
	}
	if seq == l.floor+1 {
		l.floor = seq
		if len(l.ahead) > 0 && l.ahead[0].from == seq+1 {
			l.floor = l.ahead[0].to
			l.ahead = l.ahead[1:]
		}
		if len(l.ahead) == 0 {
			l.ahead = nil
		}
		return true
	}
	// i is the first span that ends at or behind the place before seq.
	i, _ := slices.BinarySearchFunc(l.ahead, seq-1, func(s span, at uint64) int {
		if s.to < at {
			return -1
		}
		return 1
	})
	if i == len(l.ahead) || seq+1 < l.ahead[i].from {
		l.ahead = slices.Insert(l.ahead, i, span{seq, seq})
		return true
	}
	s := &l.ahead[i]
	switch {
	case s.from <= seq && seq <= s.to:
		return false
	case seq+1 == s.from:
		s.from = seq
		return true
	}
	s.to = seq
	if i+1 < len(l.ahead) && l.ahead[i+1].from == seq+1 {
		s.to = l.ahead[i+1].to
		l.ahead = slices.Delete(l.ahead, i+1, i+2)
	}
	return true
}

// isOver tells whether a place is over.
func (l *backlog) isOver(seq uint64) bool {
	if seq <= l.floor {
		return true
	}
	i, _ := slices.BinarySearchFunc(l.ahead, seq, func(s span, at uint64) int {
		if s.to < at {
			return -1
		}
		return 1
	})
	return i < len(l.ahead) && l.ahead[i].from <= seq
}

func (l *backlog) marked(seq uint64) bool {
	_, ok := slices.BinarySearch(l.marks, seq)
	return ok
}

// mark puts a mark of a place into t, in place of the one it has.
func (l *backlog) mark(t *journal.Tx, sid, seq uint64, kind byte) {
	if i, ok := slices.BinarySearch(l.marks, seq); !ok {
		l.marks = slices.Insert(l.marks, i, seq)
	}
	var k [placeKeyLen]byte
	t.Put(store.Memory, appendMark(k[:0], sid, seq), []byte{kind})
}

// tell puts what is over since the last call into t: the floor if it says all of it,
// and marks for what is above the floor. A floor that could get into the store before
// an older one is told by marks too.
func (l *backlog) tell(t *journal.Tx, sid uint64) {
	if len(l.late) == 0 {
		return
	}
	if l.floorTx != nil && l.floorTx.Given() {
		l.floorTx = nil
	}
	may, below := l.floorTx == nil || l.floorTx == t, false
	for _, seq := range l.late {
		if may && seq <= l.floor {
			below = true
		} else {
			l.mark(t, sid, seq, markOver)
		}
	}
	l.late = l.late[:0]
	if cap(l.late) > lateKept {
		l.late = nil
	}
	if below {
		l.floorTx = t
		l.putFloor(t, sid)
	}
}

// lateKept is for how many places a backlog keeps memory.
const lateKept = 1024

// putFloor puts the floor into t, and takes the marks out that it makes needless.
func (l *backlog) putFloor(t *journal.Tx, sid uint64) {
	var k [placeKeyLen]byte
	var v [binary.MaxVarintLen64]byte
	t.Put(store.Memory, appendFloor(k[:0], sid), binary.AppendUvarint(v[:0], l.floor))
	n := 0
	for ; n < len(l.marks) && l.marks[n] <= l.floor; n++ {
		t.Delete(appendMark(k[:0], sid, l.marks[n]))
	}
	if l.marks = l.marks[n:]; len(l.marks) == 0 {
		l.marks = nil
	}
}

// forget takes all of it out, when the session is over.
func (l *backlog) forget(t *journal.Tx, sid uint64) {
	for i := range l.runs {
		if r := &l.runs[i]; r.live > 0 {
			r.block.over(t, int64(r.live))
		}
	}
	t.Delete(appendFloor(nil, sid))
	if len(l.marks) > singly {
		r := store.Prefix(store.AppendUint64([]byte{keyMark}, sid))
		t.DeleteRange(r.From, r.To)
	} else {
		for _, seq := range l.marks {
			t.Delete(appendMark(nil, sid, seq))
		}
	}
	*l = backlog{}
}
