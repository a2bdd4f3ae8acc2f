package message_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/dunlinmq/dunlin/core/message"
)

// TestPackRoundTrip: messages come back from what was packed, whatever the one before was, and share nothing with it.
func TestPackRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for range 200 {
		var p message.Packer
		var b []byte
		var want []*message.Message
		for range 1 + r.IntN(20) {
			m := randomMessage(r)
			if n := len(want); n > 0 && r.IntN(3) > 0 { // like the last one, but for some things
				last := *want[n-1]
				last.ID.Seq++
				last.Payload, last.Props = m.Payload, m.Props
				if r.IntN(2) == 0 {
					last.Topic = m.Topic
				}
				if r.IntN(2) == 0 {
					last.Time += 5
				}
				m = &last
			}
			want = append(want, m)
			at := len(b)
			if b = p.Append(b, m); b[at] >= 0x80 {
				t.Fatalf("a message begins with %#x", b[at])
			}
		}
		var u message.Unpacker
		var slab message.Slab
		var got []*message.Message
		for rest := b; len(rest) > 0; {
			var err error
			if rest, err = u.Next(rest); err != nil {
				t.Fatal(err)
			}
			m := u.Message(&slab)
			if string(u.Topic()) != m.Topic || u.Size() != m.Size() {
				t.Fatalf("topic %q, %d bytes of %+v", u.Topic(), u.Size(), m)
			}
			got = append(got, m)
		}
		clear(b)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
}

// TestPackIsShort: a publisher's next message takes its payload and three bytes.
func TestPackIsShort(t *testing.T) {
	var p message.Packer
	m := message.Message{ID: message.ID{Node: 1, Incarnation: 3, Seq: 7}, Topic: "sensors/1", Payload: make([]byte, 64), From: "sensor-1", Time: 1e18, QoS: 1}
	b := p.Append(nil, &m)
	m.ID.Seq++
	if n := len(p.Append(b, &m)) - len(b); n > 64+3 {
		t.Errorf("it takes %d bytes", n)
	}
	p.Reset()
	if again := p.Append(nil, &m); len(again) != len(b) {
		t.Errorf("after Reset it takes %d bytes, the first took %d", len(again), len(b))
	}
}

// TestPackIsRefused: what ends too early, and values that cannot be.
func TestPackIsRefused(t *testing.T) {
	var p message.Packer
	whole := p.Append(nil, &message.Message{Topic: "a/b", Payload: []byte("xyz"), From: "c", QoS: 1, Time: 5, Expiry: 9, Hops: 1})
	for n := range whole {
		var u message.Unpacker
		if _, err := u.Next(whole[:n]); !errors.Is(err, message.ErrForm) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	for _, bad := range [][]byte{{0x80, 0}, {1 << 6, 3, 0, 0, 0, 0}, {1 << 6, 0, 9, 0, 0, 0}, {1 << 6, 0, 0, 99, 0, 0}} {
		var u message.Unpacker
		if _, err := u.Next(bad); !errors.Is(err, message.ErrForm) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	var p message.Packer
	f.Add(p.Append(p.Append(nil, &message.Message{Topic: "a", QoS: 2}), &message.Message{Topic: "a", Payload: []byte("b")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var u message.Unpacker
		var slab message.Slab
		for len(b) > 0 {
			rest, err := u.Next(b)
			if err != nil {
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("nothing was read")
			}
			b = rest
			u.Message(&slab)
		}
	})
}
