package topicstore

import (
	"context"
	"fmt"
	"time"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/store"
)

// keyPrefix is before the topic in the keys of kept messages; no other room has it.
const keyPrefix = "r"

// room is the form of what is on the disk: at 'r' and the topic the message's
// byte form.
var room = store.Format{Room: "retained", Version: 1}

// expireEvery is how often Run looks for what has expired.
const expireEvery = 10 * time.Second

// disk is the way to what survives. Guarded by the store's mu, so that the disk
// sees changes of one topic in the order in which readers see them.
type disk struct {
	j   *journal.Journal // nil: nothing survives
	key []byte           // scratch
	val []byte           // scratch
}

// Open returns the store of what j's disk has, less what has expired at now (Unix
// nanoseconds). What is kept from now on survives when it is put so. Everything
// that the disk has is taken, also when limits have become smaller. The errors
// are those of a room's opening: store.ErrNewer, store.ErrCorrupt, the disk's.
func Open(ctx context.Context, cfg Config, j *journal.Journal, now int64) (*Store, error) {
	if err := j.Room(ctx, room); err != nil {
		return nil, err
	}
	s := New(cfg)
	s.disk.j = j
	tx := j.Begin()
	var bad error
	err := j.Store().Scan(store.Prefix([]byte(keyPrefix)), func(key, value []byte) bool {
		m, err := readKept(key, value)
		if err != nil {
			bad = fmt.Errorf("topicstore: the message of %q: %w", key[len(keyPrefix):], store.ErrCorrupt)
			return false
		}
		if m.Expired(now) {
			tx.Delete(key)
			return ctx.Err() == nil
		}
		m.Retained = true
		at, _ := s.list.find(m.Topic)
		s.list.insert(at, m)
		s.enter(m)
		return ctx.Err() == nil
	})
	tx.Commit()
	if bad != nil {
		err = bad
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("load retained messages: %w", err)
	}
	return s, nil
}

// Run removes what expires until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	t := time.NewTicker(expireEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case at := <-t.C:
			s.Expire(at.UnixNano())
		}
	}
}

// refuses is why nothing may be put as safe as d now; nil if it may.
func (d *disk) refuses(need store.Durability) error {
	if d.j == nil || need == store.Memory {
		return nil
	}
	return d.j.Fault()
}

// put follows the store: m has taken the place of old (nil: none). It is on the
// disk before anything that the caller commits later.
func (d *disk) put(m, old *message.Message, need store.Durability) {
	switch {
	case d.j == nil:
	case need > store.Memory && m.Origin != message.OriginSys:
		tx := d.j.Begin()
		d.key = append(append(d.key[:0], keyPrefix...), m.Topic...)
		d.val = m.AppendForm(d.val[:0])
		tx.Put(need, d.key, d.val)
		tx.Commit()
		if cap(d.val) > scratchMax {
			d.val = nil
		}
	case old != nil:
		d.remove(need, old)
	}
}

// scratchMax bounds what is held on to between two messages.
const scratchMax = 64 << 10

// remove follows the store: the messages are gone.
func (d *disk) remove(need store.Durability, gone ...*message.Message) {
	if d.j == nil {
		return
	}
	var tx *journal.Tx
	for _, m := range gone {
		if m.Origin == message.OriginSys {
			continue // never was there
		}
		if tx == nil {
			tx = d.j.Begin()
			tx.Need(need)
		}
		d.key = append(append(d.key[:0], keyPrefix...), m.Topic...)
		tx.Delete(d.key)
	}
	if tx != nil {
		tx.Commit()
	}
}
