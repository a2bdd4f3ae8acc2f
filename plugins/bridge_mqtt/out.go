//go:build !wasip1

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
)

// The first bytes of the keys of the queue's notes.
const (
	noteRel     = 'r' // and the record's number: its PUBREC has come
	noteSession = 's' // the session that the identifiers belong to
	noteLeft    = 'l' // and a session: identifiers that may be in use there still
	noteEpoch   = 'e' // and a session: what its identifiers are called in this broker
	noteSeen    = 'd' // and the number of a frame, of seen
)

// pumpBatch is how many messages are sent in one go.
const pumpBatch = 512

// resume begins the traffic to the session of the connection. A session that is not
// the one before knows nothing of what was sent: all of it is sent again. What an
// earlier connection to the very session may have left there is released.
func (l *link) resume(w *wire) error {
	f, q := l.flight, l.bridge.queue
	before, here, left := "", l.session(w), []byte(nil)
	rel := map[uint64]struct{}{}
	err := q.Notes(nil, func(key, value []byte) {
		switch {
		case key[0] == noteSession:
			before = string(value)
		case key[0] == noteLeft && string(key[1:]) == here:
			left = value
		case key[0] == noteRel && len(key) == 9:
			rel[binary.BigEndian.Uint64(key[1:])] = struct{}{}
		}
	})
	if err != nil {
		return err
	}
	tx := q.Begin()
	if before != here {
		if before != "" {
			ids, err := l.underWay()
			if err != nil {
				return err
			}
			tx.Note(q, append([]byte{noteLeft}, before...), ids)
		}
		tx.Note(q, []byte{noteSession}, []byte(here))
		tx.Note(q, append([]byte{noteLeft}, here...), nil)
	}
	again := l.bridge.set.MaxInflight
	if before != here || !w.ack.SessionPresent {
		for seq := range rel {
			tx.Note(q, noteOf(seq), nil)
		}
		clear(rel)
		again = 0
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	f.begin(q.First(), again, rel)
	for ; w.ack.SessionPresent && len(left) > 1; left = left[2:] {
		if err := w.put(&packet.Ack{Kind: packet.TypePubrel, PacketID: binary.BigEndian.Uint16(left)}); err != nil {
			return err
		}
	}
	return w.flush()
}

// session names the session of a connection.
func (l *link) session(w *wire) string { return w.to.network + "\x00" + l.id }

// underWay are the identifiers of messages with QoS 2 that may have been sent.
func (l *link) underWay() ([]byte, error) {
	rs, err := l.bridge.queue.Peek(0, max(l.bridge.set.MaxInflight, l.flight.span()), 1<<30)
	ids := make([]byte, 0, 2*len(rs))
	for _, r := range rs {
		if len(r.Data) > 0 && r.Data[0]&3 == 2 {
			ids = binary.BigEndian.AppendUint16(ids, identifier(r.Seq))
		}
	}
	return ids, err
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
		rs, err := l.bridge.queue.Peek(l.flight.after(), min(n, pumpBatch), 4<<20)
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
		now := time.Now()
		for _, r := range rs {
			if err := l.give(w, r, now); err != nil {
				return err
			}
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
}

// give sends one record.
func (l *link) give(w *wire, r buffer.Record, now time.Time) error {
	f, b := l.flight, l.bridge
	m, err := read(r.Data)
	var p *packet.Publish
	switch ok := false; {
	case err != nil:
		sdk.Log(sdk.Error, "bridge "+b.name+": "+err.Error())
		b.count.dropped.Add(1)
	default:
		if p, ok = m.publish(w.version, now); !ok {
			b.count.expired.Add(1)
			p = nil
		} else if !w.fits(p) {
			b.count.dropped.Add(1)
			p = nil
		}
	}
	qos := byte(0)
	if p != nil {
		qos = p.QoS
	}
	rel, again := f.push(r, qos)
	switch {
	case rel:
		return w.put(&packet.Ack{Kind: packet.TypePubrel, PacketID: identifier(r.Seq)})
	case p == nil:
		return nil
	case qos > 0:
		p.PacketID, p.Dup = identifier(r.Seq), again // [MQTT-3.3.1-1]
	}
	b.count.sent.Add(1)
	return w.put(p)
}

// settle removes what is done from the queue.
func (l *link) settle() error {
	l.settling.Lock()
	defer l.settling.Unlock()
	rs, notes := l.flight.settled()
	if err := l.bridge.queue.RemoveNoted(rs, notes); err != nil {
		return fmt.Errorf("the queue: %w", err)
	}
	if l.bridge.full.Load() && l.bridge.fills() {
		l.bridge.told()
	}
	return nil
}

// acked is an acknowledgement of the other broker.
func (l *link) acked(w *wire, a *packet.Ack) error {
	v := l.flight.taken(a)
	switch {
	case retried(v.failed):
		return fmt.Errorf("the other broker took no message: code %#02x", byte(v.failed))
	case v.failed.Failed():
		if l.bridge.count.refused.Add(1)&1023 == 1 {
			sdk.Log(sdk.Warn, fmt.Sprintf("bridge %s: the other broker refuses messages: code %#02x", l.bridge.name, byte(v.failed)))
		}
	case v.release:
		return w.put(&packet.Ack{Kind: packet.TypePubrel, PacketID: a.PacketID})
	case v.received > 0:
		l.received = append(l.received, v.received)
	}
	return nil
}

// release answers the PUBRECs that came together, once it is on the disk that they
// came: a message is never sent again after its PUBREL [MQTT-4.3.3-6].
func (l *link) release(w *wire) error {
	if len(l.received) == 0 {
		return nil
	}
	tx := l.bridge.queue.Begin()
	for _, seq := range l.received {
		tx.Note(l.bridge.queue, noteOf(seq), []byte{1})
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("the queue: %w", err)
	}
	l.flight.released(l.received)
	for _, seq := range l.received {
		if err := w.put(&packet.Ack{Kind: packet.TypePubrel, PacketID: identifier(seq)}); err != nil {
			return err
		}
	}
	l.received = l.received[:0]
	return nil
}
