// Package message defines the immutable message that travels through the
// broker: from a publisher's packet, a will, a plugin, $SYS or a peer, to every
// subscriber, queue and store. It refuses to know sessions and subscribers.
package message

import (
	"strings"

	"github.com/dunlinmq/dunlin/core/packet"
)

// ID names a message in the whole cluster and over restarts.
type ID struct {
	Node        uint32 // the node that took the message
	Incarnation uint32 // that node's start count
	Seq         uint64 // counts the node's messages from 1
}

// Origin says who gave the message to the broker.
type Origin byte

// The origins.
const (
	OriginClient Origin = iota
	OriginWill
	OriginPlugin
	OriginSys
	OriginAdmin
	OriginPeer // another node; never forwarded again
)

// Message is immutable once published: hooks that rewrite make a copy.
// Topic, Payload and Props of messages made by a [Slab] share its memory.
type Message struct {
	ID       ID
	Topic    string
	Payload  []byte
	Props    packet.Props // forwarded 5.0 properties in wire form: no topic alias, expiry or subscription identifier
	From     string       // client id of the publisher, or the plugin's name
	Username string       // of the publishing client; "" if none
	Time     int64        // when the broker took it, Unix nanoseconds
	Expiry   int64        // when it expires, Unix nanoseconds; 0: never
	QoS      byte
	Retain   bool // the RETAIN flag as published
	Retained bool // true on a copy that is sent because of a new subscription
	Origin   Origin
	Hops     uint8 // how many plugins have published it on
}

// Expired tells whether the message's expiry interval has passed at now (Unix
// nanoseconds) [MQTT-3.3.2-5].
func (m *Message) Expired(now int64) bool { return m.Expiry != 0 && now >= m.Expiry }

// ExpiryLeft is the Message Expiry Interval to forward: the seconds that are
// left at now, rounded up [MQTT-3.3.2-6]. ok is false when m never expires.
func (m *Message) ExpiryLeft(now int64) (seconds uint32, ok bool) {
	if m.Expiry == 0 {
		return 0, false
	}
	left := m.Expiry - now
	if left <= 0 {
		return 0, true
	}
	return uint32((left + 999_999_999) / 1_000_000_000), true
}

// Sys tells whether the topic belongs to the broker ($SYS/...).
func (m *Message) Sys() bool { return strings.HasPrefix(m.Topic, "$SYS/") }

// Detach returns a copy whose bytes are its own, so that keeping it for long
// (queue, retained store) pins no read batch. One allocation for the bytes, one
// for the struct.
func (m *Message) Detach() *Message {
	c := *m
	n := len(m.Topic) + len(m.Props) + len(m.Payload)
	buf := make([]byte, 0, n)
	c.setBytes(buf, m.Topic, m.Payload, m.Props)
	c.From, c.Username = strings.Clone(m.From), strings.Clone(m.Username)
	return &c
}

// Size is the memory the message's own bytes take.
func (m *Message) Size() int { return len(m.Topic) + len(m.Payload) + len(m.Props) }
