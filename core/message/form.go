package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/dunlinmq/dunlin/core/packet"
)

// ErrForm is wrapped by the errors of [CutForm]: the bytes are no message.
var ErrForm = errors.New("message: not the byte form of a message")

// The flag byte of the form.
const (
	formRetain byte = 1 << iota
	formRetained
)

// AppendForm appends m's byte form: all of m, as it is stored and travels between
// nodes. It has no version of its own: whoever keeps it, has one.
func (m *Message) AppendForm(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(m.ID.Node))
	dst = binary.AppendUvarint(dst, uint64(m.ID.Incarnation))
	dst = binary.AppendUvarint(dst, m.ID.Seq)
	dst = appendPart(dst, m.Topic)
	dst = appendPart(dst, m.Payload)
	dst = appendPart(dst, m.Props)
	dst = appendPart(dst, m.From)
	dst = appendPart(dst, m.Username)
	dst = binary.AppendVarint(dst, m.Time)
	dst = binary.AppendVarint(dst, m.Expiry)
	return append(dst, m.QoS, m.formFlags(), byte(m.Origin), m.Hops)
}

func (m *Message) formFlags() (flags byte) {
	if m.Retain {
		flags |= formRetain
	}
	if m.Retained {
		flags |= formRetained
	}
	return flags
}

// setKind takes QoS, flags, origin and hops; false: they cannot be.
func (m *Message) setKind(b []byte) bool {
	flags := b[1]
	m.QoS, m.Origin, m.Hops = b[0], Origin(b[2]), b[3]
	m.Retain, m.Retained = flags&formRetain != 0, flags&formRetained != 0
	return m.QoS <= 2 && flags <= formRetain|formRetained && m.Origin <= OriginPeer
}

func appendPart[T string | []byte | packet.Props](dst []byte, p T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(p)))
	return append(dst, p...)
}

// CutForm reads a message from the start of b and returns what follows it. The
// message has copies: topic, properties and payload in one piece. The error is
// ErrForm.
func CutForm(b []byte) (m *Message, rest []byte, err error) {
	f := form{b: b}
	m = new(Message)
	m.ID = ID{Node: f.uint32(), Incarnation: f.uint32(), Seq: f.uvarint()}
	topic, payload, props := f.part(), f.part(), f.part()
	m.From, m.Username = string(f.part()), string(f.part())
	m.Time, m.Expiry = f.varint(), f.varint()
	end := f.take(4)
	if f.bad {
		return nil, nil, fmt.Errorf("%w: it ends too early", ErrForm)
	}
	if !m.setKind(end) {
		return nil, nil, fmt.Errorf("%w: QoS, flags, origin, hops are %x", ErrForm, end)
	}
	buf := make([]byte, 0, len(topic)+len(props)+len(payload))
	m.setBytes(buf, string(topic), payload, packet.Props(props))
	if len(payload) == 0 {
		m.Payload = nil
	}
	if len(props) == 0 {
		m.Props = nil
	}
	return m, f.b, nil
}

// form takes bytes apart. Once bad, it gives zero values.
type form struct {
	b   []byte
	bad bool
}

func (f *form) fail() {
	f.b, f.bad = nil, true
}

func (f *form) uvarint() uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.fail()
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *form) uint32() uint32 {
	v := f.uvarint()
	if v > math.MaxUint32 {
		f.fail()
	}
	return uint32(v)
}

func (f *form) varint() int64 {
	v, n := binary.Varint(f.b)
	if n <= 0 {
		f.fail()
		return 0
	}
	f.b = f.b[n:]
	return v
}

// part is the next bytes with their length before them, borrowed.
func (f *form) part() []byte { return f.take(f.uvarint()) }

func (f *form) take(n uint64) []byte {
	if n > uint64(len(f.b)) {
		f.fail()
		return nil
	}
	p := f.b[:n:n]
	f.b = f.b[n:]
	return p
}
