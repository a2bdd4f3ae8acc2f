//go:build !wasip1

package main

import (
	"fmt"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
)

// flown is a flight whose records are given by their QoS.
type flown struct {
	t *testing.T
	*flight
}

func (f flown) push(seq uint64, qos byte) (rel bool) {
	rel, _ = f.flight.push(buffer.Record{Seq: seq, Data: []byte{qos}}, qos)
	return rel
}

func (f flown) ack(kind packet.Type, seq uint64, code packet.ReasonCode) verdict {
	return f.taken(&packet.Ack{Kind: kind, PacketID: identifier(seq), Code: code})
}

// settled are the numbers of the records that leave, and how many notes do.
func (f flown) settled() string {
	rs, notes := f.flight.settled()
	var seqs []uint64
	for _, r := range rs {
		seqs = append(seqs, r.Seq)
	}
	return fmt.Sprint(seqs, len(notes))
}

func (f flown) want(what, got, want string) {
	f.t.Helper()
	if got != want {
		f.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// Messages leave the queue in its order, whatever the order of the acknowledgements.
func TestFlight(t *testing.T) {
	f := flown{t, newFlight()}
	f.begin(7, 0, map[uint64]struct{}{})
	for i, qos := range []byte{1, 2, 0, 1} {
		f.push(uint64(7+i), qos)
	}
	if f.free(5) != 2 || f.after() != 10 {
		t.Errorf("%d are free, the last is %d", f.free(5), f.after())
	}
	f.ack(packet.TypePuback, 10, 0)
	f.want("before the first", f.settled(), "[] 0")
	f.ack(packet.TypePubcomp, 8, 0) // before its PUBREC: nothing
	if v := f.ack(packet.TypePubrec, 8, 0); v.received != 8 || v.release {
		t.Errorf("a PUBREC: %+v", v)
	}
	f.ack(packet.TypePubcomp, 8, 0) // before its PUBREL
	f.released([]uint64{8})
	if v := f.ack(packet.TypePubrec, 8, 0); v.received != 0 || !v.release {
		t.Errorf("a PUBREC once more: %+v", v)
	}
	if v := f.ack(packet.TypePuback, 7, packet.NotAuthorized); v.failed != packet.NotAuthorized {
		t.Errorf("a refusal: %+v", v)
	}
	f.want("the first", f.settled(), "[7] 0")
	f.ack(packet.TypePubcomp, 8, packet.PacketIdentifierNotFound)
	f.want("all", f.settled(), "[8 9 10] 1")
	if f.free(5) != 5 || f.span() != 0 || f.after() != 10 {
		t.Errorf("%d are free, %d under way, the last is %d", f.free(5), f.span(), f.after())
	}
	f.push(11, 1)
	if v := f.ack(packet.TypePuback, 11, packet.QuotaExceeded); !retried(v.failed) || f.free(5) != 4 {
		t.Errorf("a refusal for now ends the message: %+v", v)
	}
	if v := f.ack(packet.TypePubrec, 4711, 0); !v.release {
		t.Error("an unknown PUBREC is not answered")
	}
	f.push(14, 1) // 12 and 13 were never written
	f.ack(packet.TypePuback, 11, 0)
	f.ack(packet.TypePuback, 14, 0)
	f.want("over a gap", f.settled(), "[11 14] 0")
}

// A new connection to the same session sends what is open again, what has a note as
// PUBREL under the identifier that it had; to another session all is new.
func TestFlightResumes(t *testing.T) {
	f := flown{t, newFlight()}
	f.begin(1, 0, map[uint64]struct{}{})
	for seq := uint64(1); seq <= 3; seq++ {
		f.push(seq, 2)
	}
	f.released([]uint64{2})
	f.begin(1, 2, map[uint64]struct{}{2: {}})
	for seq := uint64(1); seq <= 4; seq++ {
		rel, again := f.flight.push(buffer.Record{Seq: seq, Data: []byte{2}}, 2)
		if rel != (seq == 2) || again != (seq <= 3) {
			t.Errorf("record %d: PUBREL %v, again %v", seq, rel, again)
		}
	}
	f.ack(packet.TypePubcomp, 2, 0)
	f.ack(packet.TypePubrec, 1, packet.NotAuthorized)
	f.want("settled", f.settled(), "[1 2] 1")
	f.begin(3, 0, map[uint64]struct{}{})
	if rel, again := f.flight.push(buffer.Record{Seq: 3}, 2); rel || again {
		t.Error("another session knows the message")
	}
}

// An identifier names one message at a time, and the same message always.
func TestIdentifiers(t *testing.T) {
	f := flown{t, newFlight()}
	const first = 3*identifiers - 10
	f.begin(first, 0, map[uint64]struct{}{})
	used := map[uint16]uint64{}
	for seq := uint64(first); f.free(1<<20) > 0; seq++ {
		f.push(seq, 1)
		if id := identifier(seq); id == 0 || used[id] != 0 {
			t.Fatalf("record %d has the identifier %d of %d", seq, id, used[id])
		}
		used[identifier(seq)] = seq
	}
	if len(used) != maxSpan {
		t.Errorf("%d under way", len(used))
	}
	for id, seq := range used {
		if s, got := f.find(id); s == nil || got != seq {
			t.Fatalf("identifier %d is %d, want %d", id, got, seq)
		}
	}
	if s, _ := f.find(0); s != nil {
		t.Error("identifier 0 is a message")
	}
}
