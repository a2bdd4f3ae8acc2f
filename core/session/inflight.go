package session

import "github.com/dunlinmq/dunlin/core/message"

const (
	maxPacketID    = 1<<16 - 1
	minInflightCap = 4
	maxInflightCap = 1 << 16
)

// Flags of an entry.
const (
	flagRel    byte = 1 << iota // past PUBREC: PUBREL is owed, PUBCOMP awaited; no message
	flagUnsent                  // PUBLISH of an earlier connection, not yet sent on this one
	flagQuota                   // holds one unit of this connection's send quota
	flagAgain                   // sent on an earlier connection: the peer may know the identifier
	flagOwned                   // the message pins no read batch
)

// entry is one outbound QoS 1 or 2 message that is not finished.
type entry struct {
	msg        message.Delivery // zero if flagRel
	sentAt     int64            // Unix nanoseconds, of the last PUBLISH or PUBREL
	id         uint16           // 0: the slot is free, and last says which identifier it had
	last       uint16
	prev, next uint16 // slots; next also links the free slots
	qos        byte   // 1 or 2
	flags      byte
}

// stale tells whether the message of a PUBLISH that was sent has expired, so that
// it is not sent again. QoS 2 never is [MQTT-4.3.3-7].
func (en *entry) stale(now int64) bool { return en.qos == 1 && en.msg.Msg.Expired(now) }

// inflight holds entries in order of first sending, finds them by packet
// identifier and chooses identifiers, all in constant time without a map: the
// entry with identifier id lives in slot id mod len(slots). Freed slots are used
// again oldest first, each with its last identifier plus len(slots), so that in
// steady state identifiers go up by one, wrap at 16 bits, come again only after
// nearly all others, and are never in use twice. The zero inflight is empty and holds no memory.
type inflight struct {
	slots      []entry // length is a power of two, at most 65,536
	count      int
	quota      int // entries with flagQuota
	unsent     int // entries with flagUnsent
	head, tail uint16
	free       uint16 // head of the free slots; meaningless when there is none
	freeTail   uint16
	cursor     uint16 // at or before the first entry with flagUnsent; meaningless when unsent == 0
	lastID     uint16 // the identifier chosen last
	named      bool   // addAs was used: the free list is not kept
}

// find returns the slot of id, or -1.
func (f *inflight) find(id uint16) int {
	if id == 0 || len(f.slots) == 0 {
		return -1
	}
	i := int(id) & (len(f.slots) - 1)
	if f.slots[i].id != id {
		return -1
	}
	return i
}

// usable is how many entries fit without growing. Identifier 0 is never used, so
// that the largest size has one slot less.
func (f *inflight) usable() int {
	if len(f.slots) == maxInflightCap {
		return maxPacketID
	}
	return len(f.slots)
}

// add appends a new entry with a fresh identifier. The caller checks that fewer
// than 65,535 entries are in use.
func (f *inflight) add() *entry {
	if f.named {
		f.named = false
		if len(f.slots) > 0 {
			f.rebuildFree()
		}
	}
	if f.count == f.usable() {
		f.grow()
	}
	i := f.free
	en := &f.slots[i]
	f.free = en.next
	id := en.last + uint16(len(f.slots))
	if id == 0 { // slot 0, and fewer than 65,536 slots
		id = uint16(len(f.slots))
	}
	en.id = id
	f.lastID = id
	f.link(i)
	return en
}

// addAs appends a new entry with the identifier id, which is not in use. Slots
// double until its own is free: however far apart the identifiers in use are,
// 65,536 slots have room for all.
func (f *inflight) addAs(id uint16) *entry {
	f.named = true
	en := f.restore(id)
	f.lastID = id
	return en
}

// packetID is the packet identifier of the delivery with place seq in the
// journal: a function of it, so that sending needs no write and a message keeps
// its identifier over a crash.
func packetID(seq uint64) uint16 { return uint16((seq-1)%maxPacketID) + 1 }

