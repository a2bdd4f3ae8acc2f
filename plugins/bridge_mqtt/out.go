//go:build !wasip1

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
)

// sent is a message that was sent and is not done.
type sent struct {
	rec   buffer.Record
	id    uint16 // 0: QoS 0
	qos   byte
	rel   bool // QoS 2: the other broker has it
	done  bool
	again *packet.Publish // to be sent again
}

// flight is what is on its way from a bridge's queue to the other broker. It
// outlives connections as long as the session there does.
type flight struct {
	room chan struct{} // holds 1: something was done

	mu sync.Mutex
	// Guarded by mu.
	open  []*sent // in the order of the queue
	ids   map[uint16]*sent
	last  uint16
	after uint64 // the last record that was sent
}

func newFlight() *flight {
	return &flight{room: make(chan struct{}, 1), ids: map[uint16]*sent{}}
}

// forget begins anew with the queue's first record: there is no session any more.
func (f *flight) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open, f.after = nil, 0
	clear(f.ids)
}

// number gives a message the next free identifier. mu is held.
func (f *flight) number(s *sent) {
	for {
		f.last++
		if f.last != 0 && f.ids[f.last] == nil {
			s.id = f.last
			f.ids[s.id] = s
			return
		}
	}
}

// free is how many more messages may be sent with a window.
func (f *flight) free(window int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return window - len(f.ids)
}

// taken moves a message on that the other broker has acknowledged. The packet is what
// to answer, if anything.
func (f *flight) taken(a *packet.Ack) (answer *packet.Ack, failed packet.ReasonCode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.ids[a.PacketID]
	switch {
	case s == nil && a.Kind == packet.TypePubrec:
		return &packet.Ack{Kind: packet.TypePubrel, PacketID: a.PacketID}, 0
	case s == nil:
		return nil, 0
	case a.Code.Failed():
		failed = a.Code
	case a.Kind == packet.TypePubrec && s.qos == 2:
		s.rel, s.again = true, nil
		return &packet.Ack{Kind: packet.TypePubrel, PacketID: s.id}, 0
	case a.Kind == packet.TypePuback && s.qos != 1, a.Kind == packet.TypePubcomp && !s.rel, a.Kind == packet.TypePubrec:
		return nil, 0
	}
	if !retried(failed) {
		f.finish(s)
	}
	return nil, failed
}

// finish ends a message. mu is held.
func (f *flight) finish(s *sent) {
	s.done, s.again = true, nil
	delete(f.ids, s.id)
	select {
	case f.room <- struct{}{}:
	default:
	}
}

// settled returns the records at the queue's front that are done.
func (f *flight) settled() []buffer.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := slices.IndexFunc(f.open, func(s *sent) bool { return !s.done })
	if n < 0 {
		n = len(f.open)
	}
	if n == 0 {
		return nil
	}
	rs := make([]buffer.Record, n)
	for i, s := range f.open[:n] {
		rs[i] = s.rec
	}
	f.open = append([]*sent(nil), f.open[n:]...)
	return rs
}

// retried tells of a refusal that may not be one the next time: the message stays,
// and the connection is made anew after a pause.
func retried(c packet.ReasonCode) bool {
	return c == packet.QuotaExceeded || c == packet.UnspecifiedError || c == packet.ImplementationSpecificError
}

// resend sends again what an earlier connection left open [MQTT-4.4.0-1].
func (l *link) resend(w *wire) error {
	f := l.flight
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.open {
		var err error
		switch {
		case s.rel && !s.done:
			err = w.put(&packet.Ack{Kind: packet.TypePubrel, PacketID: s.id})
		case s.again != nil:
			s.again.Dup = true
			err = w.put(s.again)
		}
		if err != nil {
			return err
		}
	}
	return w.flush()
}

// pump sends what is in the queue until ctx ends.
func (l *link) pump(ctx context.Context, w *wire) error {
	window := w.window(l.bridge.set.MaxInflight)
	for {
		if err := l.settle(); err != nil {
			return err
		}
		n := l.flight.free(window)
		if n <= 0 {
			select {
			case <-l.flight.room:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		l.flight.mu.Lock()
		after := l.flight.after
		l.flight.mu.Unlock()
		rs, err := l.bridge.queue.Peek(after, min(n, 512), 4<<20)
		if err != nil {
			return err
		}
		if len(rs) == 0 {
			select {
			case <-l.bridge.queue.Ready():
				continue
			case <-ctx.Done():
				return nil
			}
		}
		for _, r := range rs {
			if err := l.give(w, r); err != nil {
				return err
			}
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
}

// give sends one record.
func (l *link) give(w *wire, r buffer.Record) error {
	f, b := l.flight, l.bridge
	s := &sent{rec: r, done: true}
	m, err := read(r.Data)
	var p *packet.Publish
	switch ok := false; {
	case err != nil:
		sdk.Log(sdk.Error, "bridge "+b.name+": "+err.Error())
		b.count.dropped.Add(1)
	default:
		if p, ok = m.publish(w.version, time.Now()); !ok {
			b.count.expired.Add(1)
			p = nil
		} else if !w.fits(p) {
			b.count.dropped.Add(1)
			p = nil
		}
	}
	f.mu.Lock()
	if p != nil && p.QoS > 0 {
		s.qos, s.done, s.again = p.QoS, false, p
		f.number(s)
		p.PacketID = s.id
	}
	f.open, f.after = append(f.open, s), r.Seq
	f.mu.Unlock()
	if p == nil {
		return nil
	}
	b.count.sent.Add(1)
	return w.put(p)
}

// settle removes what is done from the queue.
func (l *link) settle() error {
	l.settling.Lock()
	defer l.settling.Unlock()
	rs := l.flight.settled()
	if len(rs) == 0 {
		return nil
	}
	if err := l.bridge.queue.Remove(rs); err != nil {
		return fmt.Errorf("the queue: %w", err)
	}
	return nil
}

// acked is an acknowledgement of the other broker.
func (l *link) acked(w *wire, a *packet.Ack) error {
	answer, failed := l.flight.taken(a)
	switch {
	case retried(failed):
		return fmt.Errorf("the other broker took no message: code %#02x", byte(failed))
	case failed.Failed():
		if l.bridge.count.refused.Add(1)&1023 == 1 {
			sdk.Log(sdk.Warn, fmt.Sprintf("bridge %s: the other broker refuses messages: code %#02x", l.bridge.name, byte(failed)))
		}
	case answer != nil:
		return w.put(answer)
	}
	return nil
}
