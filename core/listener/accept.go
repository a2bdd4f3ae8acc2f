package listener

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"go.uber.org/zap"
)

// A failing accept (out of descriptors) is tried again after a pause that
// doubles between these.
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
)

// acceptAll is the accept loop. Nothing in it waits for a peer.
func (l *Listener) acceptAll(accept func() (Accepted, error), serve func(Accepted)) {
	rate := newBucket(l.cfg.MaxConnRate, time.Now())
	var pause time.Duration
	for {
		if !wait(l.closed, rate.take(time.Now())) {
			return
		}
		a, err := accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			if pause == 0 {
				l.log.Warn("cannot accept, will try again", zap.Error(err))
			}
			pause = min(max(2*pause, shortestPause), longestPause)
			if !wait(l.closed, pause) {
				return
			}
			continue
		}
		pause = 0
		l.admit(a, serve)
	}
}

// admit counts a and hands it over, or begins its handshake, or closes it.
func (l *Listener) admit(a Accepted, serve func(Accepted)) {
	a.Done = l.done
	a.Info.Listener, a.Info.Zone, a.Info.Proto = l.cfg.ID(), l.cfg.Zone, l.cfg.Proto
	a.Info.Local = l.ln.Addr().(*net.TCPAddr).AddrPort()
	l.counts.accepted.Add(1)
	n := l.counts.current.Add(1)
	if l.cfg.MaxConnections > 0 && n > int64(l.cfg.MaxConnections) {
		l.counts.refused.Add(1)
		_ = a.Close()
		return
	}
	if l.origins != nil && !l.count(&a) {
		l.counts.crowded.Add(1)
		_ = a.Close()
		return
	}
	if l.cfg.Proto == TCP {
		serve(a)
		return
	}
	l.shakes.start(a.Conn, func() {
		if !l.shake(&a) {
			l.counts.failed.Add(1)
			_ = a.Close()
			return
		}
		serve(a)
	})
}

// count counts a by its address; false: there are too many from there.
func (l *Listener) count(a *Accepted) bool {
	addr := a.Info.Peer.Addr()
	if !l.origins.take(addr) {
		return false
	}
	a.Done = func() {
		l.origins.give(addr)
		l.done()
	}
	return true
}

// shake does the handshakes of a within the timeout.
func (l *Listener) shake(a *Accepted) bool {
	nc := a.Conn
	if err := nc.SetDeadline(time.Now().Add(l.cfg.HandshakeTimeout)); err != nil {
		return false
	}
	err := l.secure(a)
	if err == nil {
		err = l.upgrade(a)
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err != nil {
		l.log.Debug("handshake failed", zap.Stringer("peer", a.Info.Peer), zap.Error(err))
	}
	return err == nil
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
