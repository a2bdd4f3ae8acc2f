package channel_test

import (
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
)

// TestPanicStaysWithItsClient: a hook that panics while messages go out ends that call only. Nobody else gets what the call has
// left, and the session goes on when the client comes again.
func TestPanicStaysWithItsClient(t *testing.T) {
	w := newWorld()
	broken := true
	w.env.Hooks.MessageDelivered.Add(hookSpec, func(e *hook.MessageEvent) {
		if broken && string(e.Msg.Payload) == "3" {
			panic("a bad hook")
		}
	})
	open := func(id string) *link {
		l := w.open(id, "", "", "")
		l.receive(packet.Append(nil, packet.V311, &packet.Connect{Version: packet.V311, ClientID: id}))
		return l
	}
	pub, victim, other := open("pub"), open("victim"), open("other")
	victim.receive(packet.Append(nil, packet.V311, &packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: "a", QoS: 2}}}))
	for _, l := range w.links {
		l.pending = nil
	}
	var in []byte
	for i, text := range []string{"1", "2", "3", "4"} {
		in = packet.Append(in, packet.V311, &packet.Publish{Topic: "a", Payload: []byte(text), QoS: 2, PacketID: uint16(i + 1)})
	}
	fails(t, func() { pub.receive(in) })
	victim.io.Batch = w.batch()
	victim.m.Lost(&victim.io, nil) // what a connection does with a machine that has panicked
	victim.closed = true

	for range 3 {
		other.receive(packet.Append(nil, packet.V311, &packet.Pingreq{}))
	}
	if kinds := sent(t, other); len(kinds) != 3 || kinds[0] != packet.TypePingresp || kinds[2] != packet.TypePingresp {
		t.Fatalf("another client was sent %v", kinds)
	}

	broken = false
	victim = open("victim")
	var got string
	d := packet.Decoder{FromServer: true, Version: packet.V311}
	for b := victim.pending; len(b) > 0; {
		p, n, err := d.Next(b)
		if err != nil || n == 0 {
			t.Fatalf("%d, %v", n, err)
		}
		if p, ok := p.(*packet.Publish); ok {
			got += string(p.Payload)
		}
		b = b[n:]
	}
	if got != "1234" {
		t.Errorf("after it came again the client was sent %q", got)
	}
}

// TestPanicOfAPublishHook: QoS 2 messages that a hook has panicked over were not acknowledged, and are new ones when they are sent
// again.
func TestPanicOfAPublishHook(t *testing.T) {
	w := newWorld()
	broken := true
	w.env.Hooks.MessagePublish.Add(hookSpec, func([]hook.PublishEvent) {
		if broken {
			panic("a bad hook")
		}
	})
	connect := packet.Append(nil, packet.V311, &packet.Connect{Version: packet.V311, ClientID: "pub"})
	publish := packet.Append(nil, packet.V311, &packet.Publish{Topic: "a", Payload: []byte("1"), QoS: 2, PacketID: 7})
	sub := w.open("sub", "", "", "")
	sub.receive(packet.Append(nil, packet.V311, &packet.Connect{Version: packet.V311, ClientID: "sub", CleanStart: true}))
	sub.receive(packet.Append(nil, packet.V311, &packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: "a"}}}))
	sub.pending = nil
	pub := w.open("pub", "", "", "")
	pub.receive(connect)
	fails(t, func() { pub.receive(publish) })
	pub.io.Batch = w.batch()
	pub.m.Lost(&pub.io, nil)
	pub.closed, broken = true, false

	pub = w.open("pub", "", "", "")
	pub.receive(connect)
	pub.receive(publish)
	if kinds := sent(t, sub); len(kinds) != 1 || kinds[0] != packet.TypePublish {
		t.Errorf("the subscriber was sent %v", kinds)
	}
}

// fails runs fn, which has to panic.
func fails(t *testing.T, fn func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Fatal("nothing panicked")
		}
	}()
	fn()
}

// sent is the kinds of the packets that l was sent since it was asked last.
func sent(t *testing.T, l *link) (kinds []packet.Type) {
	t.Helper()
	d := packet.Decoder{FromServer: true, Version: packet.V311}
	for len(l.pending) > 0 {
		_, n, err := d.Next(l.pending)
		if err != nil || n == 0 {
			t.Fatalf("%d, %v", n, err)
		}
		kinds, l.pending = append(kinds, packet.Type(l.pending[0]>>4)), l.pending[n:]
	}
	return kinds
}
