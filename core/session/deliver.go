package session

import "github.com/dunlinmq/dunlin/core/message"

// One pump sends at most this much QoS 0 from the queue, so that a long queue is
// not encoded at once; the rest follows at the next Tick.
const (
	pumpMessages = 256
	pumpBytes    = 256 << 10
)

// readAhead is how many messages of an offline time are left when more are asked
// for.
const readAhead = 64

// Attach begins a connection [MQTT-4.4.0-1]. The send quota becomes the smaller
// of MaxInflight and receiveMax (0: 65,535) [MQTT-4.9.0-1]. Owed PUBRELs and
// unacknowledged PUBLISHes, with DUP, go out in their original order under their
// packet identifiers; then the queue. PUBRELs need no quota [MQTT-4.9.0-3];
// PUBLISHes beyond the quota follow, still first, as acknowledgements arrive. resend allows the
// retry timer, which MQTT 5.0 forbids.
//
// A QoS 1 PUBLISH whose message has expired is dropped instead of sent again
// (emqx4 §9.8). QoS 2 does not expire once it was sent [MQTT-4.3.3-7].
func (s *Session) Attach(now int64, receiveMax uint16, resend bool, e *Effects) {
	if s.attached {
		s.Detach()
	}
	if receiveMax == 0 {
		receiveMax = maxPacketID
	}
	s.attached, s.held, s.resend = true, false, resend
	s.window = min(uint16(s.cfg.maxInflight()), receiveMax)
	s.awaiting.touch(now)
	f := &s.inflight
	f.cursor = f.head
	f.each(func(en *entry) {
		f.clearFlag(en, flagQuota|flagUnsent)
		if en.flags&flagRel == 0 {
			f.setFlag(en, flagUnsent|flagAgain)
		}
	})
	for n, i := f.count, f.head; n > 0; n-- {
		en := &f.slots[i]
		at := int(i)
		i = en.next
		switch {
		case en.flags&flagRel != 0:
			s.sendRel(now, en, e)
		case f.quota < int(s.window):
			s.sendAgain(now, at, e)
		}
	}
	s.Pump(now, e)
}

// Detach ends the connection. Messages now go to the queue, QoS 0 only with
// StoreQoS0. What stays for long is copied out of the read batches.
func (s *Session) Detach() {
	s.attached, s.held = false, false
	s.retryAt, s.moreAt = 0, 0
	s.inflight.each(func(en *entry) {
		if en.msg.Msg != nil && en.flags&flagOwned == 0 {
			en.msg.Msg = en.msg.Msg.Detach()
			en.flags |= flagOwned
		}
	})
	if s.queue.len() == 0 {
		s.queue = nil
	}
	s.queue.letGo()
	s.queue.each((*queued).own)
	s.inflight.shrink()
	s.awaiting.shrink()
}

// Hold(true) says that the socket does not take what was sent: until Hold(false)
// QoS 1 and 2 wait in the queue, QoS 0 is dropped as queue_full, and nothing is
// sent again. PUBREL still answers PUBREC. Call Pump after Hold(false).
func (s *Session) Hold(on bool) { s.held = on }

// Deliver takes one message for the client. It goes out at once if a connection
// is attached and, for QoS 1 and 2, the window is open and nothing waits before
// it; else to the queue. A message that has expired, or that NoLocal keeps from
// its own publisher, is dropped.
func (s *Session) Deliver(now int64, d message.Delivery, e *Effects) {
	if d.Msg.Expiry != 0 && d.Msg.Expired(now) {
		s.drop(d, ReasonExpired, e)
		return
	}
	if d.Opts.NoLocal && d.Msg.From == s.clientID && fromClient(d.Msg.Origin) {
		s.drop(d, ReasonNoLocal, e)
		return
	}
	qos := s.effectiveQoS(&d)
	if qos == 0 {
		if s.attached && !s.held && (s.queue == nil || s.queue.qos0 == 0) {
			e.Send = append(e.Send, Outgoing{Delivery: d})
			return
		}
		s.keepQoS0(d, e)
		return
	}
	if s.attached && !s.held && s.queue.len() == 0 && s.openFor(d.Seq) {
		s.send(now, queued{msg: d, qos: qos}, e)
		return
	}
	s.enqueue(d, qos, e)
}

// fromClient tells whether messages of this origin carry a client id in From.
func fromClient(o message.Origin) bool {
	return o == message.OriginClient || o == message.OriginWill
}

