package session

import (
	"runtime"
	"strconv"
	"testing"
	"unsafe"

	"github.com/dunlinmq/dunlin/core/message"
)

// attached returns a session with a connection.
func attached(cfg *Config) (*Session, *Effects) {
	s, e := New("c", cfg, epoch), new(Effects)
	s.Attach(epoch, 0, false, e)
	return s, e
}

// TestHotPathAllocates nothing in steady state.
func TestHotPathAllocates(t *testing.T) {
	cases := map[string]func() func(){
		"qos0": func() func() {
			s, e := attached(&Config{})
			d := fanOut("t", 0)
			return func() { s.Deliver(epoch, d, e); e.Reset() }
		},
		"qos1": func() func() {
			s, e := attached(&Config{MaxInflight: 32})
			d := fanOut("t", 1)
			return func() { s.Deliver(epoch, d, e); ack(s, e) }
		},
		"qos2": func() func() {
			s, e := attached(&Config{MaxInflight: 32})
			d := fanOut("t", 2)
			return func() { s.Deliver(epoch, d, e); ack(s, e) }
		},
		"through_the_queue": func() func() {
			s, e := attached(&Config{MaxInflight: 32})
			d := fanOut("t", 1)
			for range 100 {
				s.Deliver(epoch, d, e)
			}
			return func() { s.Deliver(epoch, d, e); ackOne(s, e) }
		},
		"inbound_qos2": func() func() {
			s, _ := attached(&Config{MaxAwaitingRel: 100})
			id := uint16(0)
			return func() {
				id = id%50_000 + 1
				s.Receive(id, epoch)
				s.Release(id)
			}
		},
	}
	for name, prepare := range cases {
		t.Run(name, func(t *testing.T) {
			run := prepare()
			for range 1000 {
				run()
			}
			if n := testing.AllocsPerRun(1000, run); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// ack finishes what was sent, as a client does, until nothing more comes.
func ack(s *Session, e *Effects) {
	for i := 0; i < len(e.Send); i++ {
		o := &e.Send[i]
		switch {
		case o.Rel:
			s.Pubcomp(epoch, o.PacketID, e)
		case o.QoS == 1:
			s.Puback(epoch, o.PacketID, e)
		case o.QoS == 2:
			s.Pubrec(epoch, o.PacketID, 0, e)
		}
	}
	e.Reset()
}

// ackOne acknowledges the oldest inflight QoS 1 message.
func ackOne(s *Session, e *Effects) {
	s.Puback(epoch, s.inflight.slots[s.inflight.head].id, e)
	e.Reset()
}

// TestIdleSessionIsSmall: one subscription, nothing inflight, at most 300 bytes.
func TestIdleSessionIsSmall(t *testing.T) {
	const n = 20_000
	cfg := &Config{}
	filters := make([]string, n)
	for i := range filters {
		filters[i] = "devices/" + strconv.Itoa(i) + "/down"
	}
	sessions := make([]*Session, n)
	var e Effects
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range sessions {
		s := New(filters[i], cfg, epoch)
		s.Subscribe(filters[i], message.SubOptions{QoS: 1})
		s.Attach(epoch, 0, true, &e)
		sessions[i] = s
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - before.HeapAlloc) / n
	t.Logf("%d bytes an idle session; Session %d, entry %d, queued %d, Outgoing %d bytes", each,
		unsafe.Sizeof(Session{}), unsafe.Sizeof(entry{}), unsafe.Sizeof(queued{}), unsafe.Sizeof(Outgoing{}))
	if each > 300 {
		t.Errorf("an idle session takes %d bytes", each)
	}
	runtime.KeepAlive(sessions)
}

func BenchmarkDeliverQoS0(b *testing.B) {
	s, e := attached(&Config{})
	d := fanOut("t", 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Deliver(epoch, d, e)
		if i&63 == 63 {
			e.Reset()
		}
	}
}

func BenchmarkQoS1(b *testing.B) { benchmarkAcked(b, 1, 32) }
func BenchmarkQoS2(b *testing.B) { benchmarkAcked(b, 2, 32) }

// benchmarkAcked delivers and acknowledges in batches.
func benchmarkAcked(b *testing.B, qos byte, batch int) {
	s, e := attached(&Config{MaxInflight: uint16(batch)})
	d := fanOut("t", qos)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Deliver(epoch, d, e)
		if i%batch == batch-1 {
			ack(s, e)
		}
	}
}

// BenchmarkQoS1Queued is a client that is slower than its publisher: each message
// waits in the queue.
func BenchmarkQoS1Queued(b *testing.B) {
	s, e := attached(&Config{MaxInflight: 32})
	d := fanOut("t", 1)
	for range 100 {
		s.Deliver(epoch, d, e)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Deliver(epoch, d, e)
		ackOne(s, e)
	}
}

func BenchmarkInboundQoS2(b *testing.B) {
	s, _ := attached(&Config{MaxAwaitingRel: 100})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		id := uint16(i%65_535) + 1
		s.Receive(id, epoch)
		s.Release(id)
	}
}

// BenchmarkReconnect is a new connection with a full default window.
func BenchmarkReconnect(b *testing.B) {
	s, e := attached(&Config{MaxInflight: 32})
	for range 32 {
		s.Deliver(epoch, fanOut("t", 1), e)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Detach()
		e.Reset()
		s.Attach(epoch, 0, false, e)
	}
}
