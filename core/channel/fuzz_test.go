package channel_test

import (
	"testing"

	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/packet"
)

// FuzzInput gives a channel any bytes, in two pieces, before and after a
// CONNECT, with another client connected: nothing panics, what is sent back is
// packets, the other client is served, and nobody is left behind.
func FuzzInput(f *testing.F) {
	connect := func(v packet.Version) []byte {
		return packet.Append(nil, v, &packet.Connect{Version: v, ClientID: "fuzz", CleanStart: true, Will: &packet.Will{Topic: "w"}})
	}
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V50} {
		stream := connect(v)
		for _, p := range []packet.Packet{
			&packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: "#", QoS: 2}, {Filter: "$share/g/+", QoS: 1}}},
			&packet.Publish{Topic: "t", QoS: 2, PacketID: 2, Payload: []byte("x")},
			&packet.Ack{Kind: packet.TypePubrel, PacketID: 2},
			&packet.Ack{Kind: packet.TypePubrec, PacketID: 1},
			&packet.Ack{Kind: packet.TypePubcomp, PacketID: 1},
			&packet.Pingreq{},
			&packet.Unsubscribe{PacketID: 3, Filters: []string{"#"}},
			&packet.Disconnect{},
		} {
			stream = packet.Append(stream, v, p)
		}
		f.Add(stream, uint16(5))
		f.Add(stream, uint16(60))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint16(3))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint16) {
		w := newWorld()
		w.bindRetainer(hookSpec)
		other, l := w.open("other", "", "", ""), w.open("fuzz", "", "", "")
		other.version = packet.V311
		other.receive(packet.Append(nil, packet.V311, &packet.Connect{Version: packet.V311, ClientID: "other", CleanStart: true}))
		at := min(int(cut), len(stream))
		l.receive(stream[:at])
		l.receive(stream[at:])
		w.run()
		checkSent(t, l)
		l.lost()
		w.run()
		other.receive(packet.Append(nil, packet.V311, &packet.Pingreq{}))
		if n := len(other.pending); n < 2 || other.pending[n-2] != 0xD0 {
			t.Errorf("the other client was not served: %x", other.pending)
		}
	})
}

// checkSent insists that what the channel sent is whole packets of one version.
func checkSent(t *testing.T, l *link) {
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V50} {
		d := packet.Decoder{Version: v, FromServer: true}
		rest := l.pending
		for len(rest) > 0 {
			_, n, err := d.Next(rest)
			if err != nil || n == 0 {
				break
			}
			rest = rest[n:]
		}
		if len(rest) == 0 {
			return
		}
	}
	t.Errorf("no version reads %x", l.pending)
}

// BenchmarkPublish is one client's read of 64 QoS 0 PUBLISHes to another client.
func BenchmarkPublish(b *testing.B) {
	for _, qos := range []byte{0, 1} {
		b.Run(map[byte]string{0: "qos0", 1: "qos1"}[qos], func(b *testing.B) {
			in, run := publishing(qos)
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				run()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*64), "ns/msg")
		})
	}
}

// publishing connects a publisher and a subscriber and returns what one turn of
// the publisher costs, the subscriber's acknowledgements included.
func publishing(qos byte) (in []byte, run func()) {
	w := newWorld()
	w.zone.Session.MaxInflight = 100
	v := packet.V311
	sub, pub := w.open("sub", "", "", ""), w.open("pub", "", "", "")
	sub.receive(packet.Append(nil, v, &packet.Connect{Version: v, ClientID: "sub", CleanStart: true}))
	sub.receive(packet.Append(nil, v, &packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: "sensor/+/temperature", QoS: qos}}}))
	pub.receive(packet.Append(nil, v, &packet.Connect{Version: v, ClientID: "pub", CleanStart: true}))
	for i := range 64 {
		in = packet.Append(in, v, &packet.Publish{Topic: "sensor/1/temperature", QoS: qos, PacketID: uint16(i+1) * uint16(min(qos, 1)), Payload: make([]byte, 64)})
	}
	d := packet.Decoder{Version: v, FromServer: true}
	acks := make([]byte, 0, 1024)
	feed := func(io *channel.IO) { pub.m.Input(io, in) }
	ack := func(io *channel.IO) { sub.m.Input(io, acks) }
	batch := w.batch()
	step := func(l *link, call func(*channel.IO)) {
		l.io.Batch, l.io.Out = batch, l.io.Out[:0]
		call(&l.io)
		batch.Flush()
	}
	sub.direct, pub.direct = true, true
	return in, func() {
		sub.io.Out = sub.io.Out[:0]
		step(pub, feed)
		if qos == 0 {
			return
		}
		acks = acks[:0]
		for rest := sub.io.Out; len(rest) > 0; {
			p, n, err := d.Next(rest)
			if err != nil || n == 0 {
				panic("the subscriber was sent no packets")
			}
			rest = rest[n:]
			if p, ok := p.(*packet.Publish); ok {
				acks = packet.AppendAck(acks, v, &packet.Ack{Kind: packet.TypePuback, PacketID: p.PacketID})
			}
		}
		step(sub, ack)
	}
}

// TestPublishAllocations is the hot path's promise: a read of 64 PUBLISHes and
// their delivery share a few allocations.
func TestPublishAllocations(t *testing.T) {
	for _, qos := range []byte{0, 1} {
		_, run := publishing(qos)
		run()
		limit := 8.0
		if raced {
			limit = 64
		}
		if n := testing.AllocsPerRun(200, run); n > limit {
			t.Errorf("QoS %d: %v allocations for 64 messages, want at most %v", qos, n, limit)
		}
	}
}
