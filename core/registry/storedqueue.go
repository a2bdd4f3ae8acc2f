package registry

import (
	"encoding/binary"
	"errors"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
)

// passed is what is known of places beside their blocks.
type passed struct {
	floors map[uint64]uint64 // by the session's number
	marks  map[place]bool
}

type place struct{ sid, seq uint64 }

func (p *passed) has(sid, seq uint64) bool {
	return seq <= p.floors[sid] || p.marks[place{sid, seq}]
}

// messages reads what waits for clients, or is under way to them.
func (s *reading) messages() error {
	if s.to.Message == nil {
		return nil
	}
	p := passed{floors: map[uint64]uint64{}, marks: map[place]bool{}}
	err := s.scan(keyFloor, func(sid uint64, _, value []byte) (bad, stop error) {
		floor, n := binary.Uvarint(value)
		if n <= 0 {
			return errKey, nil
		}
		p.floors[sid] = floor
		return nil, nil
	})
	if err != nil {
		return err
	}
	err = s.scan(keyMark, func(sid uint64, rest, value []byte) (bad, stop error) {
		seq, rest, ok := store.CutUint64(rest)
		if !ok || len(rest) > 0 || len(value) != 1 {
			return errKey, nil
		}
		if value[0] == markReceived && seq > p.floors[sid] {
			stop = s.to.Message(s.clients[sid], session.Loaded{Delivery: message.Delivery{Seq: seq}})
		}
		p.marks[place{sid, seq}] = true
		return nil, stop
	})
	if err != nil {
		return err
	}
	return s.blocks(&p)
}

// blocks reads what is in blocks and not over.
func (s *reading) blocks(known *passed) error {
	var stop error
	var slab message.Slab
	err := s.r.Scan(store.Prefix([]byte{keyBlock}), func(key, value []byte) bool {
		bad := eachPlace(value, func(p *placed) {
			client, wanted := s.clients[p.sid]
			if !wanted || stop != nil || known.has(p.sid, p.seq) {
				return
			}
			stop = s.to.Message(client, p.loaded(&slab))
		})
		if bad != nil {
			s.broken.Add(key, bad)
		}
		return stop == nil
	})
	return errors.Join(stop, err)
}
