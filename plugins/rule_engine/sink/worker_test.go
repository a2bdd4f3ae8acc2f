package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
)

// memory is a queue without a disk, so that time can be turned.
type memory struct {
	mu   sync.Mutex
	rs   []buffer.Record
	seq  uint64
	wake chan struct{}
}

func newMemory() *memory { return &memory{wake: make(chan struct{}, 1)} }

func (m *memory) add(rows ...string) {
	m.mu.Lock()
	for _, row := range rows {
		m.seq++
		m.rs = append(m.rs, buffer.Record{Seq: m.seq, Data: EncodeItem(Item{Action: "a", Row: []byte(row)})})
	}
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *memory) Peek(after uint64, n int, _ int64) ([]buffer.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.rs[:min(n, len(m.rs))]), nil
}

func (m *memory) Remove(rs []buffer.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rs = m.rs[len(rs):]
	return nil
}

func (m *memory) Ready() <-chan struct{} { return m.wake }

func (m *memory) Len() (int, int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rs), 0
}

// script is a driver that answers as told, then with nil.
type script struct {
	mu      sync.Mutex
	answers []error
	calls   []string // rows of each Write
	at      []time.Time
}

func (s *script) Write(_ context.Context, items []Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := ""
	for _, it := range items {
		text += string(it.Row)
	}
	s.calls, s.at = append(s.calls, text), append(s.at, time.Now())
	if len(s.answers) == 0 {
		return nil
	}
	err := s.answers[0]
	s.answers = s.answers[1:]
	return err
}

func (s *script) Check(context.Context) error { return nil }
func (s *script) Close() error                { return nil }

type outcome struct {
	dead   []string
	health []bool
}

func (o *outcome) Dead(it Item, why error) { o.dead = append(o.dead, string(it.Row)+": "+why.Error()) }
func (o *outcome) Health(up bool, _ error) { o.health = append(o.health, up) }

// work runs a worker over the rows until everything has settled.
func work(t *testing.T, cfg Config, d *script, rows ...string) (*Worker, *memory, *outcome) {
	t.Helper()
	q, o := newMemory(), &outcome{}
	w := NewWorker(cfg, q, d, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	q.add(rows...)
	<-time.After(10 * time.Minute)
	synctest.Wait()
	cancel()
	<-done
	return w, q, o
}

func TestAFailedBatchIsTriedAgainWithLongerPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		d := &script{answers: []error{down, down, down, down}}
		w, q, o := work(t, Config{RetryMin: time.Second, RetryMax: 3 * time.Second}, d, "1", "2")
		if fmt.Sprint(d.calls) != "[12 12 12 12 12]" {
			t.Errorf("calls %v", d.calls)
		}
		for i, most := range []time.Duration{1, 2, 3, 3} {
			if got := d.at[i+1].Sub(d.at[i]); got < most*time.Second/2 || got > most*time.Second {
				t.Errorf("pause %d is %v", i+1, got)
			}
		}
		s := w.Stats()
		if n, _ := q.Len(); n != 0 || s.Success != 2 || s.Retried != 4 || s.Down || fmt.Sprint(o.health) != "[false true]" {
			t.Errorf("%d left, %+v, health %v", n, s, o.health)
		}
	})
}

func TestRefusedItemsGoToTheDeadAndHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &script{answers: []error{&Bad{Items: map[int]error{1: errors.New("too long")}}}}
		w, _, o := work(t, Config{}, d, "1", "2", "3")
		if s := w.Stats(); s.Success != 2 || s.Failed != 1 || fmt.Sprint(o.dead) != "[2: too long]" || s.Down || o.health != nil {
			t.Errorf("%+v, dead %v, health %v", s, o.dead, o.health)
		}
	})
}

func TestWhatHasArrivedIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &script{answers: []error{&Partial{Done: 2, Err: errors.New("reset")}}}
		w, _, _ := work(t, Config{}, d, "1", "2", "3")
		if fmt.Sprint(d.calls) != "[123 3]" || w.Stats().Success != 3 {
			t.Errorf("calls %v, %+v", d.calls, w.Stats())
		}
	})
}

func TestBatchesAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, q := &script{}, newMemory()
		w := NewWorker(Config{BatchSize: 3, BatchTime: time.Second}, q, d, &outcome{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.Run(ctx) }()
		synctest.Wait()
		q.add("1")
		synctest.Wait()
		if len(d.calls) != 0 {
			t.Errorf("one item left at once: %v", d.calls)
		}
		q.add("2")
		q.add("3")
		synctest.Wait()
		if fmt.Sprint(d.calls) != "[123]" {
			t.Errorf("a full batch waits: %v", d.calls)
		}
		q.add("4")
		<-time.After(1100 * time.Millisecond)
		synctest.Wait()
		if fmt.Sprint(d.calls) != "[123 4]" {
			t.Errorf("a lone item waits longer than BatchTime: %v", d.calls)
		}
		cancel()
		<-done
	})
}

func TestARecordThatIsNoItemIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, q, o := &script{}, newMemory(), &outcome{}
		q.rs = []buffer.Record{{Seq: 1, Data: []byte{9}}}
		q.seq = 1
		w := NewWorker(Config{}, q, d, o)
		ctx, cancel := context.WithCancel(t.Context())
		go w.Run(ctx)
		q.add("ok")
		synctest.Wait()
		cancel()
		if n, _ := q.Len(); n != 0 || len(o.dead) != 1 || fmt.Sprint(d.calls) != "[ok]" {
			t.Errorf("%d left, %d dead, calls %v", n, len(o.dead), d.calls)
		}
	})
}

func FuzzDecodeItem(f *testing.F) {
	f.Add(EncodeItem(Item{Action: "a", Row: []byte("{}")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		it, err := DecodeItem(b)
		if err == nil && string(EncodeItem(it)) != string(b) {
			t.Errorf("%q becomes %q", b, EncodeItem(it))
		}
	})
}
