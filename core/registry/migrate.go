package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
)

// room is the form of what is in the store. Version 1 had a record for each place, with the
// message in it:
//
//	q sid place     0 and the delivery, or 1: the client has the QoS 2 message
//
// Version 2 is a store on the way from 1 to 3: the program that wrote 1 refuses it, as
// it would not see what is in blocks already.
var room = store.Format{Room: roomName, Version: 3, Steps: []store.Step{toBlocksBegun, toBlocks}}

const (
	oldPlace    = 'q'
	oldMessage  = 0
	oldReceived = 1
)

// migrateBytes is about how much of the old form one batch replaces.
const migrateBytes = 1 << 20

// toBlocksBegun takes a store from version 1 to 2.
func toBlocksBegun(context.Context, store.Store, *store.Batch) error { return nil }

// toBlocks takes a store from version 2 to 3. Each batch replaces some of the records,
// so that after a crash it goes on with those that are left.
func toBlocks(ctx context.Context, s store.Store, _ *store.Batch) error {
	m := migration{r: store.Prefix([]byte{oldPlace})}
	var fault error
	if err := s.Scan(store.Prefix([]byte{keyBlock}), func(key, _ []byte) bool {
		m.no, _, _ = store.CutUint64(key[1:])
		return true
	}); err != nil {
		return err
	}
	for {
		m.size, m.b = 0, &store.Batch{}
		m.from, m.to = m.from[:0], m.to[:0]
		err := s.Scan(m.r, func(key, value []byte) bool {
			if fault = m.record(key, value); fault != nil {
				fault = fmt.Errorf("key %x: %w: %w", key, store.ErrCorrupt, fault)
			}
			return fault == nil && m.size < migrateBytes
		})
		if err = errors.Join(fault, err); err != nil || m.size == 0 {
			return err
		}
		m.close()
		m.b.DeleteRange(m.from, m.to)
		m.b.Free()
		if err := store.Apply(ctx, s, m.b, store.Async); err != nil {
			return err
		}
		m.r.From = append([]byte(nil), m.to...)
	}
}

// migration is a toBlocks under way.
type migration struct {
	r        store.Range // what is left
	no       uint64      // the last block
	s        stream
	b        *store.Batch
	from, to []byte // what b replaces
	size     int    // of it
}

// record puts a record of the old form into the batch.
func (m *migration) record(key, value []byte) error {
	sid, rest, ok := cutKey(key)
	seq, rest, ok2 := store.CutUint64(rest)
	if !ok || !ok2 || len(rest) > 0 || sid == 0 || seq == 0 || len(value) == 0 {
		return errors.New("not a place")
	}
	if len(m.from) == 0 {
		m.from = append(m.from, key...)
	}
	m.to = append(append(m.to[:0], key...), 0)
	m.size += len(key) + len(value)
	switch {
	case value[0] == oldReceived:
		m.b.Put(appendMark(nil, sid, seq), []byte{markReceived})
		return nil
	case value[0] != oldMessage:
		return fmt.Errorf("a place of kind %d", value[0])
	}
	l, err := session.ReadDelivery(value[1:])
	if err != nil {
		return err
	}
	if m.s.full(l.Msg) {
		m.close()
	}
	if m.s.block == nil {
		m.no++
		m.s.block = &block{no: m.no}
	}
	m.s.add(sid, seq, &l.Delivery, l.QoS)
	return nil
}

func (m *migration) close() {
	if m.s.block != nil {
		m.b.Put(appendBlock(nil, m.s.block.no), m.s.buf)
		m.s.reset()
	}
}
