package session

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/dunlinmq/dunlin/core/message"
)

// formatVersion is the first byte of the byte form. A later version reads all
// earlier ones.
const formatVersion = 1

// Flags of an inflight entry in the byte form.
const (
	formRel byte = 1 << iota
	formAgain
)

// AppendBinary appends the session's byte form: all that outlives a connection,
// but for messages of the queue that are in the journal only.
// The form of equal sessions is equal. The error is always nil.
func (s *Session) AppendBinary(dst []byte) ([]byte, error) {
	dst = append(dst, formatVersion)
	dst = appendString(dst, s.clientID)
	dst = binary.AppendVarint(dst, s.created)
	dst = binary.AppendUvarint(dst, s.dropped)
	dst = s.subs.appendTo(dst)
	dst = s.awaiting.appendTo(dst)
	dst = binary.AppendUvarint(dst, uint64(s.inflight.lastID))
	dst = binary.AppendUvarint(dst, uint64(s.inflight.count))
	s.inflight.each(func(en *entry) {
		dst = binary.AppendUvarint(dst, uint64(en.id))
		var flags byte
		if en.flags&flagAgain != 0 {
			flags |= formAgain
		}
		if en.flags&flagRel != 0 {
			dst = append(dst, en.qos, flags|formRel)
			return
		}
		dst = append(dst, en.qos, flags)
		dst = appendDelivery(dst, &en.msg)
	})
	dst = binary.AppendUvarint(dst, uint64(s.queue.inMemory()))
	s.queue.each(func(m *queued) {
		dst = append(dst, m.qos)
		dst = appendDelivery(dst, &m.msg)
	})
	return dst, nil
}

// UnmarshalBinary replaces the session by the one in data, without connection;
// the configuration stays. It copies what it keeps. Bytes that AppendBinary
// cannot have written give an error and leave the session as it was.
func (s *Session) UnmarshalBinary(data []byte) error {
	r := &reader{b: data}
	if v := r.byte(); r.err == nil && v != formatVersion {
		return fmt.Errorf("session: byte form has version %d, this program reads %d", v, formatVersion)
	}
	t := Session{cfg: s.cfg}
	t.clientID = r.string()
	t.created = r.varint()
	t.awaiting.seed(t.created)
	t.dropped = r.uvarint()
	t.readSubscriptions(r)
	t.readAwaiting(r)
	t.readInflight(r)
	t.readQueue(r)
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	if r.err != nil {
		return fmt.Errorf("session: read byte form: %w", r.err)
	}
	*s = t
	return nil
}

func (s *subscriptions) appendTo(dst []byte) []byte {
	list := slices.Clone(s.few)
	for filter, opts := range s.many {
		list = append(list, subscription{filter, opts})
	}
	slices.SortFunc(list, func(a, b subscription) int {
		if a.filter < b.filter {
			return -1
		}
		return 1 // never equal
	})
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for i := range list {
		dst = appendString(dst, list[i].filter)
		dst = appendOptions(dst, &list[i].opts)
	}
	return dst
}

func (s *Session) readSubscriptions(r *reader) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		filter := r.string()
		opts := r.options()
		if r.err == nil && !s.Subscribe(filter, opts) {
			r.fail("subscription %q is there twice", filter)
		}
	}
}

func (a *awaiting) appendTo(dst []byte) []byte {
	ids := a.ids()
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	for _, id := range ids {
		dst = binary.AppendUvarint(dst, uint64(id))
	}
	return dst
}

func (s *Session) readAwaiting(r *reader) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		id := r.id()
		if r.err == nil && (id == 0 || s.awaiting.find(id) >= 0) {
			r.fail("bad inbound packet identifier %d", id)
		}
		if r.err == nil {
			s.awaiting.insert(waiting{since: s.created, id: id}) // Attach restarts the time
		}
	}
}

func (s *Session) readInflight(r *reader) {
	f := &s.inflight
	f.lastID = r.id()
	for n := r.count(); n > 0 && r.err == nil; n-- {
		id, qos, flags := r.id(), r.byte(), r.byte()
		rel := flags&formRel != 0
		var d message.Delivery
		if !rel {
			d = r.delivery()
		}
		if r.err == nil && (qos < 1 || qos > 2 || flags > formRel|formAgain || (rel && qos != 2)) {
			r.fail("inflight %d has QoS %d, flags %#x", id, qos, flags)
		}
		if r.err != nil {
			return
		}
		en := f.restore(id)
		if en == nil {
			r.fail("bad inflight packet identifier %d", id)
			return
		}
		en.msg, en.qos = d, qos
		if rel {
			en.flags = flagRel
		} else {
			en.flags = flagOwned
		}
		if flags&formAgain != 0 {
			en.flags |= flagAgain
		}
	}
	f.rebuildFree()
}

func (s *Session) readQueue(r *reader) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		m := queued{qos: r.qos(), msg: r.delivery(), owned: true}
		if r.err != nil {
			return
		}
		if s.queue == nil {
			s.queue = newQueue()
		}
		s.queue.push(s.queue.at(s.cfg.priority(m.msg.Msg.Topic)), m)
	}
}
