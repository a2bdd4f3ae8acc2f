package message

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/dunlinmq/dunlin/core/packet"
)

// The first byte of a packed message says what follows; what does not is as in the
// message before. It is below 0x80: the rest of the values are the caller's.
const (
	packID     byte = 1 << iota // node, incarnation, number; else the number after the last
	packTopic                   // topic
	packFrom                    // client id and user name
	packProps                   // properties; else none
	packTime                    // what is to be added to the time
	packExpiry                  // when it expires; else never
	packKind                    // QoS, flags, origin, hops
	packEnd
)

// Packer appends messages one after the other, each as what differs from the one
// before: those of one publisher need little more than their payload. The zero
// Packer is ready. Its form has no version: whoever keeps it, has one.
type Packer struct{ last Message }

// Reset begins anew, and lets go of the last message.
func (p *Packer) Reset() { p.last = Message{} }

// Append appends m. The first byte is below 0x80.
func (p *Packer) Append(dst []byte, m *Message) []byte {
	l := &p.last
	at := len(dst)
	var flags byte
	dst = append(dst, 0)
	if m.ID.Node != l.ID.Node || m.ID.Incarnation != l.ID.Incarnation || m.ID.Seq != l.ID.Seq+1 {
		flags |= packID
		dst = binary.AppendUvarint(dst, uint64(m.ID.Node))
		dst = binary.AppendUvarint(dst, uint64(m.ID.Incarnation))
		dst = binary.AppendUvarint(dst, m.ID.Seq)
	}
	if m.Topic != l.Topic {
		flags |= packTopic
		dst = appendPart(dst, m.Topic)
	}
	if m.From != l.From || m.Username != l.Username {
		flags |= packFrom
		dst = appendPart(dst, m.From)
		dst = appendPart(dst, m.Username)
	}
	if len(m.Props) > 0 {
		flags |= packProps
		dst = appendPart(dst, m.Props)
	}
	if m.Time != l.Time {
		flags |= packTime
		dst = binary.AppendVarint(dst, m.Time-l.Time)
	}
	if m.Expiry != 0 {
		flags |= packExpiry
		dst = binary.AppendVarint(dst, m.Expiry)
	}
	if m.QoS != l.QoS || m.Retain != l.Retain || m.Retained != l.Retained || m.Origin != l.Origin || m.Hops != l.Hops {
		flags |= packKind
		dst = append(dst, m.QoS, m.formFlags(), byte(m.Origin), m.Hops)
	}
	dst[at] = flags
	p.last = *m
	return appendPart(dst, m.Payload)
}

// Unpacker reads what a Packer has written. The zero Unpacker is ready.
type Unpacker struct {
	// Borrowed from what was read.
	topic, payload, props, from, user []byte
	m                                 Message // the rest
	made                              bool    // m.From and m.Username are those of from and user
}

// Next reads a message from the start of b, and returns what follows it. The error
// is ErrForm.
func (u *Unpacker) Next(b []byte) (rest []byte, err error) {
	f := form{b: b}
	m := &u.m
	flags := byte(packEnd)
	if head := f.take(1); len(head) > 0 {
		flags = head[0]
	}
	if m.ID.Seq++; flags&packID != 0 {
		m.ID = ID{Node: f.uint32(), Incarnation: f.uint32(), Seq: f.uvarint()}
	}
	if flags&packTopic != 0 {
		u.topic = f.part()
	}
	if flags&packFrom != 0 {
		u.from, u.user, u.made = f.part(), f.part(), false
	}
	if u.props = nil; flags&packProps != 0 {
		u.props = f.part()
	}
	if flags&packTime != 0 {
		m.Time += f.varint()
	}
	if m.Expiry = 0; flags&packExpiry != 0 {
		m.Expiry = f.varint()
	}
	if flags&packKind != 0 {
		if kind := f.take(4); len(kind) == 4 && !m.setKind(kind) {
			return nil, fmt.Errorf("%w: QoS, flags, origin, hops are %x", ErrForm, kind)
		}
	}
	u.payload = f.part()
	if f.bad || flags >= packEnd {
		return nil, fmt.Errorf("%w: it ends too early, or begins with %#x", ErrForm, flags)
	}
	return f.b, nil
}

// Topic is the topic of the message that was read last, borrowed.
func (u *Unpacker) Topic() []byte { return u.topic }

// Size is [Message.Size] of the message that was read last.
func (u *Unpacker) Size() int { return len(u.topic) + len(u.payload) + len(u.props) }

// Message is the message that was read last, a copy made by s.
func (u *Unpacker) Message(s *Slab) *Message {
	if !u.made {
		u.m.From, u.m.Username, u.made = string(u.from), string(u.user), true
	}
	m, buf := s.take(u.Size())
	*m = u.m
	// setBytes copies the topic, so that it may be borrowed.
	m.setBytes(buf, unsafe.String(unsafe.SliceData(u.topic), len(u.topic)), u.payload, packet.Props(u.props))
	if len(u.payload) == 0 {
		m.Payload = nil
	}
	if len(u.props) == 0 {
		m.Props = nil
	}
	return m
}
