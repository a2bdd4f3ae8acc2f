package test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
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
// that a test can do what no well-behaved library would. It is used by one
// goroutine; the methods without error results belong to the test's own.
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

// dialAt opens a connection to a listener, with its TLS handshake and its HTTP
// upgrade.
func (b *broker) dialAt(id string, v packet.Version) *client {
	b.t.Helper()
	conn, err := b.transport(id)
	if err != nil {
		b.t.Fatal(err)
	}
	c := b.client(conn, v)
	b.t.Cleanup(c.close)
	return c
}

// client makes a client of a connection. The caller closes it.
func (b *broker) client(conn net.Conn, v packet.Version) *client {
	return &client{t: b.t, conn: conn, v: v, dec: packet.Decoder{Version: v, FromServer: true}}
}

// transport is a connection of a listener that is ready for MQTT.
func (b *broker) transport(id string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", b.addrs[id], patience)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if id == "ssl:external" || id == "wss:external" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	if id == "ws:external" || id == "wss:external" {
		if conn, err = upgrade(conn); err != nil {
			return nil, err
		}
	}
	return conn, conn.SetDeadline(time.Time{})
}

func (c *client) close() { _ = c.conn.Close() }

// raw sends bytes as they are; a broken connection is the test's business.
func (c *client) raw(b []byte) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.conn.Write(b)
	return err
}

func (c *client) trySend(ps ...packet.Packet) error {
	var b []byte
	for _, p := range ps {
		b = packet.Append(b, c.v, p)
	}
	return c.raw(b)
}

func (c *client) send(ps ...packet.Packet) {
	c.t.Helper()
	if err := c.trySend(ps...); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// tryRead returns the next packet, or io.EOF when the server has closed. The
// packet is the caller's until the next read; what it refers to never changes.
func (c *client) tryRead() (packet.Packet, error) {
	for {
		p, n, err := c.dec.Next(c.buf)
		if err != nil {
			return nil, fmt.Errorf("the broker sent %x: %w", c.buf, err)
		}
		if n > 0 {
			c.buf = c.buf[n:]
			return p, nil
		}
		// What a packet borrowed must not change: each read has a buffer of its own.
		chunk := make([]byte, len(c.buf)+64<<10)
		n = copy(chunk, c.buf)
		_ = c.conn.SetReadDeadline(time.Now().Add(patience))
		m, err := c.conn.Read(chunk[n:])
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return nil, fmt.Errorf("nothing came from the broker: %w", err)
		}
		if m == 0 {
			return nil, io.EOF
		}
		c.buf = chunk[:n+m]
	}
}

// read returns the next packet, nil when the server has closed.
func (c *client) read() packet.Packet {
	c.t.Helper()
	p, err := c.tryRead()
	if err != nil && err != io.EOF {
		c.t.Fatal(err)
	}
	return p
}

// connect begins a clean session.
func (c *client) connect(id string) *packet.Connack {
	c.t.Helper()
	return c.connectWith(&packet.Connect{ClientID: id, CleanStart: true, KeepAlive: 60})
}

// resume begins or takes up a session that outlives its connection.
func (c *client) resume(id string) *packet.Connack {
	c.t.Helper()
	p := &packet.Connect{ClientID: id, KeepAlive: 60}
	if c.v == v5 {
		p.Props = packet.AppendUint32Prop(nil, packet.PropSessionExpiry, 3600)
	}
	return c.connectWith(p)
}

func (c *client) connectWith(p *packet.Connect) *packet.Connack {
	c.t.Helper()
	ack, err := c.tryConnect(p)
	if err != nil {
		c.t.Fatal(err)
	}
	return ack
}

func (c *client) tryConnect(p *packet.Connect) (*packet.Connack, error) {
	p.Version = c.v
	if err := c.trySend(p); err != nil {
		return nil, err
	}
	got, err := c.tryRead()
	if err != nil {
		return nil, err
	}
	ack, ok := got.(*packet.Connack)
	if !ok {
		return nil, fmt.Errorf("%v instead of CONNACK", got.Type())
	}
	return ack, nil
}

func (c *client) subscribe(filter string, qos byte) {
	c.t.Helper()
	c.subscribeWith(packet.Filter{Filter: filter, QoS: qos})
}

