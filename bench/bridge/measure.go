package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/bench/load"
	"github.com/dunlinmq/dunlin/core/packet"
)

// result is one row.
type result struct {
	arrived, acked      float64 // messages a second
	here, bridge, there float64 // microseconds of processor a message
}

// counter is the client that counts what arrives.
type counter struct {
	conn  net.Conn
	count atomic.Int64
	ended chan error // gets one value when the connection is over
}

// times are the processor times of a pair.
type times struct{ here, bridge, there time.Duration }

func (p pair) used() (t times, err error) {
	var errs [3]error
	t.here, errs[0] = load.ProcessorTime(p.here.cmd.Process.Pid)
	t.there, errs[1] = load.ProcessorTime(p.there.cmd.Process.Pid)
	if pid := p.here.child(); pid > 0 {
		t.bridge, errs[2] = load.ProcessorTime(pid)
	}
	return t, errors.Join(errs[:]...)
}

// measure makes one row.
func measure(s setup, name string, qos byte) (r result, err error) {
	p, err := start(s, name, qos)
	defer p.there.stop()
	defer p.here.stop()
	if err != nil {
		return r, err
	}
	c, err := count(p.there.addr())
	if err != nil {
		return r, err
	}
	defer c.conn.Close()
	if err := c.bridged(p.here.addr()); err != nil {
		return r, fmt.Errorf("%w\n%s", err, p.here.said())
	}
	before, err := p.used()
	if err != nil {
		return r, err
	}
	already, began := c.count.Load(), time.Now()
	acked := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	go func() {
		got, err := load.Run(ctx, load.Config{
			Kind: load.Pub, Target: load.Target{Host: "127.0.0.1", Port: p.here.port}, Clients: load.Clients{Count: s.publishers},
			Flow: load.Flow{Topic: "part/%i", QoS: qos, Size: s.payload, Window: s.window, Limit: uint64(s.messages)}, Pace: load.Pace{Duration: s.patience},
		}, nil)
		r.acked = float64(s.messages) / time.Since(began).Seconds()
		if err == nil && len(got.Faults) > 0 {
			err = fmt.Errorf("publishers: %v", got.Faults)
		}
		acked <- err
	}()
	if err := c.until(ctx, already+int64(s.messages)); err != nil {
		return r, fmt.Errorf("%w\n%s", err, p.here.said())
	}
	took := time.Since(began)
	if err := <-acked; err != nil {
		return r, err
	}
	after, err := p.used()
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(s.messages) }
	r.arrived = float64(s.messages) / took.Seconds()
	r.here, r.bridge, r.there = each(after.here-before.here), each(after.bridge-before.bridge), each(after.there-before.there)
	return r, err
}

// count connects the client that counts; it subscribes with QoS 0, so that what it
// costs is little.
func count(addr string) (*counter, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &counter{conn: conn, ended: make(chan error, 1)}
	hello := packet.Append(nil, packet.V311, &packet.Connect{Version: packet.V311, ClientID: "counter", CleanStart: true})
	hello = packet.Append(hello, packet.V311, &packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: "part/#"}}})
	if _, err := conn.Write(hello); err != nil {
		return nil, err
	}
	go func() { c.ended <- c.read() }()
	return c, nil
}

func (c *counter) read() error {
	d := packet.Decoder{Version: packet.V311, FromServer: true}
	in, have := make([]byte, 256<<10), 0
	for {
		n, err := c.conn.Read(in[have:])
		if err != nil {
			return err
		}
		have += n
		at, came := 0, int64(0)
		for {
			p, n, err := d.Next(in[at:have])
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			at += n
			if _, ok := p.(*packet.Publish); ok {
				came++
			}
		}
		have = copy(in, in[at:have])
		c.count.Add(came)
	}
}

// bridged waits until something that is published at addr arrives, and then until
// nothing comes any more.
func (c *counter) bridged(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(packet.Append(nil, packet.V311, &packet.Connect{Version: packet.V311, ClientID: "first", CleanStart: true})); err != nil {
		return err
	}
	for until := time.Now().Add(30 * time.Second); c.count.Load() == 0; {
		if time.Now().After(until) {
			return errors.New("nothing comes over the bridge")
		}
		if _, err := conn.Write(packet.Append(nil, packet.V311, &packet.Publish{Topic: "part/first"})); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	for n := int64(0); n != c.count.Load(); time.Sleep(300 * time.Millisecond) {
		n = c.count.Load()
	}
	return nil
}

// until waits for the count to come to n.
func (c *counter) until(ctx context.Context, n int64) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for c.count.Load() < n {
		select {
		case <-tick.C:
		case err := <-c.ended:
			return fmt.Errorf("the client that counts: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages have come", c.count.Load(), n)
		}
	}
	return nil
}
