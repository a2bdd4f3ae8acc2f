package session

import (
	"math/bits"
	"time"
)

// ReceiveResult says what an inbound QoS 2 PUBLISH is.
type ReceiveResult byte

// The results of Receive.
const (
	ReceiveNew       ReceiveResult = iota // publish it, then answer PUBREC
	ReceiveDuplicate                      // published before: only answer PUBREC again [MQTT-4.3.3-10]
	ReceiveFull                           // MaxAwaitingRel reached: DISCONNECT 0x93
)

const (
	minAwaiting = 4
	// spread makes the high bits of a product depend on all bits of the factor
	// (2^64 divided by the golden ratio).
	spread = 0x9E3779B97F4A7C15
)

// waiting is one inbound packet identifier between PUBLISH and PUBREL.
type waiting struct {
	since int64  // Unix nanoseconds
	id    uint16 // 0: empty place
}

// awaiting is a hash table with linear probing of the inbound QoS 2 packet
// identifiers. The multiplier comes from the session's creation time, which the
// client, who chooses the identifiers, does not know to the nanosecond: it cannot
// make them collide. A seeded awaiting is empty and holds no memory.
type awaiting struct {
	table  []waiting // length is a power of two, at most half of it used
	oldest int64     // no entry is older; 0 when empty
	count  int32
	factor uint32 // odd
	shift  uint8  // 32 - log2(len(table))
}

// Receive takes an inbound QoS 2 PUBLISH with packet identifier id, whatever its
// DUP flag says. A message that is refused after ReceiveNew must be given back with
// Release, because PUBREC with an error ends the exchange [MQTT-4.3.3-9].
func (s *Session) Receive(id uint16, now int64) ReceiveResult {
	a := &s.awaiting
	if a.find(id) >= 0 {
		return ReceiveDuplicate
	}
	if limit := s.cfg.MaxAwaitingRel; limit > 0 && int(a.count) >= limit {
		return ReceiveFull
	}
	a.insert(waiting{since: now, id: id})
	return ReceiveNew
}

// Release takes an inbound PUBREL; the answer is PUBCOMP in any case. ok is false
// if id is not known: reason code 0x92.
func (s *Session) Release(id uint16) (ok bool) {
	i := s.awaiting.find(id)
	if i < 0 {
		return false
	}
	s.awaiting.remove(i)
	return true
}

// seed chooses the multiplier.
func (a *awaiting) seed(created int64) { a.factor = uint32(uint64(created)*spread>>32) | 1 }

// find returns the place of id, or -1.
func (a *awaiting) find(id uint16) int {
	if a.count == 0 || id == 0 {
		return -1
	}
	mask := len(a.table) - 1
	for i := a.home(id); ; i = (i + 1) & mask {
		switch a.table[i].id {
		case id:
			return i
		case 0:
			return -1
		}
	}
}

// home is the place where the search for id begins.
func (a *awaiting) home(id uint16) int { return int(uint32(id) * a.factor >> a.shift) }

// insert adds w, whose identifier is not in the table.
func (a *awaiting) insert(w waiting) {
	if 2*int(a.count+1) > len(a.table) {
		old := a.table
		a.table = make([]waiting, max(minAwaiting, 2*len(old)))
		a.shift = uint8(33 - bits.Len(uint(len(a.table))))
		for _, o := range old {
			if o.id != 0 {
				a.place(o)
			}
		}
	}
	a.place(w)
	a.count++
	if a.oldest == 0 || w.since < a.oldest {
		a.oldest = w.since
	}
}

// place writes w into the first empty place of its probe sequence.
func (a *awaiting) place(w waiting) {
	mask := len(a.table) - 1
	i := a.home(w.id)
	for a.table[i].id != 0 {
		i = (i + 1) & mask
	}
	a.table[i] = w
}

// remove empties place i and closes the gap in the probe sequences.
func (a *awaiting) remove(i int) {
	mask := len(a.table) - 1
	a.count--
	for j := (i + 1) & mask; a.table[j].id != 0; j = (j + 1) & mask {
		home := a.home(a.table[j].id)
		if (j-home)&mask >= (j-i)&mask {
			a.table[i] = a.table[j]
			i = j
		}
	}
	a.table[i] = waiting{}
	if a.count == 0 {
		a.oldest = 0
	}
}

// touch restarts the waiting time of all identifiers.
func (a *awaiting) touch(now int64) {
	if a.count == 0 {
		return
	}
	for i := range a.table {
		if a.table[i].id != 0 {
			a.table[i].since = now
		}
	}
	a.oldest = now
}

// expire forgets the identifiers that have waited for timeout.
func (a *awaiting) expire(now int64, timeout time.Duration, e *Effects) {
	limit := now - int64(timeout)
	if timeout <= 0 || a.count == 0 || a.oldest > limit {
		return
	}
	for i := 0; i < len(a.table); {
		if w := a.table[i]; w.id != 0 && w.since <= limit {
			a.remove(i) // may move another entry to i
			e.TimedOut++
			e.Moves = append(e.Moves, Move{ID: w.id, Step: StepForgotten})
			continue
		}
		i++
	}
	a.oldest = 0
	for _, w := range a.table {
		if w.id != 0 && (a.oldest == 0 || w.since < a.oldest) {
			a.oldest = w.since
		}
	}
}

// shrink gives the memory back when nothing waits.
func (a *awaiting) shrink() {
	if a.count == 0 {
		*a = awaiting{factor: a.factor}
	}
}