// keepQoS0 queues or drops a QoS 0 message that cannot go out at once.
func (s *Session) keepQoS0(d message.Delivery, e *Effects) {
	switch {
	case !s.attached && !s.cfg.StoreQoS0:
		s.drop(d, ReasonQoS0, e)
	case s.held:
		s.drop(d, ReasonQueueFull, e)
	default:
		s.enqueue(d, 0, e)
	}
}

// open tells whether a new QoS 1 or 2 message may be sent: redelivery is over and
// there is quota and room.
func (s *Session) open() bool {
	f := &s.inflight
	return f.unsent == 0 && f.quota < int(s.window) && f.count < s.cfg.maxInflight()
}

// openFor is open for the delivery with a place in the journal, whose packet
// identifier must not be in use; 0: one without.
func (s *Session) openFor(seq uint64) bool {
	return s.open() && (seq == 0 || s.inflight.find(packetID(seq)) < 0)
}

// Pump moves what the window allows from redelivery and queue to e.Send. All
// acknowledgements pump by themselves.
func (s *Session) Pump(now int64, e *Effects) {
	if !s.attached || s.held {
		return
	}
	f := &s.inflight
	for f.unsent > 0 && f.quota < int(s.window) {
		s.sendAgain(now, f.firstUnsent(), e)
	}
	if s.queue.len() > 0 {
		s.drain(now, e)
	}
}

// drain sends from the queue.
func (s *Session) drain(now int64, e *Effects) {
	q := s.queue
	s.moreAt = 0
	messages, bytes := 0, 0
	for q.count > 0 {
		m := q.peek()
		if m == nil {
			e.Load = s.openFor(q.serve().kept.seqs[0])
			return
		}
		if l := q.serve(); len(l.front) == readAhead && l.kept.len() > 0 {
			e.Load = true // before it is too late
		}
		if m.qos != 0 && !s.openFor(m.msg.Seq) && !m.msg.Msg.Expired(now) {
			return
		}
		if messages >= pumpMessages || bytes >= pumpBytes {
			s.moreAt = now
			return
		}
		next := q.pop()
		switch {
		case next.msg.Msg.Expired(now):
			s.drop(next.msg, ReasonExpired, e)
		case next.qos == 0:
			messages++
			bytes += next.msg.Msg.Size()
			e.Send = append(e.Send, Outgoing{Delivery: next.msg})
		default:
			s.send(now, next, e)
		}
	}
	if q.long() {
		s.queue = nil
	}
}

// send gives m its packet identifier and sends it, for the first time but for
// what a crash may have hidden.
func (s *Session) send(now int64, m queued, e *Effects) {
	f := &s.inflight
	var en *entry
	again := false
	if seq := m.msg.Seq; seq != 0 {
		en, again = f.addAs(packetID(seq)), seq <= s.maybeSent
	} else {
		en = f.add()
	}
	en.msg, en.qos, en.sentAt = m.msg, m.qos, now
	if m.owned {
		en.flags |= flagOwned
	}
	if again {
		en.flags |= flagAgain
	}
	f.setFlag(en, flagQuota)
	s.arm(now)
	e.Send = append(e.Send, Outgoing{Delivery: m.msg, PacketID: en.id, QoS: m.qos, Dup: again})
}

// sendAgain sends the PUBLISH in slot i on a new connection, or gives it up if
// it is stale.
func (s *Session) sendAgain(now int64, i int, e *Effects) {
	f := &s.inflight
	en := &f.slots[i]
	f.clearFlag(en, flagUnsent)
	if en.stale(now) {
		s.drop(en.msg, ReasonExpired, e)
		f.remove(i)
		return
	}
	f.setFlag(en, flagQuota)
	en.sentAt = now
	s.arm(now)
	e.Send = append(e.Send, Outgoing{Delivery: en.msg, PacketID: en.id, QoS: en.qos, Dup: true})
}

// toRel makes en one that waits for PUBCOMP and lets go of its message.
func (s *Session) toRel(en *entry, e *Effects) {
	s.inflight.clearFlag(en, flagUnsent)
	en.flags = en.flags&^flagOwned | flagRel
	en.msg = message.Delivery{Seq: en.msg.Seq}
	if en.msg.Seq != 0 {
		e.Moves = append(e.Moves, Move{Seq: en.msg.Seq, Step: StepReceived})
	}
}

// sendRel sends the PUBREL of en; without a connection the next Attach does.
func (s *Session) sendRel(now int64, en *entry, e *Effects) {
	if !s.attached {
		return
	}
	en.sentAt = now
	s.arm(now)
	e.Send = append(e.Send, Outgoing{PacketID: en.id, QoS: 2, Rel: true})
}
