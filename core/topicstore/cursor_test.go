package topicstore

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/topic"
)

// TestDollarTopicsNotReadByLeadingWildcard [MQTT-4.7.2-1].
func TestDollarTopicsNotReadByLeadingWildcard(t *testing.T) {
	s := New(Config{})
	for _, n := range []string{"$SYS/a", "$SYS/a/b", "a", "a/b", "$", "%", "#x"[1:]} {
		mustPut(t, s, msg(n, "x"))
	}
	for f, want := range map[string][]string{
		"#":      {"%", "a", "a/b", "x"},
		"+":      {"%", "a", "x"},
		"+/#":    {"%", "a", "a/b", "x"},
		"+/+":    {"a/b"},
		"$SYS/#": {"$SYS/a", "$SYS/a/b"},
		"$SYS/+": {"$SYS/a"},
		"$":      {"$"},
	} {
		if got := readAll(t, s.Open(f), 0, 3); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", f, got, want)
		}
	}
}

// TestCursorEnds: a cursor is used up once, Close ends it early, n <= 0 is nothing.
func TestCursorEnds(t *testing.T) {
	s := New(Config{})
	for i := range 10 {
		mustPut(t, s, msg("t/"+strconv.Itoa(i), "x"))
	}
	c := s.Open("t/+")
	if ms, done := c.Next(0, 0, nil); len(ms) != 0 || done {
		t.Errorf("Next(0): %d, %v", len(ms), done)
	}
	before := []*message.Message{msg("mine", "")}
	ms, done := c.Next(0, 4, before)
	if len(ms) != 5 || ms[0] != before[0] || done {
		t.Errorf("Next appends: %d, %v", len(ms), done)
	}
	c.Close()
	c.Close()
	if ms, done := c.Next(0, 4, nil); len(ms) != 0 || !done {
		t.Errorf("after Close: %d, %v", len(ms), done)
	}
	for _, f := range []string{"none", "none/#", "+/none", "u/+"} {
		if ms, done := s.Open(f).Next(0, 1, nil); len(ms) != 0 || !done {
			t.Errorf("%s: %d, %v", f, len(ms), done)
		}
	}
	if ms, done := New(Config{}).Open("#").Next(0, 1, nil); len(ms) != 0 || !done {
		t.Errorf("empty store: %d, %v", len(ms), done)
	}
}

// TestCursorBetweenChanges: every topic that is there all the time is yielded
// once, whatever is put and deleted between the calls.
func TestCursorBetweenChanges(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 3))
		s, stays := New(Config{}), map[string]bool{}
		f := []string{"#", "+/+/x", "a/#", "+/b/#", "a/+/x"}[seed%5]
		for range 2000 {
			name := fmt.Sprintf("%c/%c%d/%c", 'a'+rng.IntN(3), 'a'+rng.IntN(3), rng.IntN(100), 'w'+rng.IntN(3))
			mustPut(t, s, msg(name, "x"))
			if rng.IntN(2) == 0 && topic.Match(f, name) {
				stays[name] = true
			}
		}
		seen, last := map[string]bool{}, ""
		c := s.Open(f)
		for done := false; !done; {
			var ms []*message.Message
			ms, done = c.Next(0, 1+rng.IntN(20), nil)
			for _, m := range ms {
				if m.Topic <= last || !topic.Match(f, m.Topic) {
					t.Fatalf("%q after %q for %q", m.Topic, last, f)
				}
				last = m.Topic
				seen[last] = true
			}
			for range rng.IntN(60) {
				name := fmt.Sprintf("%c/%c%d/%c", 'a'+rng.IntN(3), 'a'+rng.IntN(3), rng.IntN(100), 'w'+rng.IntN(3))
				if rng.IntN(2) == 0 {
					mustPut(t, s, msg(name, "y"))
				} else if !stays[name] {
					s.Delete(name, store.Memory)
				}
			}
		}
		for name := range stays {
			if !seen[name] {
				t.Fatalf("seed %d, %s: %q is not yielded", seed, f, name)
			}
		}
		checkList(t, s)
	}
}

// TestHammer: the same with goroutines.
func TestHammer(t *testing.T) {
	s := New(Config{})
	const stays = 500
	for i := range stays {
		mustPut(t, s, msg(fmt.Sprintf("s/%d/stay", i), "x"))
	}
	var wg sync.WaitGroup
	var stop atomic.Bool
	for w := range 3 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 4))
			for !stop.Load() {
				name := fmt.Sprintf("s/%d/%d", rng.IntN(stays), rng.IntN(5))
				switch m := msg(name, "x"); rng.IntN(5) {
				case 0, 1:
					m.Expiry = int64(rng.IntN(3))
					_ = s.Put(m, store.Memory)
				case 2:
					s.Expire(int64(rng.IntN(3)))
				case 3:
					_ = s.Put(msg(fmt.Sprintf("s/%d/stay", rng.IntN(stays)), "y"), store.Memory)
				default:
					s.Delete(name, store.Memory)
				}
			}
		})
	}
	for i := range 30 {
		got := readAll(t, s.Open([]string{"s/+/stay", "#"}[i%2]), 0, 1+i*7)
		n := 0
		for _, name := range got {
			if strings.HasSuffix(name, "stay") {
				n++
			}
		}
		if n != stays || !slices.IsSorted(got) {
			t.Errorf("read %d of %d", n, stays)
		}
		if n := s.CountFilter("+/+/stay"); n != stays {
			t.Errorf("counted %d of %d", n, stays)
		}
	}
	stop.Store(true)
	wg.Wait()
	checkList(t, s)
}

