package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

const (
	maxPacket = 1 << 20  // of what the other broker sends, which is acknowledgements
	flushAt   = 32 << 10 // encoded before it is written
)

// settings are how to connect.
type settings struct {
	address string
	version packet.Version
	hello   packet.Connect
	tls     *tls.Config // nil: none
	timeout time.Duration
	window  int // messages under way at once
}

// link is one connection, from its CONNACK on. It has one user at a time.
type link struct {
	nc      net.Conn
	version packet.Version
	window  int
	largest int  // packet that the other broker takes; 0: any
	qos     byte // highest that it takes

	decoder packet.Decoder
	in      []byte // read and not decoded
	out     []byte // encoded and not written
	id      uint16 // the last packet identifier
}

// dial connects and waits for the CONNACK.
func dial(ctx context.Context, s *settings) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	if s.tls != nil {
		cfg := s.tls.Clone()
		if cfg.ServerName == "" {
			cfg.ServerName, _, _ = net.SplitHostPort(s.address) // it was checked
		}
		t := tls.Client(nc, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("TLS: %w", err), nc.Close())
		}
		nc = t
	}
	l := &link{nc: nc, version: s.version, window: s.window, qos: 2, decoder: packet.Decoder{Version: s.version, FromServer: true, MaxSize: maxPacket}}
	if err := l.greet(ctx, s); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return l, nil
}

func (l *link) greet(ctx context.Context, s *settings) error {
	stop := l.bound(ctx)
	defer stop()
	l.out = packet.Append(l.out, l.version, &s.hello)
	if err := l.flush(); err != nil {
		return err
	}
	p, err := l.read()
	if err != nil {
		return fmt.Errorf("waiting for the CONNACK: %w", err)
	}
	ack, ok := p.(*packet.Connack)
	if !ok {
		return fmt.Errorf("%v instead of a CONNACK", p.Type())
	}
	if ack.Code != packet.Success {
		text, _ := ack.Props.String(packet.PropReasonString)
		return fmt.Errorf("the login is refused with code %#02x %s", byte(ack.Code), text)
	}
	if n, ok := ack.Props.Uint16(packet.PropReceiveMaximum); ok {
		l.window = min(l.window, int(n))
	}
	if n, ok := ack.Props.Uint32(packet.PropMaximumPacketSize); ok {
		l.largest = int(min(n, 1<<30))
	}
	if n, ok := ack.Props.Byte(packet.PropMaximumQoS); ok {
		l.qos = n
	}
	return nil
}

// bound lets ctx end what waits for the connection, until the result is called.
func (l *link) bound(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() { _ = l.nc.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

// publish sends the messages, oldest first, at most window without an answer. done
// is how many from the front have arrived or were refused, when there is an error.
func (l *link) publish(ctx context.Context, outs []*packet.PublishOut) (done int, refused map[int]error, err error) {
	stop := l.bound(ctx)
	defer stop()
	refused = map[int]error{}
	open := map[uint16]int{} // message by its identifier
	answered := make([]bool, len(outs))
	front := func() int {
		for done < len(outs) && answered[done] {
			done++
		}
		return done
	}
	for i, out := range outs {
		if err := l.put(out); err != nil {
			refused[i], answered[i] = err, true
			continue
		}
		if out.QoS > 0 {
			open[out.PacketID] = i
		}
		if len(l.out) >= flushAt {
			if err := l.flush(); err != nil {
				return front(), refused, err
			}
		}
		for len(open) >= l.window {
			if err := l.acknowledged(open, answered, refused); err != nil {
				return front(), refused, err
			}
		}
		if out.QoS == 0 {
			answered[i] = len(l.out) == 0
		}
	}
	if err := l.flush(); err != nil {
		return front(), refused, err
	}
	for len(open) > 0 {
		if err := l.acknowledged(open, answered, refused); err != nil {
			return front(), refused, err
		}
	}
	return len(outs), refused, nil
}

// put encodes a message. An error is about the message.
func (l *link) put(out *packet.PublishOut) error {
	out.QoS = min(out.QoS, l.qos)
	if out.QoS > 0 {
		if l.id++; l.id == 0 {
			l.id = 1
		}
		out.PacketID = l.id
	}
	start := len(l.out)
	l.out = packet.AppendPublish(l.out, l.version, out)
	if n := len(l.out) - start; l.largest > 0 && n > l.largest {
		l.out = l.out[:start]
		return fmt.Errorf("the message has %d bytes, the other broker takes %d", n, l.largest)
	}
	return nil
}

// acknowledged takes the next answer.
func (l *link) acknowledged(open map[uint16]int, answered []bool, refused map[int]error) error {
	if err := l.flush(); err != nil {
		return err
	}
	p, err := l.next(packet.TypePuback)
	if err != nil {
		return err
	}
	ack := p.(*packet.Ack)
	i, ok := open[ack.PacketID]
	if !ok {
		return fmt.Errorf("an acknowledgement of %d, which is not under way", ack.PacketID)
	}
	if ack.Code >= packet.UnspecifiedError {
		why, _ := ack.Props.String(packet.PropReasonString)
		err := fmt.Errorf("the other broker refuses it with code %#02x %s", byte(ack.Code), why)
		if !forever(ack.Code) {
			return err
		}
		refused[i] = err
	}
	delete(open, ack.PacketID)
	answered[i] = true
	return nil
}

// forever tells whether a message will be refused again for what it is.
func forever(c packet.ReasonCode) bool {
	switch c {
	case packet.NotAuthorized, packet.TopicNameInvalid, packet.PayloadFormatInvalid, packet.PacketTooLarge:
		return true
	}
	return false
}

// next is the next packet of the kind; what else a broker may send is passed over.
func (l *link) next(kind packet.Type) (packet.Packet, error) {
	for {
		p, err := l.read()
		if err != nil {
			return nil, err
		}
		switch p := p.(type) {
		case *packet.Disconnect:
			why, _ := p.Props.String(packet.PropReasonString)
			return nil, fmt.Errorf("the other broker has disconnected with code %#02x %s", byte(p.Code), why)
		case *packet.Pingresp, *packet.Ack:
			if p.Type() == kind {
				return p, nil
			}
		}
	}
}

// read returns the next packet, valid until the next read.
func (l *link) read() (packet.Packet, error) {
	for {
		p, n, err := l.decoder.Next(l.in)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			l.in = l.in[n:]
			return p, nil
		}
		l.in = append(make([]byte, 0, len(l.in)+4<<10), l.in...)
		if n, err = l.nc.Read(l.in[len(l.in):cap(l.in)]); err != nil {
			return nil, err
		}
		l.in = l.in[:len(l.in)+n]
	}
}

func (l *link) flush() error {
	if len(l.out) == 0 {
		return nil
	}
	_, err := l.nc.Write(l.out)
	l.out = l.out[:0]
	return err
}

// ping asks whether the other broker is there.
func (l *link) ping(ctx context.Context) error {
	stop := l.bound(ctx)
	defer stop()
	l.out = packet.Append(l.out, l.version, &packet.Pingreq{})
	if err := l.flush(); err != nil {
		return err
	}
	_, err := l.next(packet.TypePingresp)
	return err
}

// leave says goodbye.
func (l *link) leave() {
	_ = l.nc.SetDeadline(time.Now().Add(time.Second))
	l.out = packet.Append(l.out[:0], l.version, &packet.Disconnect{})
	_ = l.flush() // it may be gone
	l.close()
}

func (l *link) close() { _ = l.nc.Close() }
