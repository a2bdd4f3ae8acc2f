package topicstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/core/store/pebble"
)

// backends open an empty store and open it again.
var backends = map[string]func(t *testing.T) (st store.Store, again func() store.Store){
	"mem": func(*testing.T) (store.Store, func() store.Store) {
		st := mem.New()
		return st, func() store.Store { return st }
	},
	"pebble": func(t *testing.T) (store.Store, func() store.Store) {
		cfg := pebble.Config{Dir: t.TempDir()}
		open := func() store.Store {
			st, err := pebble.Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := st.Close(); err != nil {
					t.Error(err)
				}
			})
			return st
		}
		st := open()
		return st, func() store.Store {
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			return open()
		}
	},
}

func mustOpen(t testing.TB, j *journal.Journal, now int64) *Store {
	t.Helper()
	s, err := Open(context.Background(), Config{}, j, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// contents is every message, with what of it a subscriber can see.
func contents(s *Store) (list []string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, c := range s.list.chunks {
		for _, it := range c {
			m := it.m
			list = append(list, fmt.Sprintf("%s=%s %x QoS %d until %d from %q retained %v", m.Topic, m.Payload, []byte(m.Props), m.QoS, m.Expiry, m.From, m.Retained))
		}
	}
	return list
}

// TestWhatIsKeptSurvives compares random changes with what another start finds.
func TestWhatIsKeptSurvives(t *testing.T) {
	for name, open := range backends {
		t.Run(name, func(t *testing.T) {
			st, again := open(t)
			s := mustOpen(t, journal.New(st), 0)
			rng := rand.New(rand.NewPCG(1, 6))
			for range 3000 {
				m := msg(randomTopic(rng, nameWords), fmt.Sprint(rng.Uint32()))
				m.QoS, m.From, m.Props = byte(rng.IntN(3)), "client", []byte{byte(rng.Uint32())}
				switch rng.IntN(5) {
				case 0:
					s.Delete(m.Topic, store.Async)
				case 1:
					m.Expiry = int64(1000 + rng.IntN(1000))
					fallthrough
				default:
					if err := s.Put(m, store.Durability(1+rng.IntN(2))); err != nil {
						t.Fatal(err)
					}
				}
			}
			s.Expire(1500)
			want := contents(s)
			if err := s.disk.j.Barrier(t.Context()); err != nil {
				t.Fatal(err)
			}
			j := journal.New(again())
			s = mustOpen(t, j, 1500)
			checkList(t, s)
			if got := contents(s); !slices.Equal(got, want) || len(got) < 100 {
				t.Errorf("%d messages were kept, %d are back", len(want), len(got))
			}
			// What has expired while the node was away is gone from the disk too.
			if s = mustOpen(t, j, 5000); s.Count() == 0 || s.expiring.Len() != 0 {
				t.Errorf("%d messages are back, %d of them expire", s.Count(), s.expiring.Len())
			}
			if err := j.Barrier(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n, _, err := store.Count(j.Store(), store.Prefix([]byte(keyPrefix))); int(n) != s.Count() || err != nil {
				t.Errorf("%d messages are kept, the disk has %d, %v", s.Count(), n, err)
			}
		})
	}
}

// TestMemoryDoesNotSurvive: what was put for the memory only, and what the node
// says of itself, is not on the disk, and a durable message that it replaced is
// not there any more either.
func TestMemoryDoesNotSurvive(t *testing.T) {
	j := journal.New(mem.New())
	s := mustOpen(t, j, 0)
	own := msg("$SYS/x", "1")
	own.Origin = message.OriginSys
	err := errors.Join(s.Put(msg("a", "1"), store.Async), s.Put(msg("a", "2"), store.Memory), s.Put(msg("b", "1"), store.Memory),
		s.Put(msg("c", "1"), store.Async), s.Put(own, store.Async))
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := contents(mustOpen(t, j, 0)); len(got) != 1 || !strings.HasPrefix(got[0], "c=1") {
		t.Errorf("back are %q", got)
	}
}

// TestOneTopicManyPublishers: what readers saw last is what is back, however many
// put and delete at the same time.
func TestOneTopicManyPublishers(t *testing.T) {
	for range 20 {
		j := journal.New(mem.New())
		s := mustOpen(t, j, 0)
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 50 {
					if i%10 == 9 {
						s.Delete("t", store.Async)
					} else if err := s.Put(msg("t", fmt.Sprint(w, i)), store.Async); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if err := j.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := contents(mustOpen(t, j, 0)), contents(s); !slices.Equal(got, want) {
			t.Fatalf("%q is kept, %q is back", want, got)
		}
	}
}

// TestDiskThatTakesNothing: durable messages are refused with the reason and
// change nothing; deletions pass, and so does what is for the memory only.
func TestDiskThatTakesNothing(t *testing.T) {
	j := journal.New(mem.New())
	s := mustOpen(t, j, 0)
	if err := errors.Join(s.Put(msg("a", "1"), store.Sync), s.Put(msg("b", "1"), store.Sync)); err != nil {
		t.Fatal(err)
	}
	j.SetState(store.State{Mode: store.Full, Err: store.ErrFull})
	if err := s.Put(msg("a", "2"), store.Async); !errors.Is(err, store.ErrFull) {
		t.Errorf("put on a full disk: %v", err)
	}
	if err := s.Put(msg("c", "2"), store.Memory); err != nil {
		t.Errorf("put to memory: %v", err)
	}
	if string(s.Get("a").Payload) != "1" || !s.Delete("b", store.Sync) {
		t.Error("the refused message is there, or the other cannot be deleted")
	}
	j.SetState(store.State{})
	if err := s.Put(msg("a", "3"), store.Async); err != nil {
		t.Errorf("put when there is room again: %v", err)
	}
	if err := j.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := contents(mustOpen(t, j, 0)); len(got) != 1 || !strings.HasPrefix(got[0], "a=3") {
		t.Errorf("back are %q", got)
	}
}

// TestStrangeRecordsAreRefused: a start with less than what was kept would not
// be noticed.
func TestStrangeRecordsAreRefused(t *testing.T) {
	for name, value := range map[string][]byte{
		"short": msg("t", "x").AppendForm(nil)[:9], "of another topic": msg("u", "x").AppendForm(nil), "long": append(msg("t", "x").AppendForm(nil), 0),
	} {
		j := journal.New(mem.New())
		if err := j.Apply(t.Context(), store.Async, func(tx *journal.Tx) { tx.Put(store.Async, []byte("rt"), value) }); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), Config{}, j, 0); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), `"t"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	st := mem.New()
	if err := (store.Format{Room: "retained", Version: 2, Steps: make([]store.Step, 1)}).Open(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{}, journal.New(st), 0); !errors.Is(err, store.ErrNewer) {
		t.Errorf("a newer form: %v", err)
	}
}

// TestRunExpires: what has expired goes without anybody looking at it.
func TestRunExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		m := msg("a", "1")
		m.Expiry = time.Now().Add(time.Minute).UnixNano()
		mustPut(t, s, m)
		mustPut(t, s, msg("b", "1"))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		<-time.After(59 * time.Second)
		if s.Count() != 2 {
			t.Errorf("%d messages before the minute is over", s.Count())
		}
		<-time.After(2 * expireEvery)
		if s.Count() != 1 {
			t.Errorf("%d messages after it", s.Count())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestMemoryOfWhatIsBack: as much as of what was put.
func TestMemoryOfWhatIsBack(t *testing.T) {
	const n, payload = 60_000, 64
	j := journal.New(mem.New())
	s := mustOpen(t, j, 0)
	for i := range n {
		m := msg(fmt.Sprintf("fleet/device/%010d/state", i), strings.Repeat("x", payload))
		m.From = "device-" + fmt.Sprint(i)
		if err := s.Put(m, store.Async); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := liveHeap()
	back := mustOpen(t, j, 0)
	each := (liveHeap()-before)/n - payload
	t.Logf("%d bytes and the payload", each)
	if back.Count() != n || each > 300 {
		t.Errorf("%d messages of %d bytes and the payload", back.Count(), each)
	}
}

func BenchmarkLoad(b *testing.B) {
	st, err := pebble.Open(pebble.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	j := journal.New(st)
	s := mustOpen(b, j, 0)
	const n = 1_000_000
	for i := range n {
		if err := s.Put(msg(fmt.Sprintf("fleet/%d/device/%d", i%1000, i), strings.Repeat("x", 64)), store.Async); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Barrier(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if s := mustOpen(b, j, 0); s.Count() != n {
			b.Errorf("%d messages", s.Count())
		}
	}
}
