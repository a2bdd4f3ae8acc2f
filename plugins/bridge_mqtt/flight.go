//go:build !wasip1

package main

import (
	"encoding/binary"
	"sync"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
)

// The phases of a message that was sent.
const (
	phaseDone byte = iota // or there is no record of that number
	phasePuback
	phasePubrec
	phasePubcomp // the other broker has it: what it gets is PUBREL
)

// sent is a record of the queue that was sent.
type sent struct {
	data  []byte // of the record
	phase byte
	noted bool // there is a note that a PUBREC came
	empty bool // there is no record
}

// identifiers are used in turn by the records of the queue, so that a message keeps its
// identifier for as long as it waits, over restarts of the plugin: nothing has to be
// written down to send it again under the same one.
const identifiers = 65535

func identifier(seq uint64) uint16 { return uint16((seq-1)%identifiers) + 1 }

// maxSpan bounds how far the newest message under way is from the oldest.
const maxSpan = 60_000

// flight is what is on its way from a bridge's queue to the other broker. What a
// session there still knows after a crash of the plugin is in the queue's notes: a
// note for each message whose PUBREC has come, before it is answered by PUBREL. So a
// message with QoS 2 is never published again after its PUBREL.
type flight struct {
	room chan struct{} // holds 1: something was done

	mu sync.Mutex
	// Guarded by mu.
	open    []sent              // the records from base on
	base    uint64              // 0: nothing was sent
	waiting int                 // of open with QoS 1 and 2, that are not done
	rel     map[uint64]struct{} // records with a note
	again   uint64              // records up to here may have been sent before

	// Owned by the holder of the link's settling.
	rs    []buffer.Record
	notes [][]byte
}

func newFlight() *flight {
	return &flight{room: make(chan struct{}, 1), rel: map[uint64]struct{}{}}
}

// noteOf is the key of the note that a PUBREC came for a record.
func noteOf(seq uint64) []byte { return binary.BigEndian.AppendUint64([]byte{noteRel}, seq) }

// begin starts a connection: everything in the queue is sent, what has a note as
// PUBREL. first is the number of the queue's first record, again how many from it on
// may have been sent to this session before.
func (f *flight) begin(first uint64, again int, rel map[uint64]struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if again > 0 {
		again = max(again, len(f.open))
	}
	f.again = first + uint64(again) - 1
	f.open, f.base, f.waiting, f.rel = nil, 0, 0, rel
}

// span is how many records are under way.
func (f *flight) span() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// push notes that a record is sent, which comes behind all others, and tells whether
// it is to be a PUBREL.
func (f *flight) push(r buffer.Record, qos byte) (rel, again bool) {
	seq := r.Seq
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.base == 0 {
		f.base = seq
	}
	for f.base+uint64(len(f.open)) < seq {
		f.open = append(f.open, sent{empty: true})
	}
	s := sent{data: r.Data, phase: qos} // the phase is the QoS
	if _, rel = f.rel[seq]; rel {
		s.phase, s.noted = phasePubcomp, true
	}
	if s.phase != phaseDone {
		f.waiting++
	}
	f.open = append(f.open, s)
	return rel, seq <= f.again
}

// after is the number of the last record that was sent.
func (f *flight) after() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(f.base, 1) + uint64(len(f.open)) - 1
}

// free is how many more messages may be sent with a window.
func (f *flight) free(window int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return min(window-f.waiting, maxSpan-len(f.open))
}

// find returns the message of an identifier; nil: there is none. mu is held.
func (f *flight) find(id uint16) (s *sent, seq uint64) {
	if f.base == 0 || id == 0 {
		return nil, 0
	}
	at := (uint64(id) + identifiers - uint64(identifier(f.base))) % identifiers
	if at >= uint64(len(f.open)) {
		return nil, 0
	}
	return &f.open[at], f.base + at
}

// verdict is what an acknowledgement means.
type verdict struct {
	received uint64            // a PUBREC came for this record: note it, then answer
	release  bool              // answer by PUBREL now
	failed   packet.ReasonCode // the other broker has refused the message
}

// taken moves a message on that the other broker has acknowledged.
func (f *flight) taken(a *packet.Ack) (v verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, seq := f.find(a.PacketID)
	if s == nil || s.phase == phaseDone {
		return verdict{release: a.Kind == packet.TypePubrec && !a.Code.Failed()}
	}
	switch want := [...]packet.Type{phasePuback: packet.TypePuback, phasePubrec: packet.TypePubrec, phasePubcomp: packet.TypePubcomp}[s.phase]; {
	case s.phase == phasePubcomp && a.Kind == packet.TypePubrec: // once more
		return verdict{release: true}
	case a.Kind != want:
		return verdict{}
	case s.phase == phasePubcomp: // also if the identifier is not known there any more
		f.finish(s)
	case a.Code.Failed():
		if !retried(a.Code) {
			f.finish(s)
		}
		return verdict{failed: a.Code}
	case s.phase == phasePubrec:
		return verdict{received: seq}
	default:
		f.finish(s)
	}
	return verdict{}
}

// released notes that the notes of records are on the disk; PUBREL is next.
func (f *flight) released(seqs []uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, seq := range seqs {
		f.rel[seq] = struct{}{}
		if at := seq - f.base; f.base != 0 && at < uint64(len(f.open)) && f.open[at].phase == phasePubrec {
			f.open[at].phase, f.open[at].noted = phasePubcomp, true
		}
	}
}

// finish ends a message. mu is held.
func (f *flight) finish(s *sent) {
	s.phase = phaseDone
	f.waiting--
	select {
	case f.room <- struct{}{}:
	default:
	}
}

// settled returns the records at the queue's front that are done, and the keys of
// their notes, valid until the next call.
func (f *flight) settled() (rs []buffer.Record, notes [][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rs, f.notes = f.rs[:0], f.notes[:0]
	n := 0
	for n < len(f.open) && f.open[n].phase == phaseDone {
		s, seq := &f.open[n], f.base+uint64(n)
		if !s.empty {
			f.rs = append(f.rs, buffer.Record{Seq: seq, Data: s.data})
		}
		if s.noted {
			f.notes = append(f.notes, noteOf(seq))
			delete(f.rel, seq)
		}
		n++
	}
	clear(f.open[:n])
	f.base += uint64(n)
	f.open = f.open[n:]
	return f.rs, f.notes
}

// retried tells of a refusal that may not be one the next time: the message stays,
// and the connection is made anew after a pause.
func retried(c packet.ReasonCode) bool {
	return c == packet.QuotaExceeded || c == packet.UnspecifiedError || c == packet.ImplementationSpecificError
}
