package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/core/store/storetest"
)

// node is what a queue sees of a broker. Its disk outlives it.
type node struct {
	t     *testing.T
	disk  store.Store
	ready chan struct{}
	skew  atomic.Int64 // of the wall clock

	mu   sync.Mutex
	got  []string
	full bool // nothing finds room
}

func newNode(t *testing.T, disk store.Store) *node {
	n := &node{t: t, disk: disk, ready: make(chan struct{})}
	close(n.ready)
	return n
}

// publish notes what comes.
func (n *node) publish(ms []*message.Message) []packet.ReasonCode {
	n.mu.Lock()
	defer n.mu.Unlock()
	codes := make([]packet.ReasonCode, len(ms))
	for i, m := range ms {
		if n.full {
			codes[i] = packet.QuotaExceeded
			continue
		}
		n.got = append(n.got, string(m.Payload))
	}
	return codes
}

// took returns what has come since the last call.
func (n *node) took() string {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	s := strings.Join(n.got, " ")
	n.got = nil
	return s
}

func (n *node) load() *Queue {
	n.t.Helper()
	start := time.Now()
	qs, err := Open(context.Background(), Config{
		Journal: journal.New(n.disk), Publish: n.publish, Ready: n.ready, Log: zap.NewNop(),
		Now:     func() time.Time { return time.Now().Add(time.Duration(n.skew.Load())) },
		Elapsed: func() time.Duration { return time.Since(start) },
	})
	if err != nil {
		n.t.Fatal(err)
	}
	q, err := qs.Load("plugin/delayed")
	if err != nil {
		n.t.Fatal(err)
	}
	return q
}

func (n *node) put(q *Queue, payload string, w When) uint64 {
	n.t.Helper()
	seq, err := q.Put(&message.Message{Topic: "t", Payload: []byte(payload), QoS: 1, Time: time.Now().UnixNano()}, w, store.Async)
	if err != nil {
		n.t.Fatal(err)
	}
	return seq
}

func after(d time.Duration) When { return When{After: d} }

// Messages come when they are due and not before, those of one moment in the order
// in which they were put.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, mem.New())
		q := n.load()
		defer q.Close()
		n.put(q, "late", after(10*time.Second))
		for i := range 600 { // more than a burst
			n.put(q, fmt.Sprint(i), after(5*time.Second))
		}
		n.put(q, "now", after(0))
		n.put(q, "past", When{At: time.Now().Add(-time.Hour)})
		n.put(q, "at", When{At: time.Now().Add(5500 * time.Millisecond)})
		if got := n.took(); got != "past now" && got != "now past" || q.Len() != 602 {
			t.Errorf("at once: %s, %d wait", got, q.Len())
		}
		pass(5*time.Second - time.Nanosecond)
		if got := n.took(); got != "" {
			t.Errorf("too early: %s", got)
		}
		pass(time.Nanosecond)
		var want []string
		for i := range 600 {
			want = append(want, fmt.Sprint(i))
		}
		if got := n.took(); got != strings.Join(want, " ") {
			t.Errorf("after 5 s: %.200s", got)
		}
		pass(500 * time.Millisecond)
		if got := n.took(); got != "at" {
			t.Errorf("after 5.5 s: %s", got)
		}
		pass(time.Hour)
		if got := n.took(); got != "late" || q.Len() != 0 {
			t.Errorf("in the end: %s, %d wait", got, q.Len())
		}
	})
}

// What waits is there after a restart, and comes once: what is overdue at once, when
// the node is ready.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := mem.New()
		n := newNode(t, disk)
		q := n.load()
		n.put(q, "done", after(time.Second))
		n.put(q, "overdue 1", after(5*time.Second))
		n.put(q, "overdue 2", after(5*time.Second))
		n.put(q, "later", after(time.Minute))
		pass(time.Second)
		if got := n.took(); got != "done" {
			t.Errorf("before: %s", got)
		}
		q.Close()
		pass(10 * time.Second)
		n = newNode(t, disk)
		n.ready = make(chan struct{})
		q = n.load()
		if got := n.took(); got != "" || q.Len() != 3 {
			t.Errorf("before the node is ready: %s, %d wait", got, q.Len())
		}
		close(n.ready)
		if got := n.took(); got != "overdue 1 overdue 2" {
			t.Errorf("at the start: %s", got)
		}
		pass(49*time.Second - time.Nanosecond)
		if got := n.took(); got != "" {
			t.Errorf("too early: %s", got)
		}
		pass(time.Nanosecond)
		if got := n.took(); got != "later" {
			t.Errorf("after a minute: %s", got)
		}
		q.Close()
		if q = n.load(); q.Len() != 0 {
			t.Errorf("%d are left on the disk", q.Len())
		}
		q.Close()
	})
}

// A wall clock that is set does not move what has to wait for a time, and does move
// what is due at a time of that clock.
func TestClockSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, mem.New())
		q := n.load()
		defer q.Close()
		n.put(q, "span", after(10*time.Second))
		n.put(q, "time", When{At: time.Now().Add(time.Hour)})
		n.skew.Store(int64(time.Hour))
		pass(2 * time.Second)
		if got := n.took(); got != "time" {
			t.Errorf("set forward: %s", got)
		}
		n.skew.Store(int64(-24 * time.Hour))
		pass(8 * time.Second)
		if got := n.took(); got != "span" {
			t.Errorf("set back: %s", got)
		}
	})
}

