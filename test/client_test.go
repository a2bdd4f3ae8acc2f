package test

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

const (
	v31  = packet.V31
	v311 = packet.V311
	v5   = packet.V50
)

// client is a raw client: it sends what a test says and reads what comes, so
// that a test can do what no well-behaved library would.
type client struct {
	t    *testing.T
	conn net.Conn
	dec  packet.Decoder
	buf  []byte
	v    packet.Version
	next uint16
}

// dial opens a connection to the plain TCP listener.
func (b *broker) dial(v packet.Version) *client {
	b.t.Helper()
	return b.dialAt("tcp:external", v)
}

func (b *broker) dialAt(id string, v packet.Version) *client {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.addr(id))
	if err == nil && id == "ssl:external" {
		tc := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		err = tc.Handshake()
		conn = tc
	}
	if err != nil {
		b.t.Fatal(err)
	}
	c := &client{t: b.t, conn: conn, v: v, dec: packet.Decoder{Version: v, FromServer: true}}
	b.t.Cleanup(c.close)
	return c
}

func (c *client) close() { _ = c.conn.Close() }

// raw sends bytes as they are; a broken connection is the test's business.
func (c *client) raw(b []byte) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.conn.Write(b)
	return err
}

func (c *client) send(p packet.Packet) {
	c.t.Helper()
	if err := c.raw(packet.Append(nil, c.v, p)); err != nil {
		c.t.Fatalf("send %T: %v", p, err)
	}
}

// read returns the next packet, nil when the server has closed.
func (c *client) read() packet.Packet {
	c.t.Helper()
	for {
		p, n, err := c.dec.Next(c.buf)
		if err != nil {
			c.t.Fatalf("the broker sent %x: %v", c.buf, err)
		}
		if n > 0 {
			c.buf = append([]byte(nil), c.buf[n:]...)
			return p
		}
		chunk := make([]byte, 64<<10)
		_ = c.conn.SetReadDeadline(time.Now().Add(patience))
		n, err = c.conn.Read(chunk)
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			c.t.Fatal("nothing came from the broker")
		}
		if n == 0 {
			return nil
		}
		// What a packet borrowed must not change: each read has a buffer of its own.
		c.buf = append(append([]byte(nil), c.buf...), chunk[:n]...)
	}
}

func (c *client) connect(id string) *packet.Connack {
	c.t.Helper()
	return c.connectWith(&packet.Connect{ClientID: id, CleanStart: true, KeepAlive: 60})
}

func (c *client) connectWith(p *packet.Connect) *packet.Connack {
	c.t.Helper()
	p.Version = c.v
	c.send(p)
	ack, ok := c.read().(*packet.Connack)
	if !ok {
		c.t.Fatal("no CONNACK")
	}
	return ack
}

func (c *client) subscribe(filter string, qos byte) {
	c.t.Helper()
	c.next++
	c.send(&packet.Subscribe{PacketID: c.next, Filters: []packet.Filter{{Filter: filter, QoS: qos}}})
	for {
		switch p := c.read().(type) {
		case *packet.Suback:
			if p.PacketID != c.next || p.Codes[0] >= packet.UnspecifiedError {
				c.t.Fatalf("SUBACK %+v", p)
			}
			return
		case *packet.Publish:
			c.t.Fatalf("PUBLISH %s before SUBACK", p.Topic)
		case nil:
			c.t.Fatal("closed before SUBACK")
		}
	}
}

// publish sends one message at QoS 0 or 1 and waits for nothing.
func (c *client) publish(topic, payload string, qos byte) {
	c.t.Helper()
	p := &packet.Publish{Topic: topic, Payload: []byte(payload), QoS: qos}
	if qos > 0 {
		c.next++
		p.PacketID = c.next
	}
	c.send(p)
}

// expect reads until a PUBLISH comes, acknowledges it at QoS 1 and insists on
// what it is.
func (c *client) expect(topic, payload string) *packet.Publish {
	c.t.Helper()
	p := c.message()
	if p.Topic != topic || string(p.Payload) != payload {
		c.t.Fatalf("got %s %q, want %s %q", p.Topic, p.Payload, topic, payload)
	}
	return p
}

func (c *client) message() *packet.Publish {
	c.t.Helper()
	for {
		switch p := c.read().(type) {
		case *packet.Publish:
			if p.QoS == 1 {
				c.send(&packet.Ack{Kind: packet.TypePuback, PacketID: p.PacketID})
			}
			return p
		case *packet.Disconnect:
			c.t.Fatalf("DISCONNECT %v", p.Code)
		case nil:
			c.t.Fatal("the broker closed the connection")
		}
	}
}

// closed insists that the server closes without anything but a DISCONNECT or a
// refusing CONNACK, and returns its code.
func (c *client) closed() (code packet.ReasonCode) {
	c.t.Helper()
	for {
		switch p := c.read().(type) {
		case nil:
			return code
		case *packet.Disconnect:
			code = p.Code
		case *packet.Connack:
			if code = p.Code; code == packet.Success {
				c.t.Fatal("accepted instead of closed")
			}
		}
	}
}
