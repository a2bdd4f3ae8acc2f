package message_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
)

// TestSlabCopies shows that a message keeps nothing of the read buffer.
func TestSlabCopies(t *testing.T) {
	var s message.Slab
	buf := []byte("topicpayloadprops")
	topic := strings.Clone("topic")
	m := s.New(topic, buf[5:12], packet.Props(buf[12:]))
	n := s.New("other", []byte("x"), nil)
	for i := range buf {
		buf[i] = '!'
	}
	if m.Topic != "topic" || string(m.Payload) != "payload" || string(m.Props) != "props" {
		t.Errorf("message is %q %q %q", m.Topic, m.Payload, m.Props)
	}
	if n.Topic != "other" || string(n.Payload) != "x" || len(n.Props) != 0 {
		t.Errorf("next message is %q %q %q", n.Topic, n.Payload, n.Props)
	}
	// Appending to one message's bytes must not reach its neighbour's.
	_ = append(m.Payload, "overrun"...)
	_ = append(m.Props, "overrun"...)
	if n.Topic != "other" || string(m.Payload) != "payload" {
		t.Error("messages of a slab share capacity")
	}
}

func TestDetach(t *testing.T) {
	var s message.Slab
	m := s.New("a/b", []byte("hello"), packet.Props{1, 2})
	m.QoS, m.Retain, m.Expiry, m.From = 2, true, 9, "client"
	d := m.Detach()
	if d.Topic != "a/b" || !bytes.Equal(d.Payload, m.Payload) || !bytes.Equal(d.Props, m.Props) ||
		d.QoS != 2 || !d.Retain || d.Expiry != 9 || d.From != "client" {
		t.Errorf("copy is %+v", d)
	}
	if &d.Payload[0] == &m.Payload[0] {
		t.Error("the copy shares the slab's bytes")
	}
}

// TestSlabSharesAllocations is the hot path's promise: many messages an
// allocation.
func TestSlabSharesAllocations(t *testing.T) {
	var s message.Slab
	payload := make([]byte, 64)
	per := testing.AllocsPerRun(1000, func() {
		for range 32 {
			s.New("sensor/1/temperature", payload, nil)
		}
	})
	if per > 2 {
		t.Errorf("%v allocations for 32 messages, want at most 2", per)
	}
}

func TestExpiry(t *testing.T) {
	const sec = int64(time.Second)
	m := &message.Message{Expiry: 10 * sec}
	for _, tt := range []struct {
		now     int64
		expired bool
		left    uint32
	}{
		{0, false, 10}, {sec/2 + 1, false, 10}, {9*sec + 1, false, 1}, {10 * sec, true, 0}, {11 * sec, true, 0},
	} {
		left, ok := m.ExpiryLeft(tt.now)
		if m.Expired(tt.now) != tt.expired || left != tt.left || !ok {
			t.Errorf("at %d: expired %v, left %d", tt.now, m.Expired(tt.now), left)
		}
	}
	never := &message.Message{}
	if _, ok := never.ExpiryLeft(1 << 62); ok || never.Expired(1<<62) {
		t.Error("a message without expiry has expired")
	}
}

// TestRetainFlag is [MQTT-3.3.1-8], [-9], [-12] and [-13].
func TestRetainFlag(t *testing.T) {
	for _, tt := range []struct {
		published, retained, asPublished, want bool
	}{
		{published: true, want: false},
		{published: true, asPublished: true, want: true},
		{published: false, asPublished: true, want: false},
		{published: true, retained: true, want: true},
	} {
		d := message.Delivery{Msg: &message.Message{Retain: tt.published, Retained: tt.retained}, Opts: message.SubOptions{RetainAsPublished: tt.asPublished}}
		if d.Retain() != tt.want {
			t.Errorf("%+v: retain %v", tt, d.Retain())
		}
	}
}
