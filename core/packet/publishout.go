package packet

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// PublishOut is what a broker sends to one subscriber: a PUBLISH made of the
// message's parts and of what belongs to this connection alone. The latter are
// left out before 5.0.
type PublishOut struct {
	Topic          string // empty if TopicAlias is known to the peer
	Payload        []byte
	Props          Props  // forwarded as they are; without those below
	SubscriptionID uint32 // 0: none
	Expiry         uint32 // seconds, sent if HasExpiry
	PacketID       uint16 // QoS 1 and 2
	TopicAlias     uint16 // 0: none
	QoS            byte
	Dup            bool
	Retain         bool
	HasExpiry      bool
}

// propsSize is the size of the property block without its length.
func (p *PublishOut) propsSize() int {
	n := len(p.Props)
	if p.HasExpiry {
		n += 5
	}
	if p.TopicAlias != 0 {
		n += 3
	}
	if p.SubscriptionID != 0 {
		n += 1 + sizeVarint(int(p.SubscriptionID))
	}
	return n
}

// remaining is the Remaining Length; props is that of the property block.
func (p *PublishOut) remaining(v Version) (n, props int) {
	n = 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > 0 {
		n += 2
	}
	if v == V50 {
		props = p.propsSize()
		n += sizeVarint(props) + props
	}
	return n, props
}

// SizePublish is the exact size of what AppendPublish appends, to be compared
// with the peer's Maximum Packet Size [MQTT-3.1.2-24].
func SizePublish(v Version, p *PublishOut) int {
	n, _ := p.remaining(v)
	return 1 + sizeVarint(n) + n
}

// AppendPublish encodes p for protocol version v at the end of dst. A topic of
// more than 65,535 bytes and a packet of more than 256 MiB panic.
func AppendPublish(dst []byte, v Version, p *PublishOut) []byte {
	n, props := p.remaining(v)
	dst = slices.Grow(dst, maxHeader+n)
	dst = append(dst, p.first())
	dst = appendVarint(dst, n)
	dst = appendString(dst, p.Topic)
	if p.QoS > 0 {
		dst = appendUint16(dst, p.PacketID)
	}
	if v == V50 {
		dst = p.appendProps(appendVarint(dst, props))
	}
	return append(dst, p.Payload...)
}

func (p *PublishOut) appendProps(dst []byte) []byte {
	if p.HasExpiry {
		dst = AppendUint32Prop(dst, PropMessageExpiry, p.Expiry)
	}
	if p.TopicAlias != 0 {
		dst = AppendUint16Prop(dst, PropTopicAlias, p.TopicAlias)
	}
	if p.SubscriptionID != 0 {
		dst = AppendVarintProp(dst, PropSubscriptionID, p.SubscriptionID)
	}
	return append(dst, p.Props...)
}

// first is the first byte of the fixed header.
func (p *PublishOut) first() byte {
	f := byte(TypePublish)<<4 | p.QoS<<1&publishQoS
	if p.Dup && p.QoS > 0 {
		f |= publishDup
	}
	if p.Retain {
		f |= publishRetain
	}
	return f
}

// SetPacketID writes the packet identifier into an encoded PUBLISH of QoS 1 or
// 2, so that bytes encoded once can go to many. A packet of QoS 0 panics.
func SetPacketID(encoded []byte, id uint16) {
	if encoded[0]&publishQoS == 0 {
		panic(fmt.Sprintf("packet: packet identifier %d for a PUBLISH of QoS 0", id))
	}
	at := 1
	for encoded[at] >= 0x80 {
		at++
	}
	topic := int(binary.BigEndian.Uint16(encoded[at+1:]))
	binary.BigEndian.PutUint16(encoded[at+3+topic:], id)
}