// TestNextIsBounded: a filter that matches nothing among many topics does not
// hold up the caller: Next says "not yet".
func TestNextIsBounded(t *testing.T) {
	s := New(Config{})
	const n = 20 * nextSteps
	for i := range n {
		mustPut(t, s, msg(fmt.Sprintf("d/%d/v", i), ""))
	}
	c, calls := s.Open("+/+/x"), 0
	for done := false; !done; calls++ {
		var ms []*message.Message
		if ms, done = c.Next(0, 10, nil); len(ms) > 0 {
			t.Fatal("found something")
		}
	}
	if calls < 10 {
		t.Errorf("%d topics in %d calls", n, calls)
	}
}

// TestReadIsProportionalToMatches: a read does not look at what cannot match.
func TestReadIsProportionalToMatches(t *testing.T) {
	s := New(Config{})
	for i := range 300 {
		for j := range 300 {
			mustPut(t, s, msg(fmt.Sprintf("d/%03d/%03d", i, j), ""))
		}
	}
	for f, most := range map[string]int{"d/100/#": 3, "d/100/200": 1, "+/100/200": 1, "e/#": 1, "d/+/250": 10} {
		c, calls := s.Open(f), 0
		for done := false; !done; calls++ {
			_, done = c.Next(0, 1000, nil)
		}
		if calls > most {
			t.Errorf("%s: %d calls, each at most %d topics", f, calls, nextSteps)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("a/+", "a/b\na\na!/b\n/\na//b\n$SYS/a")
	f.Add("+/c/#", "L\nL!/c\nL/c\nL/c/d\nL0/c\nL/d")
	f.Add("#", "$\n%\n!")
	f.Fuzz(func(t *testing.T, filter, names string) {
		if _, _, share := topic.ParseShare(filter); share || topic.ValidateFilter(filter) != nil {
			return
		}
		s := New(Config{})
		var want []string
		for _, n := range strings.Split(names, "\n") {
			if topic.ValidateName(n) != nil || strings.ContainsRune(n, 0) {
				continue
			}
			if s.Get(n) == nil && topic.Match(filter, n) {
				want = append(want, n)
			}
			mustPut(t, s, msg(n, "x"))
		}
		slices.Sort(want)
		if got := readAll(t, s.Open(filter), 0, 2); !slices.Equal(got, want) {
			t.Fatalf("%q of %q: got %q, want %q", filter, names, got, want)
		}
	})
}

// TestMemoryPerMessage: at most 300 bytes and the payload.
func TestMemoryPerMessage(t *testing.T) {
	const n, payload = 60_000, 64
	for _, c := range []struct {
		name   string
		expiry int64
		random bool
	}{{"ascending", 0, false}, {"random", 0, true}, {"random, expiring", 1 << 60, true}} {
		before, rng := liveHeap(), rand.New(rand.NewPCG(1, 1))
		s := New(Config{})
		for i := range n {
			if c.random {
				i = int(rng.Uint32())
			}
			m := msg(fmt.Sprintf("fleet/device/%010d/state", i), strings.Repeat("x", payload))
			m.From, m.Expiry = "device-"+strconv.Itoa(i), c.expiry
			mustPut(t, s, m)
		}
		each := (liveHeap()-before)/int64(s.Count()) - payload
		t.Logf("%-18s %d bytes and the payload", c.name, each)
		if each > 300 {
			t.Errorf("%s: %d bytes", c.name, each)
		}
		runtime.KeepAlive(s)
	}
}

func liveHeap() int64 {
	var ms runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&ms)
	return int64(ms.HeapAlloc)
}

func million(b *testing.B) *Store {
	s := New(Config{})
	for i := range 1_000_000 {
		mustPut(b, s, msg(fmt.Sprintf("fleet/%d/device/%d", i%1000, i), "payload"))
	}
	return s
}

func BenchmarkMillion(b *testing.B) {
	s := million(b)
	b.Run("replace", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i = (i + 7919) % 1_000_000
			mustPut(b, s, msg(fmt.Sprintf("fleet/%d/device/%d", i%1000, i), "payload"))
		}
	})
	for _, f := range []string{"#", "fleet/7/#", "fleet/+/device/7007"} {
		b.Run("read "+f, func(b *testing.B) {
			var dst []*message.Message
			n := 0
			start := time.Now()
			for b.Loop() {
				c := s.Open(f)
				for done := false; !done; n += len(dst) {
					dst, done = c.Next(0, 64, dst[:0])
				}
			}
			b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(max(1, n)), "ns/message")
		})
	}
}
