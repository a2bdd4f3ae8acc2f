//go:build !wasip1

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

const (
	dialTime  = 10 * time.Second // for the connection and for the CONNACK
	writeTime = 30 * time.Second // for one write
	maxPacket = 256 << 20        // of the other broker
)

// wire is one connection to the other broker, from its CONNACK on.
type wire struct {
	nc      net.Conn
	to      target
	version packet.Version
	ack     packet.Connack

	// Owned by the reader.
	decoder packet.Decoder
	in      []byte // read and not decoded
	used    int    // of in, by the last packet

	mu      sync.Mutex
	out     *bufio.Writer // guarded by mu
	scratch []byte        // guarded by mu
	until   time.Time     // guarded by mu: the deadline of writing

	wrote atomic.Int64 // when something was sent, Unix nanoseconds
}

// dial connects and sends the CONNECT. The connection ends with ctx.
func dial(ctx context.Context, to target, hello *packet.Connect) (*wire, error) {
	ctx2, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx2, "tcp", to.network)
	if err != nil {
		return nil, err
	}
	if to.tls != nil {
		t := tls.Client(nc, to.tls)
		if err := t.HandshakeContext(ctx2); err != nil {
			return nil, errors.Join(fmt.Errorf("TLS: %w", err), nc.Close())
		}
		nc = t
	}
	w := &wire{nc: nc, to: to, version: hello.Version, out: bufio.NewWriterSize(nc, 64<<10), decoder: packet.Decoder{Version: hello.Version, FromServer: true, MaxSize: maxPacket}}
	if err := w.greet(hello); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return w, nil
}

// greet exchanges CONNECT and CONNACK.
func (w *wire) greet(hello *packet.Connect) error {
	if err := w.nc.SetReadDeadline(time.Now().Add(dialTime)); err != nil {
		return err
	}
	if err := w.send(hello); err != nil {
		return err
	}
	p, err := w.read()
	if err != nil {
		return fmt.Errorf("waiting for the CONNACK: %w", err)
	}
	ack, ok := p.(*packet.Connack)
	if !ok {
		return fmt.Errorf("%v instead of a CONNACK", p.Type())
	}
	if ack.Code != packet.Success {
		text, _ := ack.Props.String(packet.PropReasonString)
		return fmt.Errorf("refused with code %#02x %s", byte(ack.Code), text)
	}
	w.ack = packet.Connack{SessionPresent: ack.SessionPresent, Props: append(packet.Props(nil), ack.Props...)}
	return nil
}

// read returns the next packet, valid until the next read.
func (w *wire) read() (packet.Packet, error) {
	for {
		p, n, err := w.decoder.Next(w.in[w.used:])
		if err != nil {
			return nil, err
		}
		if n > 0 {
			w.used += n
			return p, nil
		}
		w.in = append(w.in[:0], w.in[w.used:]...)
		w.used = 0
		if cap(w.in)-len(w.in) < 16<<10 {
			w.in = append(make([]byte, 0, 2*cap(w.in)+64<<10), w.in...)
		}
		n, err = w.nc.Read(w.in[len(w.in):cap(w.in)])
		if err != nil {
			return nil, err
		}
		w.in = w.in[:len(w.in)+n]
	}
}

// more tells whether something is left of the last read.
func (w *wire) more() bool { return w.used < len(w.in) }

// put writes a packet into the buffer; flush sends it.
func (w *wire) put(p packet.Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scratch = packet.Append(w.scratch[:0], w.version, p)
	if w.out.Available() < len(w.scratch) { // it writes
		if err := w.patience(); err != nil {
			return err
		}
	}
	_, err := w.out.Write(w.scratch)
	if cap(w.scratch) > 1<<20 {
		w.scratch = nil
	}
	return err
}

func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out.Buffered() == 0 {
		return nil
	}
	w.wrote.Store(time.Now().UnixNano())
	if err := w.patience(); err != nil {
		return err
	}
	return w.out.Flush()
}

// patience bounds the next write. mu is held.
func (w *wire) patience() error {
	now := time.Now()
	if w.until.Sub(now) > writeTime/2 {
		return nil
	}
	w.until = now.Add(writeTime)
	return w.nc.SetWriteDeadline(w.until)
}

// hurry gives everything that is written and read from now on so much time.
func (w *wire) hurry(within time.Duration) {
	_ = w.nc.SetDeadline(time.Now().Add(within)) // a connection that is gone needs none
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = time.Now().Add(time.Hour) // the deadline stays as it is
}

// send puts packets and flushes.
func (w *wire) send(ps ...packet.Packet) error {
	for _, p := range ps {
		if err := w.put(p); err != nil {
			return err
		}
	}
	return w.flush()
}

// window is how many messages with QoS 1 or 2 the other broker takes at once.
func (w *wire) window(most int) int {
	if n, ok := w.ack.Props.Uint16(packet.PropReceiveMaximum); ok && w.version == packet.V50 {
		most = min(most, int(n))
	}
	return most
}

// fits tells whether the other broker takes a packet of the size.
func (w *wire) fits(p *packet.Publish) bool {
	n, ok := w.ack.Props.Uint32(packet.PropMaximumPacketSize)
	return !ok || len(p.Payload)+len(p.Topic)+len(p.Props)+16 <= int(n)
}

// ping keeps the connection alive until ctx ends.
func (w *wire) ping(ctx context.Context, every time.Duration) error {
	t := time.NewTicker(every / 2)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if time.Since(time.Unix(0, w.wrote.Load())) >= every/2 {
				if err := w.send(&packet.Pingreq{}); err != nil {
					return err
				}
			}
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// atoi is 0 for what is no number.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
