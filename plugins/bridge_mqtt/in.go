//go:build !wasip1

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"

	"github.com/dunlinmq/dunlin/core/packet"
)

// inPause is how long a message waits that this broker has no room for.
const inPause = 50 * time.Millisecond

// incoming is what this broker is to have before it is acknowledged.
type incoming struct {
	id    uint16
	ack   packet.Type                // 0: none
	call  func() (wait func() error) // nil: nothing is published, only acknowledged
	plain func() (wait func() error) // in its place if there are no keys; nil: none
	wait  func() error
}

// noEnd is how long identifiers of 3.1.1, whose sessions do not end, are remembered.
const noEnd = 90 * 24 * time.Hour

// enter begins the traffic from the session of the connection. What it publishes with
// QoS 2 has a key in this broker, which is made of the session's epoch and the packet
// identifier: a new session has a new epoch.
func (l *link) enter(w *wire) error {
	q, key := l.bridge.queue, append([]byte{noteEpoch}, l.session(w)...)
	l.epoch = ""
	if w.ack.SessionPresent {
		if err := q.Notes(key, func(k, value []byte) {
			if bytes.Equal(k, key) {
				l.epoch = string(value)
			}
		}); err != nil {
			return err
		}
	}
	if l.epoch != "" {
		return nil
	}
	l.epoch = fmt.Sprintf("%016x", rand.Uint64()) //nolint:gosec // unlike others, no secret
	tx := q.Begin()
	tx.Note(q, key, []byte(l.epoch))
	return tx.Commit()
}

// once is the key of a packet identifier.
func (l *link) once(id uint16) string { return fmt.Sprintf("in/%s/%04x", l.epoch, id) }

// subscribe asks for everything that comes in.
func (l *link) subscribe(w *wire) error {
	s := l.bridge.set
	p := &packet.Subscribe{PacketID: 1}
	for i := range s.Topics {
		r := &s.Topics[i]
		if !r.in() {
			continue
		}
		f := packet.Filter{Filter: r.remote(), QoS: *r.QoS}
		if s.Share != "" {
			f.Filter = "$share/" + s.Share + "/" + f.Filter
		}
		if w.version == packet.V50 {
			f.NoLocal, f.RetainAsPublished = s.Share == "", true
		}
		p.Filters = append(p.Filters, f)
	}
	if len(p.Filters) == 0 {
		return nil
	}
	l.asked = p.Filters
	return w.send(p)
}

// granted looks at the answer to subscribe.
func (l *link) granted(p *packet.Suback) {
	for i, c := range p.Codes {
		if c.Failed() && i < len(l.asked) {
			sdk.Log(sdk.Warn, fmt.Sprintf("bridge %s: the other broker refuses the subscription %s: code %#02x", l.bridge.name, l.asked[i].Filter, byte(c)))
		}
	}
}

// came takes a message of the other broker. One with QoS 2 is published once for its
// identifier until that is released, whatever is killed meanwhile.
func (l *link) came(ctx context.Context, p *packet.Publish) error {
	b := l.bridge
	next := incoming{id: p.PacketID, ack: [...]packet.Type{0, packet.TypePuback, packet.TypePubrec}[p.QoS]}
	if m := b.inward(p); m != nil {
		next.call = func() func() error { return sdk.PublishKept(*m) }
		if p.QoS == 2 && !b.twice.Load() {
			key, keep := l.once(p.PacketID), noEnd
			if b.set.version == packet.V50 {
				keep = time.Duration(b.set.SessionExpiry)
			}
			next.call, next.plain = func() func() error { return sdk.PublishOnce(key, keep, *m) }, next.call
		}
		b.count.received.Add(1)
	}
	return l.enqueue(ctx, next)
}

// released ends a QoS 2 exchange: the other broker may use the identifier again when
// this one does not know it any more.
func (l *link) released(ctx context.Context, a *packet.Ack) error {
	next := incoming{id: a.PacketID, ack: packet.TypePubcomp}
	if !l.bridge.twice.Load() {
		key := l.once(a.PacketID)
		next.call = func() func() error { return sdk.ForgetOnce(key) }
		next.plain = func() func() error { return func() error { return nil } }
	}
	return l.enqueue(ctx, next)
}

func (l *link) enqueue(ctx context.Context, next incoming) error {
	if next.call != nil {
		next.wait = next.call()
	}
	select {
	case l.inbox <- next:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// inward is what a message of the other broker becomes here; nil: nothing.
func (b *bridge) inward(p *packet.Publish) *sdk.Message {
	topic, qos, ok := inward(b.set.Topics, p.Topic)
	if !ok {
		return nil
	}
	props, expiry, expires := p.Forward()
	n, rest := passed(props)
	if n >= b.set.MaxHops {
		b.count.looped.Add(1)
		return nil
	}
	if n > 0 {
		rest = packet.AppendUserProp(rest, hops, itoa(n))
	}
	m := &sdk.Message{Topic: strings.Clone(topic), Payload: bytes.Clone(p.Payload), QoS: min(p.QoS, qos), Retain: p.Retain, Props: rest}
	if expires {
		if m.Expiry = time.Duration(expiry) * time.Second; expiry == 0 {
			b.count.expired.Add(1)
			return nil
		}
	}
	return m
}

// acknowledge waits for what came to be safe here and tells the other broker, in the
// order in which it came.
func (l *link) acknowledge(ctx context.Context, w *wire) error {
	for {
		var next incoming
		select {
		case next = <-l.inbox:
		case <-ctx.Done():
			return nil
		}
		if err := l.safe(ctx, &next); err != nil {
			return err
		}
		if next.ack == 0 {
			continue
		}
		if err := w.put(&packet.Ack{Kind: next.ack, PacketID: next.id}); err != nil {
			return err
		}
		if len(l.inbox) == 0 {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
}

// safe waits until the broker has a message, and publishes it again while there is no
// room.
func (l *link) safe(ctx context.Context, next *incoming) error {
	if next.wait == nil {
		return nil
	}
	b := l.bridge
	for {
		err := next.wait()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, sdk.ErrInvalid):
			b.count.dropped.Add(1)
			return nil
		case errors.Is(err, sdk.ErrDenied) && next.plain != nil:
			if !b.twice.Swap(true) {
				sdk.Log(sdk.Warn, "bridge "+b.name+`: messages with QoS 2 may come in twice after a crash: grant = ["publish", "kv:durable"] under [plugin] has them come once`)
			}
			next.call, next.plain = next.plain, nil
			next.wait = next.call()
			continue
		case !errors.Is(err, sdk.ErrQuota):
			return fmt.Errorf("this broker takes no message: %w", err)
		case next.ack == 0:
			b.count.dropped.Add(1)
			return nil
		}
		select {
		case <-time.After(inPause):
			next.wait = next.call()
		case <-ctx.Done():
			return nil
		}
	}
}
