package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/dunlinmq/dunlin/bench/load"
	"github.com/dunlinmq/dunlin/core/packet"
)

// client speaks MQTT 3.1.1, one thing after the other.
type client struct {
	nc  net.Conn
	dec packet.Decoder
	in  *bufio.Reader
	buf []byte
	out []byte
}

// patience is how long an answer may take; brokers differ by orders of magnitude
// in what they do for a million subscriptions.
const patience = 20 * time.Second

// dial connects; clean: with a session that ends with the connection.
func dial(port int, id string, clean bool) (*client, error) {
	nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	c := &client{nc: nc, in: bufio.NewReaderSize(nc, 64<<10), dec: packet.Decoder{Version: packet.V311, FromServer: true}}
	c.put(&packet.Connect{ClientID: id, CleanStart: clean, KeepAlive: 600})
	p, err := c.answer()
	if err == nil {
		if ack, ok := p.(*packet.Connack); !ok || ack.Code != packet.Success {
			err = fmt.Errorf("connect %s: %v", id, p)
		}
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) put(p packet.Packet) { c.out = packet.Append(c.out, packet.V311, p) }

func (c *client) flush() error {
	err := c.nc.SetDeadline(time.Now().Add(patience))
	if err == nil && len(c.out) > 0 {
		_, err = c.nc.Write(c.out)
	}
	c.out = c.out[:0]
	return err
}

// answer reads one packet, valid until the next call; what was put is sent when
// there is none yet.
func (c *client) answer() (packet.Packet, error) {
	for {
		p, n, err := c.dec.Next(c.buf)
		if err != nil {
			return nil, err
		}
		if p != nil {
			c.buf = c.buf[n:]
			return p, nil
		}
		if err := c.flush(); err != nil {
			return nil, err
		}
		if cap(c.buf)-len(c.buf) < 32<<10 {
			c.buf = append(make([]byte, 0, 256<<10), c.buf...)
		}
		n, err = c.in.Read(c.buf[len(c.buf):cap(c.buf)])
		if err != nil {
			return nil, err
		}
		c.buf = c.buf[:len(c.buf)+n]
	}
}

// acked reads answers until n of the kind have come.
func (c *client) acked(kind packet.Type, n int) error {
	for n > 0 {
		p, err := c.answer()
		if err != nil {
			return err
		}
		if p.Type() == kind {
			n--
		}
	}
	return nil
}

func (c *client) leave() error {
	c.put(&packet.Disconnect{})
	err := c.flush()
	_ = c.nc.Close()
	return err
}

// usage is a broker's memory and processor time before something.
type usage struct {
	pid    int
	before load.Usage
	began  time.Time
}

func usageOf(i *instance) (usage, error) {
	u, err := load.Measure(i.cmd.Process.Pid)
	return usage{i.cmd.Process.Pid, u, time.Now()}, err
}

// since is what n items have cost since u.
func (u usage) since(n int) (sample, error) {
	now, err := load.Measure(u.pid)
	return sample{
		Micros:    float64((now.CPU - u.before.CPU).Nanoseconds()) / 1e3 / float64(n),
		PerSecond: float64(n) / time.Since(u.began).Seconds(),
		Bytes:     float64(now.Resident-u.before.Resident) / float64(n),
	}, err
}

// keeps is since, with the memory of when it has settled.
func (u usage) keeps(ctx context.Context, n int, s scale) (sample, error) {
	made, err := u.since(n)
	if err != nil {
		return made, err
	}
	select {
	case <-ctx.Done():
		return made, ctx.Err()
	case <-time.After(s.calm):
	}
	later, err := u.since(n)
	made.Bytes = later.Bytes
	return made, err
}

// subscribers is how many clients share the subscriptions.
const subscribers = 100

// subscriptions are a tenth with a wildcard; they are made ten at once. Memory is
// of those, time of publishing to them.
func subscriptions(ctx context.Context, i *instance, s scale) (out sample, err error) {
	u, err := usageOf(i)
	if err != nil {
		return out, err
	}
	each := max(s.items/subscribers, 10)
	for n := range subscribers {
		c, err := dial(i.ports[0], fmt.Sprintf("sub-%d", n), true)
		if err != nil {
			return out, err
		}
		defer c.nc.Close()
		for at := 0; at < each; at += 10 {
			p := &packet.Subscribe{PacketID: uint16(at/10%65_000 + 1)}
			for k := range 10 {
				filter := fmt.Sprintf("site/%d/device/%d/state", n, at+k)
				if k == 0 {
					filter = fmt.Sprintf("site/%d/+/%d/alarm", n, at)
				}
				p.Filters = append(p.Filters, packet.Filter{Filter: filter})
			}
			c.put(p)
			if at/10%16 == 15 || at+10 >= each {
				if err := c.acked(packet.TypeSuback, at/10%16+1); err != nil {
					return out, fmt.Errorf("subscribe: %w", err)
				}
			}
		}
	}
	made, err := u.keeps(ctx, each*subscribers, s)
	if err != nil {
		return out, err
	}
	if u, err = usageOf(i); err != nil {
		return out, err
	}
	n := min(each*subscribers/10, 20_000) // what the subscribers' sockets hold unread
	if err := fill(i.ports[0], n, func(k int) string { return fmt.Sprintf("site/%d/device/%d/state", k%subscribers, k/subscribers%each) }, false); err != nil {
		return out, err
	}
	out, err = u.since(n)
	out.Bytes = made.Bytes
	return out, err
}

// fill publishes n messages of 64 bytes and QoS 1, 64 at once.
func fill(port, n int, topic func(k int) string, retain bool) error {
	c, err := dial(port, "filler", true)
	if err != nil {
		return err
	}
	payload := make([]byte, 64)
	for k := range n {
		c.put(&packet.Publish{Topic: topic(k), QoS: 1, Retain: retain, PacketID: uint16(k%60_000 + 1), Payload: payload})
		if k%64 == 63 || k == n-1 {
			if err := c.acked(packet.TypePuback, k%64+1); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
		}
	}
	return c.leave()
}

// below makes a topic of its own for each message.
func below(prefix string) func(int) string {
	return func(k int) string { return fmt.Sprintf("%s/%d", prefix, k) }
}

// collect reads n messages and acknowledges them; fewer within patience: what is
// missing is lost.
func (c *client) collect(n int) (lost int) {
	for n > 0 {
		p, err := c.answer()
		if err != nil {
			return n
		}
		if m, ok := p.(*packet.Publish); ok {
			n--
			if m.QoS > 0 {
				c.put(&packet.Ack{Kind: packet.TypePuback, PacketID: m.PacketID})
			}
		}
	}
	return 0
}

// retained keeps messages and reads them all by one wildcard. Memory is of the
// keeping, time of the reading.
func retained(ctx context.Context, i *instance, s scale) (out sample, err error) {
	n := max(s.items/10, 10)
	u, err := usageOf(i)
	if err != nil {
		return out, err
	}
	if err := fill(i.ports[0], n, below("kept"), true); err != nil {
		return out, err
	}
	kept, err := u.keeps(ctx, n, s)
	if err != nil {
		return out, err
	}
	c, err := dial(i.ports[0], "reader", true)
	if err != nil {
		return out, err
	}
	defer c.nc.Close()
	if u, err = usageOf(i); err != nil {
		return out, err
	}
	c.put(&packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: "kept/#"}}})
	lost := c.collect(n)
	out, err = u.since(max(n-lost, 1))
	out.Bytes, out.Lost = kept.Bytes, uint64(lost)
	return out, err
}

// offline queues messages for a session without a client and drains them.
func offline(ctx context.Context, i *instance, s scale) (out sample, err error) {
	n := max(s.items/10, 10)
	c, err := dial(i.ports[0], "sleeper", false)
	if err != nil {
		return out, err
	}
	c.put(&packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: "queue/#", QoS: 1}}})
	if err := c.acked(packet.TypeSuback, 1); err != nil {
		return out, err
	}
	if err := c.leave(); err != nil {
		return out, err
	}
	u, err := usageOf(i)
	if err != nil {
		return out, err
	}
	if err := fill(i.ports[0], n, below("queue"), false); err != nil {
		return out, err
	}
	queued, err := u.keeps(ctx, n, s)
	if err != nil {
		return out, err
	}
	if u, err = usageOf(i); err != nil {
		return out, err
	}
	if c, err = dial(i.ports[0], "sleeper", false); err != nil {
		return out, err
	}
	defer c.nc.Close()
	lost := c.collect(n)
	out, err = u.since(max(n-lost, 1))
	out.Bytes, out.Lost = queued.Bytes, uint64(lost)
	return out, err
}
