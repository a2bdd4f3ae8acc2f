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
// to bring, after an effect has asked for it.
func (s *Session) Wanted(dst []uint64, n int) []uint64 {
	if s.queue.len() == 0 {
		return dst
	}
	kept := s.queue.serve().kept
	return append(dst, kept[:min(n, len(kept))]...)
}

// Loaded is a message that was read back.
type Loaded struct {
	message.Delivery // Msg is nil: it is gone
	QoS              byte
}

// Load brings the messages of the places that Wanted has named, in their order,
// with no other call in between, and sends what the window allows.
func (s *Session) Load(now int64, ms []Loaded, e *Effects) {
	q := s.queue
	if q.len() == 0 {
		return
	}
	l := q.serve()
	n := min(len(ms), len(l.kept))
	for i := range ms[:n] {
		if ms[i].Msg == nil {
			q.count--
			continue
		}
		ms[i].Seq = l.kept[i]
		l.front = append(l.front, queued{msg: ms[i].Delivery, qos: ms[i].QoS, owned: true})
	}
	if l.kept = l.kept[n:]; len(l.kept) == 0 {
		l.kept = nil
	}
	s.Pump(now, e)
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
