package listener

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
)

// A failing accept (out of descriptors) is tried again after a pause that
// doubles between these.
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
)

// acceptAll is the accept loop, until p is closed. Nothing in it waits for a peer.
func (l *Listener) acceptAll(p *port, serve func(Accepted)) {
	perSecond := l.settings.Load().cfg.MaxConnRate
	rate := newBucket(perSecond, time.Now())
	at := local(p.ln)
	var pause time.Duration
	for {
		if r := l.settings.Load().cfg.MaxConnRate; r != perSecond {
			perSecond, rate = r, newBucket(r, time.Now())
		}
		delay := rate.take(time.Now())
		if delay > 0 {
			l.counts.slowed.Add(1)
		}
		if !wait(p.closed, delay) {
			return
		}
		a, err := p.source.accept()
		switch {
		case errors.Is(err, net.ErrClosed), err != nil && p.closed.Err() != nil:
			return // a descriptor that is closed has an error of its own
		case err != nil:
			if pause == 0 {
				l.log.Warn("cannot accept, will try again", zap.Error(err))
			}
			pause = min(max(2*pause, shortestPause), longestPause)
			if !wait(p.closed, pause) {
				return
			}
			continue
		}
		pause = 0
		a.Info.Local = at
		l.admit(a, serve)
	}
}

// admit counts a and hands it over, or begins its handshake, or closes it.
func (l *Listener) admit(a Accepted, serve func(Accepted)) {
	s := l.settings.Load()
	a.Done = l.done
	a.Info.Listener, a.Info.Zone, a.Info.Proto = l.id, s.cfg.Zone, l.proto
	l.counts.accepted.Add(1)
	n := l.counts.current.Add(1)
	if len(s.access) > 0 && a.Info.Peer != nowhere && !s.access.admit(a.Info.Peer.Addr()) {
		l.counts.denied.Add(1)
		_ = a.Close()
		return
	}
	if s.cfg.MaxConnections > 0 && n > int64(s.cfg.MaxConnections) {
		l.counts.refused.Add(1)
		_ = a.Close()
		return
	}
	if !s.told() && !l.count(s, &a) {
		_ = a.Close()
		return
	}
	if !s.cfg.greets() {
		serve(a)
		return
	}
	l.shakes.start(a.Conn, func() {
		if err := l.shake(s, &a); err != nil {
			l.log.Debug("handshake failed", zap.Stringer("peer", a.Info.Peer), zap.Error(err))
			_ = a.Close()
			return
		}
		serve(a)
	})
}

// count counts a by its address, if there is a limit; false: there are too many
// from there.
func (l *Listener) count(s *settings, a *Accepted) bool {
	if s.cfg.MaxConnPerAddress == 0 || a.Info.Peer == nowhere {
		return true
	}
	addr := a.Info.Peer.Addr()
	if !l.origins.take(addr) {
		l.counts.crowded.Add(1)
		return false
	}
	a.Done = func() {
		l.origins.give(addr)
		l.done()
	}
	return true
}

var errCrowded = errors.New("too many connections from the address")

// shake does what comes before MQTT within the timeouts.
func (l *Listener) shake(s *settings, a *Accepted) error {
	if s.cfg.ProxyProtocol {
		if err := s.proxy(a); err != nil {
			l.counts.failed.Add(1)
			return fmt.Errorf("proxy protocol: %w", err)
		}
		if s.cfg.Web.AddressHeader == "" && !l.count(s, a) {
			return errCrowded
		}
	}
	if err := s.shake(a, l.log); err != nil {
		l.counts.failed.Add(1)
		return err
	}
	if s.cfg.Web.AddressHeader != "" && !l.count(s, a) {
		return errCrowded
	}
	return nil
}

// told tells whether the client's address is learned from a proxy.
func (s *settings) told() bool { return s.cfg.ProxyProtocol || s.cfg.Web.AddressHeader != "" }

// shake does the handshakes of a within the timeout.
func (s *settings) shake(a *Accepted, log *zap.Logger) error {
	nc := a.Conn
	if s.cfg.Proto == TCP {
		if err := nc.SetDeadline(time.Time{}); err != nil {
			return err
		}
		return a.strip()
	}
	if err := nc.SetDeadline(time.Now().Add(s.cfg.HandshakeTimeout)); err != nil {
		return err
	}
	p := a.pipe()
	if err := s.secure(a, log); err != nil {
		return err
	}
	if err := s.upgrade(a); err != nil {
		return err
	}
	if err := nc.SetDeadline(time.Time{}); err != nil || p == nil {
		return err
	}
	return a.bare(p)
}

// proxy takes the PROXY header off a.
func (s *settings) proxy(a *Accepted) error {
	if err := a.Conn.SetDeadline(time.Now().Add(s.cfg.ProxyTimeout)); err != nil {
		return err
	}
	h, err := readProxy(a.Conn)
	if err != nil {
		return err
	}
	if h.peer.IsValid() {
		a.Info.Peer = h.peer
	}
	if !utf8.ValidString(h.cn) {
		return errors.New("common name is not UTF-8")
	}
	a.Info.CommonName = h.cn
	if s.cfg.TLS.PeerCertAsUsername == CertCN {
		a.Info.CertUsername = h.cn
	}
	if s.cfg.TLS.PeerCertAsClientID == CertCN {
		a.Info.CertClientID = h.cn
	}
	return nil
}

// wait sleeps for d; false: ctx is done.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// joinClose closes c because of err.
func joinClose(err error, c io.Closer) error { return errors.Join(err, c.Close()) }