// link puts slot i at the end of the order.
func (f *inflight) link(i uint16) {
	if f.count == 0 {
		f.head = i
	} else {
		f.slots[f.tail].next = i
		f.slots[i].prev = f.tail
	}
	f.tail = i
	f.count++
}

// restore appends an entry with a known identifier; nil if it is in use or 0. The
// free list is not kept: the caller must call rebuildFree before the next add.
func (f *inflight) restore(id uint16) *entry {
	if id == 0 || f.find(id) >= 0 {
		return nil
	}
	for len(f.slots) == 0 || f.slots[int(id)&(len(f.slots)-1)].id != 0 {
		f.grow()
	}
	i := id & uint16(len(f.slots)-1)
	f.slots[i].id = id
	f.link(i)
	return &f.slots[i]
}

// remove frees slot i.
func (f *inflight) remove(i int) {
	en := &f.slots[i]
	f.clearFlag(en, flagQuota|flagUnsent)
	slot := uint16(i)
	if f.cursor == slot {
		f.cursor = en.next
	}
	switch {
	case f.count == 1:
	case f.head == slot:
		f.head = en.next
	case f.tail == slot:
		f.tail = en.prev
	default:
		f.slots[en.prev].next = en.next
		f.slots[en.next].prev = en.prev
	}
	hadFree := f.usable() > f.count
	f.count--
	*en = entry{last: en.id}
	if f.named {
		return // what was free may be in use by now: its links are those of the order
	}
	if hadFree {
		f.slots[f.freeTail].next = slot
	} else {
		f.free = slot
	}
	f.freeTail = slot
}

// setFlag sets one of the counted flags.
func (f *inflight) setFlag(en *entry, flag byte) {
	set := flag &^ en.flags
	if set&flagQuota != 0 {
		f.quota++
	}
	if set&flagUnsent != 0 {
		f.unsent++
	}
	en.flags |= flag
}

// clearFlag clears flags and keeps the counts.
func (f *inflight) clearFlag(en *entry, flag byte) {
	cleared := flag & en.flags
	if cleared&flagQuota != 0 {
		f.quota--
	}
	if cleared&flagUnsent != 0 {
		f.unsent--
	}
	en.flags &^= flag
}

// firstUnsent returns the slot of the first entry with flagUnsent. The caller
// checks that there is one.
func (f *inflight) firstUnsent() int {
	for f.slots[f.cursor].flags&flagUnsent == 0 {
		f.cursor = f.slots[f.cursor].next
	}
	return int(f.cursor)
}

// grow doubles the slots and moves the entries to their new places. It never
// happens while redelivery goes on, so that there is no cursor to move.
func (f *inflight) grow() {
	old := f.slots
	f.slots = make([]entry, max(minInflightCap, 2*len(old)))
	mask := uint16(len(f.slots) - 1)
	n, i := f.count, f.head
	f.count = 0
	for ; n > 0; n-- {
		en := &old[i]
		at := en.id & mask
		i = en.next
		f.slots[at] = *en
		f.link(at)
	}
	f.rebuildFree()
}

// rebuildFree links the free slots so that identifiers continue after lastID.
func (f *inflight) rebuildFree() {
	size := len(f.slots)
	first := true
	for k := 1; k <= size; k++ {
		id := f.lastID + uint16(k)
		i := int(id) & (size - 1)
		if f.slots[i].id != 0 || (id == 0 && size == maxInflightCap) {
			continue
		}
		f.slots[i] = entry{last: id - uint16(size)}
		if first {
			f.free = uint16(i)
			first = false
		} else {
			f.slots[f.freeTail].next = uint16(i)
		}
		f.freeTail = uint16(i)
	}
}

// each calls fn in order of first sending. fn must not remove entries.
func (f *inflight) each(fn func(*entry)) {
	for n, i := f.count, f.head; n > 0; n-- {
		en := &f.slots[i]
		i = en.next
		fn(en)
	}
}

// shrink gives the memory back when nothing is inflight.
func (f *inflight) shrink() {
	if f.count == 0 {
		*f = inflight{lastID: f.lastID}
	}
}
