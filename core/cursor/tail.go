package cursor

import "github.com/dunlinmq/dunlin/core/journal"

// tailBytes bounds what a log holds of its end in memory.
const tailBytes = 16 << 20

// tail is the bursts that were appended last, so that a consumer that keeps up
// reads no disk. The log's mutex guards it; the bursts are never written again.
type tail struct {
	bursts []recent // each begins where the one before ends
	bytes  int
}

// recent is one burst.
type recent struct {
	burst burst
	tx    *journal.Tx // that puts it on the disk: before its end nobody reads it
}

// add puts a burst at the end; the oldest go when there are too many bytes.
func (t *tail) add(last uint64, value []byte, tx *journal.Tx) {
	b, ok := readBurst(last, value)
	if !ok {
		t.bursts, t.bytes = nil, 0 // never: it was made a moment ago
		return
	}
	t.bursts = append(t.bursts, recent{b, tx})
	t.bytes += len(b.rest)
	n := 0
	for over := t.bytes - tailBytes; over > 0 && n < len(t.bursts); n++ {
		over -= len(t.bursts[n].burst.rest)
	}
	t.cut(n)
}

// forget lets go of the bursts whose records are all done.
func (t *tail) forget(done uint64) {
	n := 0
	for n < len(t.bursts) && t.bursts[n].burst.last <= done {
		n++
	}
	t.cut(n)
}

// cut takes the first n bursts off. Who has got them from after may still read them.
func (t *tail) cut(n int) {
	for i := range t.bursts[:n] {
		t.bytes -= len(t.bursts[i].burst.rest)
	}
	t.bursts = t.bursts[n:]
	if len(t.bursts) == 0 {
		t.bursts = nil
	}
}

// after is the bursts from the one on that has the record after seq; false: it is
// not among them.
func (t *tail) after(seq uint64) ([]recent, bool) {
	lo, hi := 0, len(t.bursts)
	for lo < hi {
		if mid := (lo + hi) / 2; t.bursts[mid].burst.last <= seq {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(t.bursts) || t.bursts[lo].burst.last-t.bursts[lo].burst.n > seq {
		return nil, false
	}
	return t.bursts[lo:], true
}
