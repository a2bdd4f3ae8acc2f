package session

import (
	"math/rand/v2"
	"testing"

	"github.com/dunlinmq/dunlin/core/message"
)

// TestPacketIDs: never 0, never one that is in use [MQTT-2.2.1-4], also after the 16 bits have wrapped, for windows of all sizes
// and acknowledgements in any order.
func TestPacketIDs(t *testing.T) {
	for _, window := range []int{1, 2, 3, 4, 5, 31, 32, 33, 1000, 65534, 65535} {
		rng := rand.New(rand.NewPCG(uint64(window), 1))
		var f inflight
		used := map[uint16]bool{}
		var ids []uint16
		wrapped := 0
		last := uint16(0)
		for range 200_000 {
			if len(ids) == window || (len(ids) > 0 && rng.IntN(3) == 0) {
				k := 0 // mostly the oldest, as a client does
				if rng.IntN(4) == 0 {
					k = rng.IntN(len(ids))
				}
				id := ids[k]
				ids[k] = ids[len(ids)-1]
				ids = ids[:len(ids)-1]
				delete(used, id)
				i := f.find(id)
				if i < 0 {
					t.Fatalf("window %d: %d is lost", window, id)
				}
				f.remove(i)
				if f.find(id) >= 0 {
					t.Fatalf("window %d: %d is still there", window, id)
				}
				continue
			}
			en := f.add()
			if en.id == 0 || used[en.id] {
				t.Fatalf("window %d: identifier %d, in use: %v", window, en.id, used[en.id])
			}
			if en.id < last {
				wrapped++
			}
			last = en.id
			used[en.id] = true
			ids = append(ids, en.id)
		}
		if f.count != len(ids) {
			t.Fatalf("window %d: count %d, want %d", window, f.count, len(ids))
		}
		if wrapped == 0 {
			t.Errorf("window %d: the identifiers did not wrap", window)
		}
	}
}

// TestPacketIDsAreNotUsedAgainSoon: in steady state identifiers go up by one until
// they wrap, and a freed one comes again only after nearly all others, so that a late
// acknowledgement does not meet a new message.
func TestPacketIDsAreNotUsedAgainSoon(t *testing.T) {
	for _, window := range []int{1, 3, 32, 100} {
		var f inflight
		lastUse := make([]int, maxPacketID+1)
		ups := 0
		previous := uint16(0)
		const n = 300_000
		for use := 1; use <= n; use++ {
			if f.count == window {
				f.remove(int(f.head))
			}
			id := f.add().id
			if lastUse[id] > 0 && use-lastUse[id] < maxPacketID-2*128 {
				t.Fatalf("window %d: identifier %d comes again after %d others", window, id, use-lastUse[id])
			}
			if use <= maxPacketID && id == previous+1 {
				ups++
			}
			previous, lastUse[id] = id, use
		}
		if ups < maxPacketID-100 {
			t.Errorf("window %d: only %d identifiers went up by one", window, ups)
		}
	}
}

// TestAllPacketIDs: 65,535 messages can be inflight; the next one waits for an
// identifier.
func TestAllPacketIDs(t *testing.T) {
	s := New("c", &Config{}, epoch)
	var e Effects
	s.Attach(epoch, 0, false, &e)
	msg := &message.Message{Topic: "t", QoS: 1}
	d := message.Delivery{Msg: msg, Opts: message.SubOptions{QoS: 1}}
	for range maxPacketID + 2 {
		s.Deliver(epoch, d, &e)
	}
	if len(e.Send) != maxPacketID || s.Info().Queue != 2 {
		t.Fatalf("sent %d, queued %d", len(e.Send), s.Info().Queue)
	}
	seen := make([]bool, maxPacketID+1)
	for i := range e.Send {
		id := e.Send[i].PacketID
		if id == 0 || seen[id] {
			t.Fatalf("identifier %d twice or 0", id)
		}
		seen[id] = true
	}
	e.Reset()
	if !s.Puback(epoch, 777, &e) || len(e.Send) != 1 || e.Send[0].PacketID != 777 {
		t.Fatalf("the only free identifier is 777: %+v", e.Send)
	}
	if err := checkInvariants(s); err != nil {
		t.Fatal(err)
	}
}

// TestInflightOrder compares the order with a plain list under random use.
func TestInflightOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var f inflight
	var list []uint16
	for step := range 50_000 {
		if len(list) < 40 && rng.IntN(2) == 0 {
			list = append(list, f.add().id)
		} else if len(list) > 0 {
			k := rng.IntN(len(list))
			f.remove(f.find(list[k]))
			list = append(list[:k], list[k+1:]...)
		}
		k := 0
		f.each(func(en *entry) {
			if k >= len(list) || en.id != list[k] {
				t.Fatalf("step %d: place %d has %d", step, k, en.id)
			}
			k++
		})
		if k != len(list) {
			t.Fatalf("step %d: %d entries, want %d", step, k, len(list))
		}
	}
}

// TestInflightGivesMemoryBack: an absent client that owes nothing costs no window.
func TestInflightGivesMemoryBack(t *testing.T) {
	s := New("c", &Config{}, epoch)
	var e Effects
	s.Attach(epoch, 0, false, &e)
	d := message.Delivery{Msg: &message.Message{Topic: "t", QoS: 1}, Opts: message.SubOptions{QoS: 1}}
	for range 100 {
		s.Deliver(epoch, d, &e)
	}
	for i := range 100 {
		s.Puback(epoch, uint16(i+1), &e)
	}
	s.Detach()
	if s.inflight.slots != nil {
		t.Fatal("slots kept")
	}
	e.Reset()
	s.Attach(epoch, 0, false, &e)
	s.Deliver(epoch, d, &e)
	if id := e.Send[0].PacketID; id != 101 {
		t.Fatalf("identifier %d, want 101: a late packet must not meet a new message", id)
	}
}

// TestNamedInflightOrder is TestInflightOrder for identifiers that come from places in the journal: freed slots are used again
// without the free list, which must not write into them.
func TestNamedInflightOrder(t *testing.T) {
	for _, window := range []int{1, 3, 4, 32, 40} {
		rng := rand.New(rand.NewPCG(5, uint64(window)))
		var f inflight
		var list []uint16
		seq := uint64(0)
		for step := range 50_000 {
			switch id := packetID(seq + 1); {
			case len(list) < window && rng.IntN(2) == 0 && f.find(id) < 0:
				seq++
				list = append(list, f.addAs(id).id)
			case len(list) < window && rng.IntN(200) == 0: // one without a place
				list = append(list, f.add().id)
			case len(list) > 0:
				k := rng.IntN(min(len(list), 3)) // mostly the oldest, as a client does: slots come round soon
				f.remove(f.find(list[k]))
				list = append(list[:k], list[k+1:]...)
			}
			k := 0
			f.each(func(en *entry) {
				if k >= len(list) || en.id != list[k] {
					t.Fatalf("window %d, step %d: place %d has %d", window, step, k, en.id)
				}
				k++
			})
			if k != len(list) {
				t.Fatalf("window %d, step %d: %d entries, want %d", window, step, k, len(list))
			}
		}
	}
}
