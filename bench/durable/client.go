package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// result is one row.
type result struct {
	rate, cpu       float64 // acknowledgements a second; microseconds of the broker for each
	p50, p99        time.Duration
	amplification   float64 // bytes written for each byte of payload
	drain, drainCPU float64
	drained         int64
}

// dial opens a connection and says CONNECT.
func dial(addr, id string, clean bool) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(packet.Append(nil, packet.V311, &packet.Connect{Version: packet.V311, ClientID: id, CleanStart: clean})); err != nil {
		return nil, err
	}
	var ack [4]byte
	if err := full(c, ack[:]); err != nil {
		return nil, err
	}
	if ack[0] != 0x20 || ack[3] != 0 {
		return nil, fmt.Errorf("CONNECT is answered by %x", ack)
	}
	return c, nil
}

func full(c net.Conn, p []byte) error {
	for len(p) > 0 {
		n, err := c.Read(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// measure makes one row.
func measure(s setup, name string, publishers int) (r result, err error) {
	files()
	b, err := start(s, name)
	if err != nil {
		return r, err
	}
	defer b.stop()
	for i := range s.sessions {
		c, err := dial(b.addr, fmt.Sprintf("away-%d", i), false)
		if err != nil {
			return r, err
		}
		_, _ = c.Write(packet.Append(nil, packet.V311, &packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: fmt.Sprintf("part/%d/#", i), QoS: 1}}}))
		var ack [5]byte
		if err := full(c, ack[:]); err != nil {
			return r, err
		}
		_, _ = c.Write(packet.Append(nil, packet.V311, &packet.Disconnect{}))
		_ = c.Close()
	}
	acked, err := publish(s, b, publishers, &r)
	if err != nil {
		return r, err
	}
	return r, drain(s, b, acked, &r)
}

// publish lets all publishers work for the time of a row.
func publish(s setup, b *broker, publishers int, r *result) (int64, error) {
	ps := make([]*publisher, publishers)
	for i := range ps {
		c, err := dial(b.addr, fmt.Sprintf("publisher-%d", i), true)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		ps[i] = &publisher{c: c, topic: fmt.Sprintf("part/%d/%d", i%s.sessions, i), payload: make([]byte, s.payload), window: s.window}
	}
	cpu, written, err := b.used()
	if err != nil {
		return 0, err
	}
	var stop atomic.Bool
	var all sync.WaitGroup
	began := time.Now()
	time.AfterFunc(s.seconds, func() { stop.Store(true) })
	for _, p := range ps {
		all.Go(func() { p.run(&stop) })
	}
	all.Wait()
	took := time.Since(began)
	cpu2, written2, err := b.used()
	var acked int64
	var times []time.Duration
	for _, p := range ps {
		acked += p.acked
		times = append(times, p.times...)
		if p.err != nil {
			return 0, p.err
		}
	}
	slices.Sort(times)
	r.rate = float64(acked) / took.Seconds()
	r.cpu = float64((cpu2 - cpu).Microseconds()) / float64(acked)
	r.p50, r.p99 = times[len(times)/2], times[len(times)*99/100]
	r.amplification = float64(written2-written) / float64(acked) / float64(s.payload)
	return acked, err
}

// publisher keeps a window of publications under way.
type publisher struct {
	c       net.Conn
	topic   string
	payload []byte
	window  int

	acked int64
	times []time.Duration // from PUBLISH to PUBACK, of some
	err   error
}

func (p *publisher) run(stop *atomic.Bool) {
	var sent [1 << 16]time.Time
	var out []byte
	in := make([]byte, 4096)
	have, under, id := 0, 0, uint16(0)
	for {
		out = out[:0]
		for under < p.window && !stop.Load() {
			if id++; id == 0 {
				id = 1
			}
			out = packet.Append(out, packet.V311, &packet.Publish{Topic: p.topic, Payload: p.payload, QoS: 1, PacketID: id})
			sent[id] = time.Now()
			under++
		}
		if under == 0 {
			return
		}
		if len(out) > 0 {
			if _, p.err = p.c.Write(out); p.err != nil {
				return
			}
		}
		n, err := p.c.Read(in[have:])
		if err != nil {
			p.err = err
			return
		}
		have += n
		now := time.Now()
		at := 0
		for ; have-at >= 4; at += 4 {
			if in[at] != 0x40 {
				p.err = fmt.Errorf("%x answers PUBLISH", in[at:at+4])
				return
			}
			under--
			if p.acked++; p.acked%16 == 0 {
				p.times = append(p.times, now.Sub(sent[binary.BigEndian.Uint16(in[at+2:])]))
			}
		}
		have = copy(in, in[at:have])
	}
}

// drain lets the clients come and take what waits for them, all at once.
func drain(s setup, b *broker, acked int64, r *result) error {
	cpu, _, err := b.used()
	if err != nil {
		return err
	}
	began := time.Now()
	w := waiting{addr: b.addr, all: acked}
	var all sync.WaitGroup
	errs := make(chan error, s.sessions)
	for i := range s.sessions {
		all.Go(func() { errs <- w.take(i) })
	}
	all.Wait()
	for range s.sessions {
		if err := <-errs; err != nil {
			return err
		}
	}
	took := time.Duration(w.ended.Load() - began.UnixNano())
	cpu2, _, err := b.used()
	r.drained = w.got.Load()
	r.drain = float64(r.drained) / took.Seconds()
	r.drainCPU = float64((cpu2 - cpu).Microseconds()) / float64(r.drained)
	return err
}

// idle is how long a client waits for more.
const idle = 3 * time.Second

// waiting is the messages that wait for all clients.
type waiting struct {
	addr       string
	all        int64
	got, ended atomic.Int64 // messages; when the last one came, Unix nanoseconds
}

// take reads and acknowledges until all messages of all clients have come.
func (w *waiting) take(i int) error {
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(packet.Append(nil, packet.V311, &packet.Connect{Version: packet.V311, ClientID: fmt.Sprintf("away-%d", i)})); err != nil {
		return err
	}
	d := packet.Decoder{Version: packet.V311, FromServer: true}
	in, out := make([]byte, 64<<10), []byte(nil)
	have := 0
	for w.got.Load() < w.all {
		_ = c.SetReadDeadline(time.Now().Add(idle))
		n, err := c.Read(in[have:])
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			return nil
		}
		if err != nil {
			return err
		}
		have += n
		at := 0
		out = out[:0]
		count := int64(0)
		for {
			p, n, err := d.Next(in[at:have])
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			at += n
			if p, ok := p.(*packet.Publish); ok {
				count++
				out = packet.AppendAck(out, packet.V311, &packet.Ack{Kind: packet.TypePuback, PacketID: p.PacketID})
			}
		}
		have = copy(in, in[at:have])
		if count > 0 {
			w.got.Add(count)
			w.ended.Store(time.Now().UnixNano())
		}
		if _, err := c.Write(out); err != nil {
			return err
		}
	}
	return nil
}
