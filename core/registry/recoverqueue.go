package registry

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
)

func (v *recovery) floors() error {
	v.at = nil
	return v.scan(keyFloor, func(sid uint64, _, value []byte) error {
		floor, n := binary.Uvarint(value)
		if n <= 0 {
			return errors.New("not a floor")
		}
		if s := v.of(sid); s != nil {
			s.c.durable.backlog.floor, s.c.durable.seq = floor, floor
		}
		return nil
	})
}

func (v *recovery) marks() error {
	v.at = nil
	return v.scan(keyMark, func(sid uint64, rest, value []byte) error {
		s := v.of(sid)
		seq, rest, ok := store.CutUint64(rest)
		if !ok || len(rest) > 0 || len(value) != 1 || value[0] != markReceived && value[0] != markOver {
			return errors.New("not a mark")
		}
		if s == nil {
			return nil
		}
		l := &s.c.durable.backlog
		l.marks = append(l.marks, seq)
		s.c.durable.seq = max(s.c.durable.seq, seq)
		switch {
		case seq <= l.floor:
		case value[0] == markReceived:
			s.Received = append(s.Received, seq)
			v.done.Messages++
		default:
			s.over = append(s.over, seq)
		}
		return nil
	})
}

// messages finds the places of all sessions, in the order of their coming, and the
// blocks that no session needs any more.
func (v *recovery) messages() error {
	v.at = nil
	var k *block
	place := func(p *placed) {
		v.maxSid = max(v.maxSid, p.sid) // its number is not to be given to another as long as the block is there
		s := v.at
		if s == nil || v.atSid != p.sid {
			if s = v.found[p.sid]; s == nil {
				return
			}
			v.at, v.atSid = s, p.sid
		}
		v.place(s, k, p)
	}
	return v.scan(keyBlock, func(no uint64, rest, value []byte) error {
		k = &block{no: no}
		v.r.blocks.Store(no)
		if len(rest) > 0 {
			return errBlock
		}
		err := eachPlace(value, place)
		if k.live.Load() == 0 && err == nil {
			v.dead = append(v.dead, no)
		}
		return err
	})
}

// place gives a session a place of it.
func (v *recovery) place(s *found, k *block, p *placed) {
	d := s.c.durable
	d.seq = max(d.seq, p.seq)
	if p.seq <= d.backlog.floor {
		return
	}
	if _, over := slices.BinarySearch(s.over, p.seq); over {
		return
	}
	d.backlog.placed(p.seq, k)
	if _, received := slices.BinarySearch(s.Received, p.seq); received {
		return
	}
	kept := session.Kept{Seq: p.seq, Size: p.msg.Size()}
	if len(s.c.sess.Config().Priorities) > 0 {
		kept.Topic = string(p.msg.Topic())
	}
	s.Kept = append(s.Kept, kept)
	v.done.Messages++
}

// queue gives the session what waits for it, when all of it is there.
func (v *recovery) queue(s *found) {
	l := &s.c.durable.backlog
	inOrder := func(a, b run) int { return cmp.Compare(a.last, b.last) }
	if !slices.IsSortedFunc(l.runs, inOrder) {
		// Transactions of several event loops were not written in the order of the places.
		slices.SortFunc(l.runs, inOrder)
		slices.SortFunc(s.Kept, func(a, b session.Kept) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	l.recover(s.Kept, s.Received, s.c.durable.seq)
	if len(s.Kept) > 0 || len(s.Received) > 0 || len(s.Awaiting) > 0 {
		s.c.sess.Recover(s.Recovered, v.now)
	}
	s.Recovered, s.over = session.Recovered{}, nil
}

// recover finds floor and gaps from what is not over; all are in order. The runs are
// there.
func (l *backlog) recover(kept []session.Kept, received []uint64, last uint64) {
	at := uint64(0) // up to it everything is known
	l.ahead = nil
	first := true
	step := func(seq uint64) {
		switch {
		case first:
			l.floor, first = seq-1, false
		case seq > at+1:
			l.ahead = append(l.ahead, span{at + 1, seq - 1})
		}
		at = seq
	}
	for len(kept) > 0 || len(received) > 0 {
		if len(received) == 0 || len(kept) > 0 && kept[0].Seq < received[0] {
			step(kept[0].Seq)
			kept = kept[1:]
		} else {
			step(received[0])
			received = received[1:]
		}
	}
	switch {
	case first:
		l.floor = last
	case last > at:
		l.ahead = append(l.ahead, span{at + 1, last})
	}
}
