package session

import "github.com/dunlinmq/dunlin/core/packet"

// Puback takes the acknowledgement of a QoS 1 PUBLISH, with whatever reason
// code. ok is false if no QoS 1 message has this packet identifier.
func (s *Session) Puback(now int64, id uint16, e *Effects) (ok bool) {
	f := &s.inflight
	i := f.find(id)
	if i < 0 || f.slots[i].qos != 1 {
		return false
	}
	e.Acked = append(e.Acked, f.slots[i].msg.Msg)
	s.complete(now, i, e)
	return true
}

// Pubrec takes the receipt of a QoS 2 PUBLISH. Below 0x80 it is answered by
// PUBREL, each time it comes [MQTT-4.3.3-4], and the message is never sent again
// [MQTT-4.3.3-6]; from 0x80 on the exchange is over
// and the identifier free. ok is false if no QoS 2 message has the identifier:
// the answer is PUBREL 0x92.
func (s *Session) Pubrec(now int64, id uint16, code packet.ReasonCode, e *Effects) (ok bool) {
	f := &s.inflight
	i := f.find(id)
	if i < 0 || f.slots[i].qos != 2 {
		return false
	}
	if code >= 0x80 {
		s.complete(now, i, e)
		return true
	}
	en := &f.slots[i]
	if en.flags&flagRel == 0 {
		e.Acked = append(e.Acked, en.msg.Msg)
		s.toRel(en, e)
	}
	s.sendRel(now, en, e)
	s.Pump(now, e) // redelivery may have waited for just this one
	return true
}

// Pubcomp takes the end of a QoS 2 exchange. ok is false if no PUBREL with this
// packet identifier is outstanding.
func (s *Session) Pubcomp(now int64, id uint16, e *Effects) (ok bool) {
	f := &s.inflight
	i := f.find(id)
	if i < 0 || f.slots[i].flags&flagRel == 0 {
		return false
	}
	s.complete(now, i, e)
	return true
}

// InUse tells whether a message that is not finished has the packet identifier,
// for acknowledgements that are not due.
func (s *Session) InUse(id uint16) bool { return s.inflight.find(id) >= 0 }

// complete frees slot i and fills the window from what waits.
func (s *Session) complete(now int64, i int, e *Effects) {
	e.Completed++
	e.over(&s.inflight.slots[i].msg)
	s.inflight.remove(i)
	s.Pump(now, e)
}

// Skip says that the PUBLISH with this packet identifier was not sent because it
// is larger than the peer's Maximum Packet Size. The message counts as completed
// [MQTT-3.1.2-25]; a QoS 2 that the peer may know from an earlier connection
// goes on with PUBREL. The caller counts the message as dropped. Unknown
// identifiers, and 0, are ignored.
func (s *Session) Skip(id uint16, now int64, e *Effects) {
	f := &s.inflight
	i := f.find(id)
	if i < 0 || f.slots[i].flags&flagRel != 0 {
		return
	}
	en := &f.slots[i]
	if en.qos == 2 && en.flags&flagAgain != 0 {
		f.clearFlag(en, flagQuota)
		s.toRel(en, e)
		s.sendRel(now, en, e)
	} else {
		e.over(&en.msg)
		f.remove(i)
	}
	s.Pump(now, e)
}
