//go:build !wasip1

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"

	"github.com/dunlinmq/dunlin/core/packet"
)

// maxInbox is how many messages of one connection may be on their way into this
// broker.
const maxInbox = 512

// link is one of a bridge's connections, again and again. The first sends what goes
// out; all get what comes in.
type link struct {
	// Immutable.
	bridge *bridge
	id     string // client identifier
	sends  bool
	flight *flight // of the one that sends

	there atomic.Bool // connected

	settling sync.Mutex    // held while records leave the queue, in its order
	inbox    chan incoming // of the present connection

	// Owned by the connection's reader.
	asked    []packet.Filter
	epoch    string   // of the session, see enter
	received []uint64 // records whose PUBREC is not answered

	mu sync.Mutex
	// Guarded by mu.
	up    bool
	since time.Time
	at    string // the target
	err   string // why the last connection ended
}

func (l *link) state(up bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.there.Store(up)
	if l.up != up || l.since.IsZero() {
		l.up, l.since = up, time.Now()
	}
	if err != nil {
		l.err = err.Error()
	}
}

// run keeps the connection until ctx ends.
func (l *link) run(ctx context.Context) {
	s := l.bridge.set
	wait := time.Duration(s.ReconnectMin)
	at, failed := 0, 0 // the target, and how many have failed one after the other
	for ctx.Err() == nil {
		began, to := time.Now(), s.targets[at]
		up, err := l.connection(ctx, at)
		l.state(false, err)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Duration(s.ReconnectMax) {
			wait = time.Duration(s.ReconnectMin)
		}
		if failed++; up {
			failed = 0
		}
		if at = (at + 1) % len(s.targets); up && !s.RoundRobin {
			at = 0
		}
		if failed > 0 && failed%len(s.targets) != 0 {
			sdk.Log(sdk.Warn, fmt.Sprintf("bridge %s: no connection to %s: %v; %s is next", l.bridge.name, to.text, err, s.targets[at].text))
			continue
		}
		sdk.Log(sdk.Warn, fmt.Sprintf("bridge %s: no connection to %s: %v; again within %s", l.bridge.name, to.text, err, wait))
		select { // at any moment of the pause, so that many do not come together
		case <-time.After(wait/2 + rand.N(wait/2+1)): //nolint:gosec // no secret
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, time.Duration(s.ReconnectMax))
	}
}

var errFirst = errors.New("the first address can be reached again")

// first ends a connection to another target when the first one takes connections.
func (l *link) first(ctx context.Context) error {
	s := l.bridge.set
	every := time.NewTicker(time.Duration(s.ReconnectMax))
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		var d net.Dialer
		ctx, cancel := context.WithTimeout(ctx, dialTime)
		nc, err := d.DialContext(ctx, "tcp", s.targets[0].network)
		cancel()
		if err == nil {
			return errors.Join(errFirst, nc.Close())
		}
	}
}

// hello is the CONNECT.
func (l *link) hello() *packet.Connect {
	s := l.bridge.set
	c := &packet.Connect{
		Version: s.version, ClientID: l.id, CleanStart: s.Clean, KeepAlive: uint16(time.Duration(s.KeepAlive) / time.Second),
		Username: s.Username, HasUsername: s.Username != "", Password: []byte(s.Password), HasPassword: s.Password != "",
	}
	if s.version == packet.V50 {
		if !s.Clean {
			c.Props = packet.AppendUint32Prop(c.Props, packet.PropSessionExpiry, uint32(time.Duration(s.SessionExpiry)/time.Second))
		}
		c.Props = packet.AppendUint16Prop(c.Props, packet.PropReceiveMaximum, maxInbox)
	} else {
		c.Bridge = *s.BridgeMode
	}
	if s.Presence != "" && l.sends {
		c.Will = &packet.Will{Topic: s.Presence, Payload: []byte("0"), QoS: 1, Retain: true}
	}
	return c
}

// connection serves one connection to a target to its end, and tells whether there was
// one.
func (l *link) connection(ctx context.Context, at int) (up bool, err error) {
	s := l.bridge.set
	l.mu.Lock()
	l.at = s.targets[at].text
	l.mu.Unlock()
	w, err := dial(ctx, s.targets[at], l.hello())
	if err != nil {
		return false, err
	}
	l.received = l.received[:0]
	l.inbox = make(chan incoming, maxInbox)
	l.state(true, nil)
	sdk.Log(sdk.Info, fmt.Sprintf("bridge %s: connected to %s as %s", l.bridge.name, w.to.text, l.id))
	ctx, cancel := context.WithCancelCause(ctx)
	var g sync.WaitGroup
	part := func(run func() error) {
		g.Go(func() { cancel(cmp.Or(run(), io.EOF)) })
	}
	if err := l.open(w); err != nil {
		cancel(err)
	} else {
		part(func() error { return l.receive(ctx, w) })
		part(func() error { return l.acknowledge(ctx, w) })
		part(func() error { return w.ping(ctx, time.Duration(s.KeepAlive)) })
		if l.sends {
			part(func() error { return l.pump(ctx, w) })
		}
		if at > 0 && !s.RoundRobin {
			part(func() error { return l.first(ctx) })
		}
	}
	<-ctx.Done()
	l.leave(w)
	err = errors.Join(context.Cause(ctx), w.nc.Close())
	g.Wait()
	if l.sends {
		err = errors.Join(err, l.settle())
	}
	return true, err
}

// open begins the connection's traffic.
func (l *link) open(w *wire) error {
	if err := l.enter(w); err != nil {
		return err
	}
	if err := l.subscribe(w); err != nil {
		return err
	}
	if l.sends {
		if err := l.resume(w); err != nil {
			return err
		}
	}
	if t := l.bridge.set.Presence; t != "" && l.sends {
		return w.send(&packet.Publish{Topic: t, Payload: []byte("1"), Retain: true})
	}
	return nil
}

// leave says goodbye, if somebody listens.
func (l *link) leave(w *wire) {
	w.hurry(time.Second) // it may be gone
	var ps []packet.Packet
	if t := l.bridge.set.Presence; t != "" && l.sends {
		ps = append(ps, &packet.Publish{Topic: t, Payload: []byte("0"), Retain: true})
	}
	_ = w.send(append(ps, &packet.Disconnect{})...) // as before
}

// receive reads until the connection ends.
func (l *link) receive(ctx context.Context, w *wire) error {
	patience := 3 * time.Duration(l.bridge.set.KeepAlive) / 2
	for {
		if !w.more() { // everything that came together is done together
			if err := l.together(w); err != nil {
				return err
			}
			if err := w.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
				return err
			}
		}
		p, err := w.read()
		if err != nil {
			return err
		}
		if err := l.handle(ctx, w, p); err != nil {
			return err
		}
	}
}

// together ends what came together.
func (l *link) together(w *wire) error {
	if l.sends {
		if err := errors.Join(l.release(w), l.settle()); err != nil {
			return err
		}
	}
	return w.flush()
}

// handle is one packet of the other broker.
func (l *link) handle(ctx context.Context, w *wire, p packet.Packet) error {
	switch p := p.(type) {
	case *packet.Publish:
		return l.came(ctx, p)
	case *packet.Ack:
		if p.Kind == packet.TypePubrel {
			return l.released(ctx, p)
		}
		if l.sends {
			return l.acked(w, p)
		}
	case *packet.Suback:
		l.granted(p)
	case *packet.Disconnect:
		return fmt.Errorf("the other broker has closed: code %#02x", byte(p.Code))
	}
	return nil
}
