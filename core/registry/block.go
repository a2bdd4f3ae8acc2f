package registry

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
)

// A block is the messages of one transaction, each once, and after each the places
// that it has got: message, place, place, message, place ... What is like in the one
// before is left out, so that a place is often a byte.
//
// A place is 0x80 and flags, then session and number of the place unless refNext, then
// the terms of the delivery unless refSame.
const (
	refTag  byte = 0x80
	refNext byte = 1 // the session of the last place, and the number after its
	refSame byte = 2 // terms as those of the last place
)

// blockBytes is how long a block is at least before the next message goes to another.
// A block is on the disk as long as one of its places is not over, and is read whole.
const blockBytes = 4 << 10

// block is a block in the store, or on its way there.
type block struct {
	no   uint64       // its key
	live atomic.Int64 // places that are not over, and one while it is on its way
}

// over takes n places out, and the block with the last of them.
func (k *block) over(t *journal.Tx, n int64) (gone bool) {
	if k.live.Add(-n) != 0 {
		return false
	}
	t.Delete(appendBlock(nil, k.no))
	return true
}

// stream makes blocks. It is owned by who fills the transaction.
type stream struct {
	block *block // nil: none is open
	buf   []byte
	pack  message.Packer
	last  *message.Message // the last one in buf
	sid   uint64           // of the last place
	seq   uint64
	terms []byte // of the last place
	next  []byte // those of the one to be added
}

// full tells whether m goes to another block than the open one.
func (s *stream) full(m *message.Message) bool {
	return s.block != nil && s.last != m && len(s.buf) >= blockBytes
}

// add appends a place of m.
func (s *stream) add(sid, seq uint64, m *message.Delivery, qos byte) {
	if s.last != m.Msg {
		s.buf = s.pack.Append(s.buf, m.Msg)
		s.last = m.Msg
	}
	at := len(s.buf)
	flags := refTag
	s.buf = append(s.buf, 0)
	if sid == s.sid && seq == s.seq+1 {
		flags |= refNext
	} else {
		s.buf = binary.AppendUvarint(s.buf, sid)
		s.buf = binary.AppendUvarint(s.buf, seq)
	}
	s.sid, s.seq = sid, seq
	if s.next = session.AppendTerms(s.next[:0], m, qos); bytes.Equal(s.next, s.terms) {
		flags |= refSame
	} else {
		s.buf = append(s.buf, s.next...)
		s.terms, s.next = s.next, s.terms
	}
	s.buf[at] = flags
}

// bufKept is the memory that a stream keeps for its next block.
const bufKept = 64 << 10

// reset forgets the open block.
func (s *stream) reset() {
	if cap(s.buf) > bufKept {
		s.buf = nil
	}
	s.block, s.last, s.sid, s.seq = nil, nil, 0, 0
	s.buf, s.terms = s.buf[:0], s.terms[:0]
	s.pack.Reset()
}

// placed is a place as it is found in a block. It is good until the next.
type placed struct {
	sid, seq uint64
	terms    session.Loaded // all but the message and the place
	msg      *message.Unpacker
}

// loaded is the message of the place, made by a slab.
func (p *placed) loaded(s *message.Slab) session.Loaded {
	l := p.terms
	l.Seq, l.Msg = p.seq, p.msg.Message(s)
	return l
}

var errBlock = errors.New("not a block of messages")

// eachPlace calls fn for the places of a block, in their order.
func eachPlace(b []byte, fn func(*placed)) error {
	p := placed{msg: new(message.Unpacker)}
	any, known := false, false
	for len(b) > 0 {
		if b[0] < refTag {
			rest, err := p.msg.Next(b)
			if err != nil {
				return fmt.Errorf("%w: %w", errBlock, err)
			}
			b, any = rest, true
			continue
		}
		flags := b[0] &^ refTag
		if b = b[1:]; !any || flags > refNext|refSame {
			return fmt.Errorf("%w: a place has flags %#x", errBlock, flags)
		}
		p.seq++
		if flags&refNext == 0 {
			var n1, n2 int
			if p.sid, n1 = binary.Uvarint(b); n1 > 0 {
				p.seq, n2 = binary.Uvarint(b[n1:])
			}
			if n1 <= 0 || n2 <= 0 {
				return fmt.Errorf("%w: a place ends too early", errBlock)
			}
			b = b[n1+n2:]
		}
		if flags&refSame == 0 {
			terms, rest, err := session.CutTerms(b)
			if err != nil {
				return fmt.Errorf("%w: %w", errBlock, err)
			}
			p.terms, b, known = terms, rest, true
		}
		if p.sid == 0 || p.seq == 0 || !known {
			return fmt.Errorf("%w: place %d of session %d", errBlock, p.seq, p.sid)
		}
		fn(&p)
	}
	return nil
}

// part is the blocks of one transaction: those with places of clients that are here,
// which will be over soon, and those of clients that are away are not the same.
type part struct {
	reg   *Registry
	here  stream
	away  stream
	given []*block
}

// part is t's.
func (r *Registry) part(t *journal.Tx) *part {
	if p, ok := t.Part().(*part); ok {
		return p
	}
	p := r.parts.Get().(*part)
	p.reg = r
	t.Join(p)
	return p
}

// add gives a delivery its place in a block.
func (p *part) add(t *journal.Tx, d *durable, m *message.Delivery, away bool) *block {
	s := &p.here
	if away {
		s = &p.away
	}
	if s.full(m.Msg) {
		p.close(t, s)
	}
	if s.block == nil {
		s.block = &block{no: p.reg.blocks.Add(1)}
		s.block.live.Store(1)
		p.given = append(p.given, s.block)
	}
	s.add(d.sid, m.Seq, m, d.qos(m))
	t.Owe(d.level)
	return s.block
}

func (p *part) close(t *journal.Tx, s *stream) {
	if s.block != nil {
		t.Put(store.Memory, appendBlock(nil, s.block.no), s.buf)
		s.reset()
	}
}

// Fill implements journal.Part.
func (p *part) Fill(t *journal.Tx) {
	p.close(t, &p.here)
	p.close(t, &p.away)
}

// Given implements journal.Part: from here on who takes out the last place may delete
// the block. Those whose places were all dropped meanwhile are deleted here.
func (p *part) Given() {
	r := p.reg
	var t *journal.Tx
	for i, k := range p.given {
		p.given[i] = nil
		if k.live.Add(-1) > 0 {
			continue
		}
		if t == nil {
			t = r.cfg.Journal.Begin()
		}
		t.Delete(appendBlock(nil, k.no))
	}
	p.given = p.given[:0]
	r.parts.Put(p)
	if t != nil {
		t.Commit()
	}
}

// run is places that follow each other and are in one block.
type run struct {
	last  uint64
	n     uint32 // places
	live  uint32 // of which are not over
	block *block
}

// runOf is the run with a place; negative: none.
func runOf(runs []run, seq uint64) int {
	i, _ := slices.BinarySearchFunc(runs, seq, func(r run, seq uint64) int {
		if r.last < seq {
			return -1
		}
		return 1
	})
	if i == len(runs) || seq+uint64(runs[i].n) <= runs[i].last {
		return -1
	}
	return i
}
