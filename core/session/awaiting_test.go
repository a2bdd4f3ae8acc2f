package session

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestAwaitingModel compares the table of inbound QoS 2 identifiers with a map,
// with identifiers that collide.
func TestAwaitingModel(t *testing.T) {
	for _, stride := range []int{1, 64, 4096} {
		rng := rand.New(rand.NewPCG(uint64(stride), 8))
		s := New("c", &Config{AwaitRelTimeout: time.Second}, epoch)
		var e Effects
		s.Attach(epoch, 0, false, &e)
		now := epoch
		model := map[uint16]int64{}
		for step := range 100_000 {
			now += int64(rng.IntN(4)) * int64(time.Millisecond)
			id := uint16(1 + rng.IntN(600)*stride)
			if id == 0 {
				continue
			}
			_, known := model[id]
			switch rng.IntN(5) {
			case 0, 1:
				if got := s.Receive(id, now); (got == ReceiveDuplicate) != known || got == ReceiveFull {
					t.Fatalf("step %d: Receive(%d) = %d, known %v", step, id, got, known)
				}
				if !known {
					model[id] = now
				}
			case 2, 3:
				if got := s.Release(id); got != known {
					t.Fatalf("step %d: Release(%d) = %v", step, id, got)
				}
				delete(model, id)
			default:
				s.Tick(now, &e)
				for id, since := range model {
					if since <= now-int64(time.Second) {
						delete(model, id)
					}
				}
			}
			if s.Info().AwaitingRel != len(model) {
				t.Fatalf("step %d: %d wait, want %d", step, s.Info().AwaitingRel, len(model))
			}
			if at := s.NextTick(); (at == 0) != (len(model) == 0) {
				t.Fatalf("step %d: next tick %d with %d waiting", step, at, len(model))
			}
		}
	}
}

// TestAwaitingAll: all 65,535 identifiers may wait when there is no limit.
func TestAwaitingAll(t *testing.T) {
	s := New("c", &Config{}, epoch)
	for round, want := range []ReceiveResult{ReceiveNew, ReceiveDuplicate} {
		for id := 1; id <= maxPacketID; id++ {
			if got := s.Receive(uint16(id), epoch); got != want {
				t.Fatalf("round %d: Receive(%d) = %d", round, id, got)
			}
		}
	}
	for id := 1; id <= maxPacketID; id++ {
		if !s.Release(uint16(id)) || s.Release(uint16(id)) {
			t.Fatalf("Release(%d)", id)
		}
	}
	s.Detach()
	if s.awaiting.table != nil {
		t.Fatal("the table is kept")
	}
}

// TestAwaitingTickExact: an identifier is forgotten at its time, not before, and
// never when the timeout is 0.
func TestAwaitingTickExact(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Minute} {
		s := New("c", &Config{AwaitRelTimeout: timeout}, epoch)
		var e Effects
		s.Attach(epoch, 0, false, &e)
		s.Receive(1, epoch)
		s.Tick(epoch+int64(time.Minute)-1, &e)
		if !s.Release(1) {
			t.Fatalf("timeout %v: forgotten too early", timeout)
		}
		s.Receive(1, epoch)
		s.Tick(epoch+int64(time.Minute), &e)
		if forgotten := s.Receive(1, epoch) == ReceiveNew; forgotten != (timeout > 0) {
			t.Fatalf("timeout %v: forgotten %v", timeout, forgotten)
		}
	}
}
