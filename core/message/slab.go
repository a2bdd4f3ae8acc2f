package message

import (
	"unsafe"

	"github.com/dunlinmq/dunlin/core/packet"
)

// Slab sizes: a message that stays in a client's inflight window pins at most
// one chunk and one block, 4 KiB + about 4.5 KiB. Queues and stores Detach.
const (
	slabBytes    = 4 << 10
	slabMessages = 32
)

// Slab makes messages from borrowed bytes with two allocations for many
// messages instead of two for each. It is owned by one goroutine; the messages
// may go anywhere. The zero Slab is ready.
type Slab struct {
	bytes    []byte
	messages []Message
}

// New returns a message with copies of topic, payload and props; all other
// fields are zero.
func (s *Slab) New(topic string, payload []byte, props packet.Props) *Message {
	m, buf := s.take(len(topic) + len(payload) + len(props))
	m.setBytes(buf, topic, payload, props)
	return m
}

// take is an empty message and room for its n bytes.
func (s *Slab) take(n int) (m *Message, buf []byte) {
	switch {
	case n > slabBytes/4:
		buf = make([]byte, 0, n)
	default:
		if cap(s.bytes)-len(s.bytes) < n {
			s.bytes = make([]byte, 0, slabBytes)
		}
		at := len(s.bytes)
		buf = s.bytes[at : at : at+n]
		s.bytes = s.bytes[:at+n]
	}
	if len(s.messages) == 0 {
		s.messages = make([]Message, slabMessages)
	}
	m = &s.messages[0]
	s.messages = s.messages[1:]
	return m, buf
}

// Reset lets go of the current chunk, so that an idle owner holds no memory.
func (s *Slab) Reset() { *s = Slab{} }

// setBytes copies the parts into buf, which has the capacity for all of them.
func (m *Message) setBytes(buf []byte, topic string, payload []byte, props packet.Props) {
	buf = append(buf, topic...)
	t := len(buf)
	buf = append(buf, props...)
	p := len(buf)
	buf = append(buf, payload...)
	if t > 0 {
		// The bytes are never written again: a string may share them.
		m.Topic = unsafe.String(&buf[0], t)
	}
	m.Props = packet.Props(buf[t:p:p])
	m.Payload = buf[p:len(buf):len(buf)]
}