// A message that finds no room comes again; one that has expired does not come.
func TestNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, mem.New())
		q := n.load()
		defer q.Close()
		n.full = true
		n.put(q, "again", after(time.Second))
		m := &message.Message{Topic: "t", Payload: []byte("expired"), Expiry: time.Now().Add(time.Second).UnixNano()}
		if _, err := q.Put(m, after(2*time.Second), store.Async); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		if got := n.took(); got != "" || q.Len() != 1 {
			t.Errorf("%s, %d wait", got, q.Len())
		}
		n.mu.Lock()
		n.full = false
		n.mu.Unlock()
		pass(time.Minute)
		if got := n.took(); got != "again" || q.Len() != 0 {
			t.Errorf("%s, %d wait", got, q.Len())
		}
	})
}

// What is cancelled does not come, now or after a restart, and its number is not
// given again.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := mem.New()
		n := newNode(t, disk)
		q := n.load()
		var seqs []uint64
		for i := range 10 {
			seqs = append(seqs, n.put(q, fmt.Sprint(i), after(time.Duration(1+i%2)*time.Second)))
		}
		for _, i := range []int{1, 2, 5, 6, 7, 8, 9} {
			if err := q.Cancel(seqs[i]); err != nil {
				t.Errorf("cancel %d: %v", i, err)
			}
			if err := q.Cancel(seqs[i]); !errors.Is(err, ErrNotFound) {
				t.Errorf("cancel %d again: %v", i, err)
			}
			if _, err := q.Due(seqs[i]); !errors.Is(err, ErrNotFound) {
				t.Errorf("%d is cancelled and due: %v", i, err)
			}
		}
		if due, err := q.Due(seqs[0]); err != nil || due != time.Now().Add(time.Second).UnixNano() {
			t.Errorf("due at %d, %v", due, err)
		}
		if q.Len() != 3 {
			t.Errorf("%d wait", q.Len())
		}
		synctest.Wait()
		var listed []uint64
		for due, seq := int64(0), uint64(0); ; {
			k := len(listed)
			if err := q.List(due, seq, func(w Waiting) bool {
				listed, due, seq = append(listed, w.Seq), w.Due, w.Seq
				return false // pages of one
			}); err != nil {
				t.Fatal(err)
			}
			if len(listed) == k {
				break
			}
		}
		if want := []uint64{seqs[0], seqs[4], seqs[3]}; !slices.Equal(listed, want) {
			t.Errorf("listed %v, want %v", listed, want)
		}
		pass(1500 * time.Millisecond)
		if got := n.took(); got != "0 4" {
			t.Errorf("first: %s", got)
		}
		q.Close()
		q = n.load()
		defer q.Close()
		pass(time.Minute)
		if got := n.took(); got != "3" {
			t.Errorf("after a restart: %s", got)
		}
		if seq := n.put(q, "new", after(time.Hour)); seq <= seqs[9] {
			t.Errorf("number %d after %d", seq, seqs[9])
		}
	})
}

// A message that is due before it is on the disk comes all the same, and goes from
// the disk afterwards.
func TestDueBeforeItIsSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := mem.New()
		gate := storetest.NewGate(disk)
		n := newNode(t, gate)
		go func() { _ = gate.Release(-1) }() // the format of the room
		q := n.load()
		defer q.Close()
		n.put(q, "early", after(0))
		if got := n.took(); got != "early" {
			t.Errorf("got %q", got)
		}
		if err := gate.Release(-1); err != nil {
			t.Fatal(err)
		}
		if keys, _, _ := store.Count(disk, store.Prefix([]byte{prefix})); keys != 0 {
			t.Errorf("%d are left on the disk", keys)
		}
	})
}

// A disk that takes nothing refuses.
func TestBrokenDisk(t *testing.T) {
	j := journal.New(mem.New())
	qs, err := Open(t.Context(), Config{Journal: j, Ready: make(chan struct{}), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	q, err := qs.Load("p")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	j.SetState(store.State{Mode: store.Full, Err: store.ErrFull})
	if _, err := q.Put(&message.Message{Topic: "t"}, after(0), store.Async); !errors.Is(err, store.ErrFull) || q.Len() != 0 {
		t.Errorf("%v, %d wait", err, q.Len())
	}
}

// A million messages take what is said of them in memory, and loading them too.
func BenchmarkLoad(b *testing.B) {
	disk := mem.New()
	batch := new(store.Batch)
	for i := range 1_000_000 {
		batch.Put(appendKey(prefixOf("p"), int64(i), uint64(i)), nil)
	}
	if err := store.Apply(b.Context(), disk, batch, store.Memory); err != nil {
		b.Fatal(err)
	}
	qs, err := Open(b.Context(), Config{Journal: journal.New(disk), Ready: make(chan struct{}), Log: zap.NewNop()})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		q, err := qs.Load("p")
		if err != nil || q.Len() != 1_000_000 {
			b.Fatal(err, q.Len())
		}
		q.Close()
		b.ReportMetric(float64(cap(q.wall)*24)/1e6, "MB")
	}
}

// pass lets the time of the test's bubble go by.
func pass(d time.Duration) { <-time.After(d) }
