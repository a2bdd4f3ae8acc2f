package session

import (
	"fmt"
	"math"
	"slices"

	"github.com/dunlinmq/dunlin/core/message"
)

// A session knows of the journal only that a delivery has a place in it
// (Delivery.Seq), and says in Effects.Moves and Drops what became of the place.
// While no connection is attached, what has a place needs no memory but for its
// number and size; it is read back, some at a time, when the window lets it out.

// places are messages that are in the journal only, oldest first.
type places struct {
	seqs  []uint64
	sizes []uint32 // of each, bytes
}

func (p *places) len() int { return len(p.seqs) }

func (p *places) push(seq uint64, size int64) {
	p.seqs = append(p.seqs, seq)
	p.sizes = append(p.sizes, uint32(min(size, math.MaxUint32))) // no MQTT packet is so long
}

// shift removes the oldest; there must be one.
func (p *places) shift() (seq uint64, size int64) {
	seq, size = p.seqs[0], int64(p.sizes[0])
	p.cut(1)
	return seq, size
}

// cut removes the oldest n.
func (p *places) cut(n int) {
	p.seqs, p.sizes = p.seqs[n:], p.sizes[n:]
	if len(p.seqs) == 0 {
		*p = places{}
	}
}

// Wanted appends to dst the places of at most n messages that [Session.Load] is
// to bring, after an effect has asked for it. They are in order.
func (s *Session) Wanted(dst []uint64, n int) []uint64 {
	if s.queue.len() == 0 {
		return dst
	}
	kept := s.queue.serve().kept.seqs
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
		l := &q.levels[i]
		if kept := l.kept.seqs; len(kept) > 0 && kept[0] >= ms[0].Seq && kept[0] <= ms[len(ms)-1].Seq {
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
		if n == l.kept.len() {
			break
		}
		m := &ms[i]
		if m.Seq != l.kept.seqs[n] {
			continue // dropped since, or another level's
		}
		l.bytes -= int64(l.kept.sizes[n])
		n++
		if m.Msg == nil {
			gone++
			continue
		}
		l.front = append(l.front, queued{msg: m.Delivery, qos: m.QoS, owned: true})
		l.bytes += sizeOf(m.Msg)
	}
	l.kept.cut(n)
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
		n := len(l.front) + l.kept.len() + l.count
		all := places{make([]uint64, 0, n), make([]uint32, 0, n)}
		for i := range l.front {
			all.push(l.front[i].msg.Seq, l.front[i].size())
		}
		all.seqs, all.sizes = append(all.seqs, l.kept.seqs...), append(all.sizes, l.kept.sizes...)
		l.front, l.kept = nil, all
	}
	var rest []queued
	for range l.count {
		m := l.shiftRing()
		if m.msg.Seq != 0 {
			l.kept.push(m.msg.Seq, m.size())
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
		n -= q.levels[i].kept.len()
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
	Size  int    // of its message, bytes: that of message.Message.Size
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
		if len(s.cfg.Priorities) == 0 && l.kept.len() == 0 {
			l.kept = places{make([]uint64, 0, len(r.Kept)), make([]uint32, 0, len(r.Kept))}
		}
		s.queue.keep(l, k.Seq, int64(k.Size)+messageOverhead)
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

// AppendTerms appends the byte form of a delivery without its place and its message:
// its effective QoS and its subscription.
func AppendTerms(dst []byte, d *message.Delivery, qos byte) []byte {
	return appendTerms(append(dst, qos), d)
}

// CutTerms reads what AppendTerms has written from the start of b, and returns what
// follows it.
func CutTerms(b []byte) (l Loaded, rest []byte, err error) {
	r := &reader{b: b}
	l.QoS = r.qos()
	l.Delivery = r.terms()
	if r.err != nil {
		return Loaded{}, nil, fmt.Errorf("session: read terms: %w", r.err)
	}
	return l, r.b, nil
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
		for _, seq := range s.queue.levels[i].kept.seqs {
			fn(seq)
		}
	}
}
