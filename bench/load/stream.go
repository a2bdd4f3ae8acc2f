package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	streamBytes = 16 << 10 // read at once
	streamMost  = 1 << 20  // bytes that wait to be written before the client is held back
)

// stream is a link on a net.Conn, with a goroutine that reads and one that
// writes. Both take the worker's lock when they have something to tell.
type stream struct {
	client *client
	nc     net.Conn

	mu       sync.Mutex // guards what follows; inside the worker's lock
	more     sync.Cond
	pending  []byte
	heldBack bool // the client waits for writable
	closed   bool
}

// dialStream begins a connection. Called with the worker's lock.
func dialStream(c *client, from netip.Addr) {
	since := c.since
	c.worker.run.streams.Go(func() {
		nc, err := c.worker.run.target.open(c.worker.run.ctx, from, c.worker.run.cfg.Pace)
		c.worker.tell(func() {
			switch {
			case c.state != dialing || c.since != since: // given up meanwhile
				if nc != nil {
					_ = nc.Close()
				}
			case err != nil:
				c.lost(nil, err)
			default:
				s := &stream{client: c, nc: nc}
				s.more.L = &s.mu
				c.opened(s)
				c.worker.run.streams.Go(s.read)
				c.worker.run.streams.Go(s.send)
			}
		})
	})
}

// open connects, with the layers that the target has.
func (t *target) open(ctx context.Context, from netip.Addr, pace Pace) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, pace.Timeout)
	defer cancel()
	d := net.Dialer{}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	nc, err := d.DialContext(ctx, "tcp", t.addr.String())
	if err != nil {
		return nil, err
	}
	if t.TLS != nil {
		cfg := t.TLS.Clone()
		if cfg.ServerName == "" {
			cfg.ServerName = t.Host
		}
		tc := tls.Client(nc, cfg)
		if err := tc.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, fmt.Errorf("TLS: %w", err)
		}
		nc = tc
	}
	if t.WebSocket != "" {
		wc, err := upgrade(ctx, nc, t)
		if err != nil {
			_ = nc.Close()
			return nil, fmt.Errorf("WebSocket: %w", err)
		}
		nc = wc
	}
	return nc, nil
}

// tell calls fn with the worker's lock and sends what came of it.
func (w *worker) tell(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.run.clock.now()
	fn()
	w.settle()
}

// settle is rounds until nothing is left to send.
func (w *worker) settle() {
	for len(w.dirty) > 0 {
		w.round()
	}
}

func (s *stream) read() {
	buf := make([]byte, streamBytes)
	for {
		n, err := s.nc.Read(buf)
		ended := false
		s.client.worker.tell(func() {
			if n > 0 && s.client.link == link(s) {
				s.client.feed(s, buf[:n])
			}
			if err != nil && s.client.link == link(s) {
				s.client.lost(s, err)
			}
			ended = s.client.link != link(s)
		})
		if ended || err != nil {
			return
		}
	}
}

// send writes what is pending, until the stream is closed.
func (s *stream) send() {
	defer s.nc.Close()
	var out []byte
	for {
		s.mu.Lock()
		for len(s.pending) == 0 && !s.closed {
			s.more.Wait()
		}
		out, s.pending = s.pending, out[:0]
		held := s.heldBack
		s.heldBack = false
		s.mu.Unlock()
		if len(out) == 0 {
			return // closed, and all is sent
		}
		_, err := s.nc.Write(out)
		if err != nil {
			s.client.worker.tell(func() { s.client.lost(s, err) })
			return
		}
		if held {
			s.client.worker.tell(func() { s.client.writable(s) })
		}
	}
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return 0, io.ErrClosedPipe
	case len(s.pending) >= streamMost:
		s.heldBack = true
		return 0, nil
	}
	s.pending = append(s.pending, p...)
	s.more.Signal()
	return len(p), nil
}

// close lets send write what is pending, and no more than that.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	_ = s.nc.SetWriteDeadline(time.Now().Add(2 * time.Second)) // a broker that takes nothing
	s.more.Signal()
}
