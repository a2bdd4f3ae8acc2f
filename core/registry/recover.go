package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
)

// Recovered counts what came back.
type Recovered struct {
	Sessions, Subscriptions, Messages int
}

// step is how many records are read between two looks at the context and calls
// of progress.
const step = 1 << 14

// Recover makes the sessions that the journal has, with their subscriptions and
// queues; messages stay in the store until they are to be sent. It is called
// once, before the first Claim. A session that had a connection when the node
// ended has lost it now. progress is told now and then how far it is.
//
// The errors are those of the store; store.ErrNewer and store.ErrCorrupt stop the
// start.
func (r *Registry) Recover(ctx context.Context, now int64, progress func(Recovered)) (Recovered, error) {
	v := &recovery{r: r, now: now, ctx: ctx, progress: progress, found: map[uint64]*found{}, stray: map[uint64]bool{}}
	err := r.cfg.Journal.OpenFormat(ctx, room)
	for _, read := range []func() error{v.sessions, v.inbound, v.floors, v.marks, v.messages, v.filters, v.settle} {
		if err != nil {
			return v.done, fmt.Errorf("recover the sessions: %w", err)
		}
		err = read()
	}
	if err != nil {
		return v.done, fmt.Errorf("recover the sessions: %w", err)
	}
	return v.done, nil
}

// recovery is a Recover under way.
type recovery struct {
	r        *Registry
	ctx      context.Context
	now      int64
	progress func(Recovered)
	done     Recovered
	read     int

	found  map[uint64]*found
	at     *found // of the latest key
	atSid  uint64
	stray  map[uint64]bool // sessions without a record: what a crash has left of their end
	maxSid uint64
	dead   []uint64 // blocks without a place that is not over
	fault  error
}

// found is a session that is being put together.
type found struct {
	c *Client
	r record
	session.Recovered
	over []uint64 // places with a mark that they are over, in order
}

// scan calls fn for the keys with a letter.
func (v *recovery) scan(letter byte, fn func(sid uint64, rest, value []byte) error) error {
	err := v.r.cfg.Journal.Store().Scan(store.Prefix([]byte{letter}), func(key, value []byte) bool {
		if v.read++; v.read%step == 0 {
			if v.fault = v.ctx.Err(); v.fault != nil {
				return false
			}
			v.progress(v.done)
		}
		sid, rest, ok := cutKey(key)
		if !ok {
			v.fault = fmt.Errorf("key %x: %w", key, store.ErrCorrupt)
			return false
		}
		if err := fn(sid, rest, value); err != nil {
			v.fault = fmt.Errorf("key %x: %w: %w", key, store.ErrCorrupt, err)
			return false
		}
		return true
	})
	return errors.Join(v.fault, err)
}

// of is the session of a number; nil: it has no record.
func (v *recovery) of(sid uint64) *found {
	if v.at == nil || v.atSid != sid {
		v.at, v.atSid = v.found[sid], sid
		if v.at == nil {
			v.stray[sid] = true
		}
	}
	return v.at
}

func (v *recovery) sessions() error {
	byID := map[string]uint64{}
	return v.scan(keySession, func(sid uint64, _, value []byte) error {
		rec, err := readRecord(value)
		if err != nil {
			return err
		}
		if older, twice := byID[rec.ClientID]; twice { // its end was not written
			delete(v.found, older)
			v.stray[older] = true
			v.done.Sessions--
		}
		byID[rec.ClientID] = sid
		v.maxSid = max(v.maxSid, sid)
		version := packet.V50
		if rec.Facts != nil {
			version = rec.Facts.Protocol
		}
		cfg, _ := v.r.cfg.Zone(rec.Zone, version)
		c := &Client{id: rec.ClientID, reg: v.r, sess: session.New(rec.ClientID, cfg, rec.Created)}
		c.durable = &durable{sid: sid, level: max(rec.Level, store.Async), upgrade: cfg.UpgradeQoS}
		v.found[sid] = &found{c: c, r: rec}
		v.done.Sessions++
		return nil
	})
}

func (v *recovery) inbound() error {
	return v.scan(keyInbound, func(sid uint64, rest, _ []byte) error {
		if s := v.of(sid); s != nil && len(rest) == 2 {
			s.Awaiting = append(s.Awaiting, uint16(rest[0])<<8|uint16(rest[1]))
		}
		return nil
	})
}

func (v *recovery) filters() error {
	v.at = nil
	return v.scan(keyFilter, func(sid uint64, rest, value []byte) error {
		s := v.of(sid)
		if s == nil {
			return nil
		}
		o, err := session.ReadOptions(value)
		if err != nil {
			return err
		}
		filter := string(rest)
		s.c.sess.Subscribe(filter, o)
		share, inner := shareOf(filter)
		v.r.cfg.Router.Subscribe(&router.Subscription{Filter: inner, Share: share, Opts: o, To: s.c})
		v.done.Subscriptions++
		return nil
	})
}

// settle gives the sessions their times and their places in the registry, and
// takes out of the store what belongs to none.
func (v *recovery) settle() error {
	v.r.sids.Store(v.maxSid)
	for _, s := range v.found {
		v.queue(s)
	}
	order := make([]*found, 0, len(v.found))
	for _, s := range v.found {
		order = append(order, s)
	}
	slices.SortFunc(order, func(a, b *found) int { return cmp.Compare(a.c.durable.sid, b.c.durable.sid) })
	for chunk := range slices.Chunk(order, 1024) {
		b := &router.Batch{Now: v.now}
		for _, s := range chunk {
			v.adopt(b, s)
		}
		b.Flush()
	}
	return v.r.cfg.Journal.Apply(v.ctx, store.Async, func(t *journal.Tx) {
		for _, no := range v.dead {
			t.Delete(appendBlock(nil, no))
		}
		for sid := range v.stray {
			t.Delete(appendSession(nil, sid))
			for _, r := range rangesOf(sid) {
				t.DeleteRange(r.From, r.To)
			}
		}
	})
}

// adopt makes the session an offline one. Nobody else knows the registry yet.
func (v *recovery) adopt(b *router.Batch, s *found) {
	c, rec := s.c, &s.r
	off := &offline{info: rec.Facts, left: rec.Left, expiry: rec.Expiry, expiresAt: rec.ExpiresAt, willAt: rec.WillAt}
	if rec.Will != nil && rec.Facts != nil {
		_, zone := v.r.cfg.Zone(rec.Zone, packet.V50)
		off.will = &Will{Client: rec.Facts, Will: rec.Will, Zone: zone}
	}
	c.offline = off
	if rec.Left == 0 { // the node's end was its connection's end
		off.left = v.now
		if rec.Expiry != NeverExpires {
			off.expiresAt = v.now + int64(rec.Expiry)*int64(time.Second)
		}
		off.willAt = v.now + int64(min(rec.Delay, rec.Expiry))*int64(time.Second)
		c.leave(b)
	}
	sh := v.r.shard(c.id)
	sh.clients[c.id] = c
	v.r.total.Add(1)
	v.r.timers.set(c, off.next())
}
