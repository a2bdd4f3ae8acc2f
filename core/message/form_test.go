package message_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
)

func randomMessage(r *rand.Rand) *message.Message {
	text := func(most int) []byte {
		if r.IntN(4) == 0 {
			return nil
		}
		p := make([]byte, 1+r.IntN(most))
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		return p
	}
	return &message.Message{
		ID:    message.ID{Node: r.Uint32(), Incarnation: r.Uint32(), Seq: r.Uint64()},
		Topic: string(text(40)), Payload: text(300), Props: packet.Props(text(20)), From: string(text(9)), Username: string(text(9)),
		Time: int64(r.Uint64()), Expiry: int64(r.Uint64()), QoS: byte(r.IntN(3)), Retain: r.IntN(2) == 0, Retained: r.IntN(2) == 0,
		Origin: message.Origin(r.IntN(6)), Hops: byte(r.Uint32()),
	}
}

// TestFormRoundTrip: every message comes back from its form, whatever follows,
// and shares nothing with it.
func TestFormRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		want := randomMessage(r)
		b := append(want.AppendForm([]byte("before")), "after"...)
		got, rest, err := message.CutForm(b[len("before"):])
		if err != nil || string(rest) != "after" {
			t.Fatalf("%v, %q follows", err, rest)
		}
		clear(b)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
}

// TestFormIsRefused: a form that ends too early, and values that cannot be.
func TestFormIsRefused(t *testing.T) {
	whole := (&message.Message{Topic: "a/b", Payload: []byte("xyz"), QoS: 1, Time: 5}).AppendForm(nil)
	for n := range whole {
		if m, _, err := message.CutForm(whole[:n]); !errors.Is(err, message.ErrForm) {
			t.Errorf("the first %d bytes give %+v, %v", n, m, err)
		}
	}
	for _, at := range []int{4, 3, 2} { // QoS, flags, origin
		bad := bytes.Clone(whole)
		bad[len(bad)-at] = 9
		if _, _, err := message.CutForm(bad); !errors.Is(err, message.ErrForm) {
			t.Errorf("byte %d from the end is 9: %v", at, err)
		}
	}
	if _, _, err := message.CutForm(append(binary.AppendUvarint(nil, 1<<32), whole[1:]...)); !errors.Is(err, message.ErrForm) {
		t.Errorf("node 1<<32: %v", err)
	}
}

func FuzzForm(f *testing.F) {
	f.Add((&message.Message{Topic: "a", Payload: []byte("b"), Props: packet.Props{1}, QoS: 2, Origin: message.OriginPeer}).AppendForm(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := message.CutForm(b)
		if err != nil {
			return
		}
		again, tail, err := message.CutForm(m.AppendForm(nil))
		if err != nil || len(tail) != 0 || !reflect.DeepEqual(m, again) || len(rest) > len(b) {
			t.Errorf("%+v comes back as %+v, %v", m, again, err)
		}
	})
}
