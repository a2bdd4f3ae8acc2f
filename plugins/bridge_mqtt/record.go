//go:build !wasip1

package main

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// outgoing is a message on its way to the other broker.
type outgoing struct {
	topic   string // there
	payload []byte
	props   packet.Props // as they are sent, but for the expiry
	expiry  int64        // Unix nanoseconds; 0: never
	qos     byte
	retain  bool
}

var errRecord = errors.New("a queued message is damaged")

// record is the form of a message in the queue: flags, expiry, topic, properties,
// payload.
func (m *outgoing) record() []byte {
	b := make([]byte, 0, 32+len(m.topic)+len(m.props)+len(m.payload))
	flags := m.qos
	if m.retain {
		flags |= 1 << 2
	}
	b = binary.AppendVarint(append(b, flags), m.expiry)
	b = append(binary.AppendUvarint(b, uint64(len(m.topic))), m.topic...)
	b = append(binary.AppendUvarint(b, uint64(len(m.props))), m.props...)
	return append(b, m.payload...)
}

// read undoes record; the message shares b.
func read(b []byte) (m outgoing, err error) {
	if len(b) == 0 {
		return m, errRecord
	}
	m.qos, m.retain = b[0]&3, b[0]&(1<<2) != 0
	at, n := binary.Varint(b[1:])
	if n <= 0 {
		return m, errRecord
	}
	m.expiry, b = at, b[1+n:]
	for _, part := range []func([]byte){func(p []byte) { m.topic = string(p) }, func(p []byte) { m.props = p }} {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return m, errRecord
		}
		part(b[n : n+int(size)])
		b = b[n+int(size):]
	}
	m.payload = b
	return m, nil
}

// hops is the user property that counts the bridges a message has passed.
const hops = "dunlin-bridge-hops"

// publish makes the packet; ok is false if the message has expired.
func (m *outgoing) publish(v packet.Version, now time.Time) (p *packet.Publish, ok bool) {
	p = &packet.Publish{Topic: m.topic, Payload: m.payload, QoS: m.qos, Retain: m.retain}
	left := int64(0)
	if m.expiry != 0 {
		if left = m.expiry - now.UnixNano(); left <= 0 {
			return nil, false
		}
	}
	if v != packet.V50 {
		return p, true
	}
	p.Props = m.props
	if left > 0 {
		p.Props = packet.AppendUint32Prop(slices.Clip(p.Props), packet.PropMessageExpiry, uint32((left+1e9-1)/1e9))
	}
	return p, true
}

// hop appends the count of bridges to properties that have none.
func hop(props packet.Props, n int) packet.Props { return packet.AppendUserProp(props, hops, itoa(n)) }

// passed is how many bridges a message has passed, and its other properties, copied.
func passed(props packet.Props) (n int, rest packet.Props) {
	rest = make(packet.Props, 0, len(props)+32)
	props.Each(func(id packet.PropID, value []byte) bool {
		if id == packet.PropUserProperty {
			if u := append(packet.Props{byte(id)}, value...).UserProperties(); len(u) == 1 && u[0][0] == hops {
				n = max(n, atoi(u[0][1]))
				return true
			}
		}
		rest = append(append(rest, byte(id)), value...)
		return true
	})
	return n, rest
}
