package session

import (
	"fmt"
	"slices"

	"github.com/dunlinmq/dunlin/core/message"
)

// A session knows of the journal only that a delivery has a place in it
// (Delivery.Seq), and says in Effects.Moves and Drops what became of the place.
// While no connection is attached, what has a place needs no memory but for its
// number; it is read back, some at a time, when the window lets it out.

// Wanted appends to dst the places of at most n messages that [Session.Load] is
// to bring, after an effect has asked for it. They are in order.
func (s *Session) Wanted(dst []uint64, n int) []uint64 {
	if s.queue.len() == 0 {
		return dst
	}
	kept := s.queue.serve().kept
	return append(dst, kept[:min(n, len(kept))]...)
}

// Loaded is a message that was read back.
type Loaded struct {
	message.Delivery // Msg is nil: it is gone. Seq is its place
	QoS              byte
}

// Load brings messages of places that Wanted has named, in their order, and sends
// what the window allows. Other calls may have been made meanwhile: what the queue
// has dropped since is ignored, and so is everything if what is next is not among
// ms: an effect asks again then.
func (s *Session) Load(now int64, ms []Loaded, e *Effects) {
	q := s.queue
	if q.len() == 0 || len(ms) == 0 {
		return
	}
	for i := range q.levels {
		if l := &q.levels[i]; len(l.kept) > 0 && l.kept[0] >= ms[0].Seq && l.kept[0] <= ms[len(ms)-1].Seq {
			q.count -= l.load(ms)
		}
	}
	s.Pump(now, e)
}

// load moves what ms has of the places at the beginning of kept to the front, and
// returns how many of them are gone.
func (l *level) load(ms []Loaded) (gone int) {
	n := 0
	for i := range ms {
		if n == len(l.kept) {
			break
		}
		switch m := &ms[i]; {
		case m.Seq != l.kept[n]:
			continue // dropped since, or another level's
		case m.Msg == nil:
			gone++
		default:
			l.front = append(l.front, queued{msg: m.Delivery, qos: m.QoS, owned: true})
		}
		n++
	}
	if l.kept = l.kept[n:]; len(l.kept) == 0 {
		l.kept = nil
	}
	return gone
}

// letGo forgets the messages that are in the journal.
func (q *queue) letGo() {
	if q == nil {
		return
	}
	for i := range q.levels {
		q.levels[i].letGo()
	}
}

func (l *level) letGo() {
	if len(l.front) > 0 {
		places := make([]uint64, 0, len(l.front)+len(l.kept)+l.count)
		for i := range l.front {
			places = append(places, l.front[i].msg.Seq)
		}
		l.front, l.kept = nil, append(places, l.kept...)
	}
	var rest []queued
	for range l.count {
		m := l.shiftRing()
		if m.msg.Seq != 0 {
			l.kept = append(l.kept, m.msg.Seq)
		} else {
			rest = append(rest, m)
		}
	}
	l.ring, l.head, l.count = nil, 0, 0
	for _, m := range rest {
		if l.count == len(l.ring) {
			l.grow()
		}
		l.ring[l.count] = m
		l.count++
	}
}

// inMemory is how many messages have not to be read from the journal.
func (q *queue) inMemory() int {
	if q == nil {
		return 0
	}
	n := q.count
	for i := range q.levels {
		n -= len(q.levels[i].kept)
	}
	return n
}

// Places calls fn with the place in the journal of everything outbound that is
// not over, in no order.
func (s *Session) Places(fn func(seq uint64)) {
	tell := func(seq uint64) {
		if seq != 0 {
			fn(seq)
		}
	}
	s.inflight.each(func(en *entry) { tell(en.msg.Seq) })
	s.queue.each(func(m *queued) { tell(m.msg.Seq) })
	s.Kept(fn)
}

// Awaiting calls fn with the inbound QoS 2 identifiers that wait for PUBREL, in
// order.
func (s *Session) Awaiting(fn func(id uint16)) {
	for _, id := range s.awaiting.ids() {
		fn(id)
	}
}

// ids is the identifiers in order.
func (a *awaiting) ids() []uint16 {
	ids := make([]uint16, 0, a.count)
	for _, w := range a.table {
		if w.id != 0 {
			ids = append(ids, w.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Recovered is what the journal had of a session. The slices are in order.
type Recovered struct {
	Received []uint64 // places of QoS 2 messages that the client has; PUBREL is owed
	Kept     []Kept   // the rest
	Awaiting []uint16 // inbound QoS 2 identifiers
}

// Kept is a message in the journal.
type Kept struct {
	Seq   uint64
	Topic string // for its priority; "" where the configuration has none
}

// Recover gives a new session what the journal had of it. As many messages as
// the window holds may have been sent before: they are sent with DUP.
func (s *Session) Recover(r Recovered, now int64) {
	for _, seq := range r.Received {
		if en := s.inflight.addAs(packetID(seq)); en != nil {
			en.msg.Seq, en.qos, en.flags = seq, 2, flagRel|flagAgain
		}
	}
	for _, id := range r.Awaiting {
		if id != 0 && s.awaiting.find(id) < 0 {
			s.awaiting.insert(waiting{since: now, id: id})
		}
	}
	if len(r.Kept) == 0 {
		return
	}
	s.queue = newQueue()
	for _, k := range r.Kept {
		l := s.queue.at(s.cfg.priority(k.Topic))
		if len(s.cfg.Priorities) == 0 && l.kept == nil {
			l.kept = make([]uint64, 0, len(r.Kept))
		}
		l.kept = append(l.kept, k.Seq)
		s.queue.count++
	}
	s.maybeSent = r.Kept[min(len(r.Kept), s.cfg.maxInflight())-1].Seq
}

// AppendDelivery appends the byte form of a delivery, without its place, and of
// its effective QoS.
func AppendDelivery(dst []byte, d *message.Delivery, qos byte) []byte {
	return appendDelivery(append(dst, qos), d)
}

// ReadDelivery reads what AppendDelivery has written. It copies what it keeps.
func ReadDelivery(b []byte) (Loaded, error) {
	r := &reader{b: b}
	l := Loaded{QoS: r.qos()}
	l.Delivery = r.delivery()
	return l, r.end("delivery")
}

// AppendOptions appends the byte form of a subscription's options.
func AppendOptions(dst []byte, o message.SubOptions) []byte { return appendOptions(dst, &o) }

// ReadOptions reads what AppendOptions has written.
func ReadOptions(b []byte) (message.SubOptions, error) {
	r := &reader{b: b}
	o := r.options()
	return o, r.end("subscription options")
}

// end is the error of having read everything.
func (r *reader) end(what string) error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	if r.err != nil {
		return fmt.Errorf("session: read %s: %w", what, r.err)
	}
	return nil
}

// Kept calls fn with the places of what is in the journal only.
func (s *Session) Kept(fn func(seq uint64)) {
	if s.queue == nil {
		return
	}
	for i := range s.queue.levels {
		for _, seq := range s.queue.levels[i].kept {
			fn(seq)
		}
	}
}