// subscribeWith subscribes and insists on success. Messages before the SUBACK
// would be lost, so there must be none.
func (c *client) subscribeWith(filters ...packet.Filter) {
	c.t.Helper()
	c.next++
	c.send(&packet.Subscribe{PacketID: c.next, Filters: filters})
	switch p := c.read().(type) {
	case *packet.Suback:
		for _, code := range p.Codes {
			if p.PacketID != c.next || code >= packet.UnspecifiedError {
				c.t.Fatalf("SUBACK %+v", p)
			}
		}
	case nil:
		c.t.Fatal("closed before SUBACK")
	default:
		c.t.Fatalf("%v before SUBACK", p.Type())
	}
}

// publish sends one message and waits for nothing.
func (c *client) publish(topic, payload string, qos byte) {
	c.t.Helper()
	c.publishWith(&packet.Publish{Topic: topic, Payload: []byte(payload), QoS: qos})
}

func (c *client) publishWith(p *packet.Publish) {
	c.t.Helper()
	if p.QoS > 0 {
		c.next++
		p.PacketID = c.next
	}
	c.send(p)
}

// expect reads until a PUBLISH comes, acknowledges it and insists on what it is.
func (c *client) expect(topic, payload string) *packet.Publish {
	c.t.Helper()
	p := c.message()
	if p.Topic != topic || string(p.Payload) != payload {
		c.t.Fatalf("got %s %.100q, want %s %.100q", p.Topic, p.Payload, topic, payload)
	}
	return p
}

func (c *client) message() *packet.Publish {
	c.t.Helper()
	p, err := c.tryMessage()
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// tryMessage returns the next message and begins its acknowledgement; a QoS 2
// handshake goes on in later calls of tryMessage, ping and await.
func (c *client) tryMessage() (*packet.Publish, error) {
	for {
		p, err := c.tryRead()
		if err != nil {
			return nil, err
		}
		if err := c.answer(p); err != nil {
			return nil, err
		}
		if p, ok := p.(*packet.Publish); ok {
			own := *p
			return &own, nil
		}
	}
}

// answer does what the standard asks of the receiver of p.
func (c *client) answer(p packet.Packet) error {
	switch p := p.(type) {
	case *packet.Publish:
		switch p.QoS {
		case 1:
			return c.trySend(&packet.Ack{Kind: packet.TypePuback, PacketID: p.PacketID})
		case 2:
			return c.trySend(&packet.Ack{Kind: packet.TypePubrec, PacketID: p.PacketID})
		}
	case *packet.Ack:
		switch p.Kind {
		case packet.TypePubrec:
			return c.trySend(&packet.Ack{Kind: packet.TypePubrel, PacketID: p.PacketID})
		case packet.TypePubrel:
			return c.trySend(&packet.Ack{Kind: packet.TypePubcomp, PacketID: p.PacketID})
		}
	case *packet.Disconnect:
		return fmt.Errorf("DISCONNECT %v", p.Code)
	}
	return nil
}

// ping waits for the broker to have handled all that was sent before. What
// messages come meanwhile are returned.
func (c *client) ping() (got []packet.Publish) {
	c.t.Helper()
	c.send(&packet.Pingreq{})
	for {
		p := c.read()
		if p == nil {
			c.t.Fatal("closed instead of PINGRESP")
		}
		if err := c.answer(p); err != nil {
			c.t.Fatal(err)
		}
		switch p := p.(type) {
		case *packet.Publish:
			own := *p
			own.Payload = bytes.Clone(p.Payload)
			got = append(got, own)
		case *packet.Pingresp:
			return got
		}
	}
}

// await reads until the handshakes of n own publishes are complete.
func (c *client) await(n int) error {
	for n > 0 {
		p, err := c.tryRead()
		if err != nil {
			return err
		}
		if err := c.answer(p); err != nil {
			return err
		}
		if a, ok := p.(*packet.Ack); ok && (a.Kind == packet.TypePuback || a.Kind == packet.TypePubcomp) {
			if a.Code >= packet.UnspecifiedError {
				return fmt.Errorf("%v %v", a.Kind, a.Code)
			}
			n--
		}
	}
	return nil
}

// publishSync publishes and waits until the broker has taken the message.
func (c *client) publishSync(p *packet.Publish) {
	c.t.Helper()
	c.publishWith(p)
	if p.QoS == 0 {
		c.ping()
		return
	}
	if err := c.await(1); err != nil {
		c.t.Fatal(err)
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
