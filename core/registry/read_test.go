package registry

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
)

// TestReadBack: Read brings messages in the order of their places, tells what is gone, stops where it has brought enough, and does
// not fail for one that cannot be understood.
func TestReadBack(t *testing.T) {
	j := journal.New(mem.New())
	r := New(Config{Hooks: new(hook.Points), Journal: j})
	c := &Client{id: "c", reg: r, durable: &durable{sid: 7, level: store.Async}}
	other := &Client{id: "o", reg: r, durable: &durable{sid: 6, level: store.Async}}
	// put gives clients the message as their next place, in a block that they share.
	put := func(payload string, to ...*Client) {
		t.Helper()
		m := &message.Message{Topic: "t", Payload: []byte(payload), QoS: 1}
		b := &router.Batch{}
		for _, c := range to {
			c.record(b, &message.Delivery{Msg: m, Opts: message.SubOptions{QoS: 1}})
		}
		b.Flush()
	}
	put("one", other, c)
	put("not wanted", c)
	put("three", c, other)
	put("four", c)
	put("five", c, other)
	put("six", c)
	put("seven", c)
	put("eight", c)
	put("nine", other, c)
	big := strings.Repeat("x", readBytes)
	put(big, c)
	put("behind it", c)
	over := func(seqs ...uint64) {
		t.Helper()
		if err := j.Apply(t.Context(), store.Async, func(tx *journal.Tx) {
			for _, seq := range seqs {
				c.durable.backlog.over(tx, seq)
			}
			c.durable.backlog.tell(tx, c.durable.sid)
		}); err != nil {
			t.Fatal(err)
		}
	}
	over(4, 5, 8, 9)
	six := appendBlock(nil, c.durable.backlog.runs[runOf(c.durable.backlog.runs, 6)].block.no)
	if err := j.Apply(t.Context(), store.Async, func(tx *journal.Tx) { tx.Put(store.Async, six, []byte("broken")) }); err != nil {
		t.Fatal(err)
	}

	read := func(places ...uint64) (got []string, err error) {
		c.Read(places, func(ms []session.Loaded, e error) {
			err = e
			for i := range ms {
				switch {
				case ms[i].Seq != places[i]:
					t.Fatalf("place %d is %d, want %d", i, ms[i].Seq, places[i])
				case ms[i].Msg == nil:
					got = append(got, "-")
				default:
					got = append(got, string(ms[i].Msg.Payload))
				}
			}
		})
		return got, err
	}
	for _, k := range []struct {
		places []uint64
		want   string
		lost   bool
	}{
		{[]uint64{1, 3}, "one three", false},
		{[]uint64{1, 3, 4, 5}, "one three - -", false},
		{[]uint64{4}, "-", false},
		{[]uint64{3, 6, 7, 8}, "three - seven -", true},
		{[]uint64{7, 10, 11}, "seven " + big, false},
		{[]uint64{10}, big, false},
		{[]uint64{8, 11}, "- behind it", false},
		{[]uint64{10, 12}, big + " -", true}, // it was never given out
		{nil, "", false},
	} {
		got, err := read(k.places...)
		if strings.Join(got, " ") != k.want || errors.Is(err, ErrLost) != k.lost || err != nil && !k.lost {
			t.Errorf("places %v: %.60q, %v", k.places, got, err)
		}
	}
}

// TestReadersAreFew: work beside the event loops is done in order by a few goroutines, which end when there is none.
func TestReadersAreFew(t *testing.T) {
	g := &background{most: 2}
	var all sync.WaitGroup
	var now, most atomic.Int32
	gate := make(chan struct{})
	for range 50 {
		all.Add(1)
		g.do(func() {
			defer all.Done()
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-gate
			now.Add(-1)
		})
	}
	for range 50 {
		gate <- struct{}{}
	}
	all.Wait()
	if most.Load() > 2 {
		t.Errorf("%d at once", most.Load())
	}
	again := make(chan struct{})
	g.do(func() { close(again) })
	<-again
	here := false
	(&background{}).do(func() { here = true })
	if !here {
		t.Error("without readers the caller does not do it")
	}
}
