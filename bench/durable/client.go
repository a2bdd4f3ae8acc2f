package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/bench/load"
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

// dial opens a connection of a session that stays and says CONNECT.
func dial(addr, id string) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(packet.Append(nil, packet.V311, &packet.Connect{Version: packet.V311, ClientID: id})); err != nil {
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
	b, err := start(s, name)
	if err != nil {
		return r, err
	}
	defer b.stop()
	for i := range s.sessions {
		c, err := dial(b.addr, fmt.Sprintf("away-%d", i))
		if err != nil {
			return r, err
		}
		sub := &packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: fmt.Sprintf("nobody/%d", i), QoS: 1}}}
		for p := i; p < publishers; p += s.sessions {
			sub.Filters = append(sub.Filters, packet.Filter{Filter: fmt.Sprintf("part/%d", p), QoS: 1})
		}
		_, _ = c.Write(packet.Append(nil, packet.V311, sub))
		if err := full(c, make([]byte, len(packet.Append(nil, packet.V311, &packet.Suback{Codes: make([]packet.ReasonCode, len(sub.Filters))})))); err != nil {
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
func publish(s setup, b *broker, publishers int, r *result) (acked int64, err error) {
	before, err := b.written()
	if err != nil {
		return 0, err
	}
	host, port, err := net.SplitHostPort(b.addr)
	if err != nil {
		return 0, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return 0, err
	}
	got, err := load.Run(context.Background(), load.Config{
		Kind: load.Pub, PID: b.cmd.Process.Pid, Target: load.Target{Host: host, Port: number}, Clients: load.Clients{Count: publishers},
		Flow: load.Flow{Topic: "part/%i", QoS: 1, Size: s.payload, Window: s.window}, Pace: load.Pace{Duration: s.seconds},
	}, nil)
	if err != nil {
		return 0, err
	}
	after, err := b.written()
	if len(got.Faults) > 0 || got.Acked == 0 {
		return 0, fmt.Errorf("%d are acknowledged, %v", got.Acked, got.Faults)
	}
	r.rate, r.cpu, r.p50, r.p99 = got.SentPerSecond, got.Broker.MicrosPer, micros(got.Latency.P50), micros(got.Latency.P99)
	r.amplification = float64(after-before) / float64(got.Acked) / float64(s.payload)
	return int64(got.Acked), err
}

func micros(us float64) time.Duration { return time.Duration(us * float64(time.Microsecond)) }

// drain lets the clients come and take what waits for them, all at once.
func drain(s setup, b *broker, acked int64, r *result) error {
	cpu, err := load.ProcessorTime(b.cmd.Process.Pid)
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
	cpu2, err := load.ProcessorTime(b.cmd.Process.Pid)
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
