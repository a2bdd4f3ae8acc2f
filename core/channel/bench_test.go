package channel_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/router"
)

// traffic is one publisher and one subscriber without sockets: what a message
// costs above the bytes and below the wire.
type traffic struct {
	pub, sub *link
	batch    router.Batch
	in       []byte // a read with PUBLISHes
	out      []byte // what the subscriber was sent and has not answered
	qos      byte
}

// newTraffic prepares reads of n PUBLISHes each.
func newTraffic(tb testing.TB, qos byte, n int) *traffic {
	w := newWorld()
	w.zone.MaxQoS = 2
	w.zone.Session.MaxAwaitingRel = 0
	t := &traffic{qos: qos}
	open := func(id string) *link {
		l := w.open(id, "", "", "")
		l.receive(packet.Append(nil, packet.V311, &packet.Connect{Version: packet.V311, ClientID: id, CleanStart: true}))
		return l
	}
	t.pub, t.sub = open("pub"), open("sub")
	t.sub.receive(packet.Append(nil, packet.V311, &packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: "a/b", QoS: qos}}}))
	payload := make([]byte, 64)
	for i := range n {
		t.in = packet.Append(t.in, packet.V311, &packet.Publish{Topic: "a/b", Payload: payload, QoS: qos, PacketID: uint16(i + 1)})
	}
	t.batch.Now = w.now
	t.pub.direct, t.sub.direct = true, true
	t.pub.pending, t.sub.pending = nil, nil
	t.sub.io.Out = nil
	if n := t.round(); n != len(t.in) {
		tb.Fatalf("%d of %d bytes came out", n, len(t.in))
	}
	return t
}

// round sends one read and answers until all is quiet; n is how many bytes of
// PUBLISHes the subscriber got.
func (t *traffic) round() (n int) {
	pubs := t.read(t.pub, t.in)
	for {
		n += t.answer(&pubs)
		if len(pubs) > 0 {
			pubs = t.read(t.pub, pubs)
		}
		t.out = append(t.out[:0], t.sub.io.Out...)
		t.sub.io.Out = t.sub.io.Out[:0]
		n += t.answer(&t.out)
		if len(t.out) == 0 {
			return n
		}
		t.read(t.sub, t.out)
	}
}

// read gives l bytes in a turn of its own and returns what it answered.
func (t *traffic) read(l *link, b []byte) []byte {
	l.io.Batch = &t.batch
	if l == t.pub {
		l.io.Out = l.io.Out[:0]
	}
	if l.m.Input(&l.io, b) != len(b) {
		panic("a read was not taken whole")
	}
	t.batch.Flush()
	if l == t.pub {
		return l.io.Out
	}
	return nil
}

// answer replaces the packets in p by their answers, in place.
func (t *traffic) answer(p *[]byte) (published int) {
	b, out := *p, (*p)[:0]
	for len(b) > 0 {
		kind, size := b[0]>>4, 2+int(b[1])
		switch kind {
		case 3:
			published += size
			if t.qos > 0 {
				at := 4 + int(binary.BigEndian.Uint16(b[2:]))
				out = append(out, 0x40+(t.qos-1)<<4, 2, b[at], b[at+1])
			}
		case 5:
			out = append(out, 0x62, 2, b[2], b[3])
		case 6:
			out = append(out, 0x70, 2, b[2], b[3])
		}
		b = b[size:]
	}
	*p = out
	return published
}

func BenchmarkMessage(b *testing.B) {
	for qos := range byte(3) {
		b.Run(fmt.Sprintf("qos=%d", qos), func(b *testing.B) {
			const n = 100
			t := newTraffic(b, qos, n)
			b.ReportAllocs()
			for b.Loop() {
				t.round()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/msg")
		})
	}
}

// A message allocates its share of a slab and nothing else, whatever its QoS.
func TestMessagesAllocateSlabsOnly(t *testing.T) {
	if raced {
		return // pools forget at random
	}
	for qos := range byte(3) {
		const n = 100
		w := newTraffic(t, qos, n)
		if allocs := testing.AllocsPerRun(50, func() { w.round() }); allocs > n/10 {
			t.Errorf("QoS %d: %v allocations for %d messages", qos, allocs, n)
		}
	}
}
