//go:build !wasip1

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"

	"github.com/dunlinmq/dunlin/core/packet"
)

// inPause is how long a message waits that this broker has no room for.
const inPause = 50 * time.Millisecond

// incoming is a message that this broker is to have before it is acknowledged.
type incoming struct {
	id   uint16
	qos  byte
	m    *sdk.Message // nil: nothing is published, only acknowledged
	wait func() error
}

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

// came takes a message of the other broker.
func (l *link) came(ctx context.Context, p *packet.Publish) error {
	b := l.bridge
	next := incoming{id: p.PacketID, qos: p.QoS}
	if _, known := l.held[p.PacketID]; !known || p.QoS != 2 {
		if next.m = b.inward(p); next.m != nil {
			next.wait = sdk.PublishKept(*next.m)
			b.count.received.Add(1)
		}
		if p.QoS == 2 {
			l.held[p.PacketID] = struct{}{}
		}
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
		ack := &packet.Ack{Kind: packet.TypePuback, PacketID: next.id}
		switch next.qos {
		case 0:
			continue
		case 2:
			ack.Kind = packet.TypePubrec
		}
		if err := w.put(ack); err != nil {
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
	if next.m == nil {
		return nil
	}
	for {
		err := next.wait()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, sdk.ErrInvalid):
			l.bridge.count.dropped.Add(1)
			return nil
		case !errors.Is(err, sdk.ErrQuota):
			return fmt.Errorf("this broker takes no message: %w", err)
		case next.qos == 0:
			l.bridge.count.dropped.Add(1)
			return nil
		}
		select {
		case <-time.After(inPause):
			next.wait = sdk.PublishKept(*next.m)
		case <-ctx.Done():
			return nil
		}
	}
}

// released ends a QoS 2 exchange.
func (l *link) released(w *wire, a *packet.Ack) error {
	delete(l.held, a.PacketID)
	return w.put(&packet.Ack{Kind: packet.TypePubcomp, PacketID: a.PacketID})
}
