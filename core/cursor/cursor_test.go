package cursor_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dunlinmq/dunlin/core/cursor"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/core/store/pebble"
	"github.com/dunlinmq/dunlin/core/store/storetest"
)

// node is a journal that can be opened again on what it has left.
type node struct {
	t     *testing.T
	j     *journal.Journal
	again func() store.Store
}

// each runs fn with every backend.
func each(t *testing.T, fn func(t *testing.T, n *node)) {
	t.Run("mem", func(t *testing.T) {
		st := mem.New()
		fn(t, &node{t: t, j: journal.New(st), again: func() store.Store { return st }})
	})
	t.Run("pebble", func(t *testing.T) {
		cfg, st := pebble.Config{Dir: t.TempDir(), MemTableBytes: 256 << 10}, (*pebble.Store)(nil)
		open := func() store.Store {
			if st != nil {
				if err := st.Close(); err != nil {
					t.Fatal(err)
				}
			}
			var err error
			if st, err = pebble.Open(cfg); err != nil {
				t.Fatal(err)
			}
			return st
		}
		n := &node{t: t, j: journal.New(open()), again: open}
		t.Cleanup(func() {
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
		fn(t, n)
	})
}

// barrier waits until all that was committed can be read.
func (n *node) barrier() {
	n.t.Helper()
	if err := n.j.Barrier(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) open() *cursor.Logs {
	n.t.Helper()
	l, err := cursor.Open(n.t.Context(), n.j)
	if err != nil {
		n.t.Fatal(err)
	}
	return l
}

// restart opens what the disk has.
func (n *node) restart() *cursor.Logs {
	n.t.Helper()
	n.barrier()
	n.j = journal.New(n.again())
	return n.open()
}

func appendTo(t *testing.T, g *cursor.Log, recs ...string) {
	t.Helper()
	var list [][]byte
	for _, r := range recs {
		list = append(list, []byte(r))
	}
	if _, err := g.Append(nil, list...); err != nil {
		t.Fatal(err)
	}
}

// read is what the log has after seq: "3=c 4=d".
func read(t *testing.T, g *cursor.Log, seq uint64) string {
	t.Helper()
	var out []string
	if err := g.Read(seq, func(seq uint64, r []byte) bool {
		out = append(out, fmt.Sprintf("%d=%s", seq, r))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestConsumerGoesOnWhereItWas: over restarts, with what it had acknowledged gone
// and what it had only read there again; logs do not see each other's records.
func TestConsumerGoesOnWhereItWas(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		logs := n.open()
		g, other := logs.Log("rules", cursor.Config{}), logs.Log("rules\x00bridge", cursor.Config{})
		appendTo(t, g, "a", "b", "c")
		appendTo(t, other, "x")
		appendTo(t, g, "d")
		n.barrier()
		want(t, read(t, g, 0), "1=a 2=b 3=c 4=d")
		want(t, read(t, g, 2), "3=c 4=d")
		if err := g.Ack(2); err != nil {
			t.Fatal(err)
		}
		logs = n.restart()
		g = logs.Log("rules", cursor.Config{})
		want(t, read(t, g, 0), "3=c 4=d")
		appendTo(t, g, "e")
		if err := errors.Join(g.Ack(1), g.Ack(4)); err != nil {
			t.Fatal(err)
		}
		n.barrier()
		want(t, read(t, g, 0), "5=e")
		want(t, fmt.Sprintf("%+v", logs.States()),
			"[{Name:rules First:5 Last:5 Bytes:33 Max:268435456 Dropped:0} {Name:rules\x00bridge First:1 Last:1 Bytes:33 Max:0 Dropped:0}]")
		if err := g.Ack(6); !errors.Is(err, cursor.ErrAhead) {
			t.Errorf("acknowledged beyond the end: %v", err)
		}
		if !logs.Remove("rules") || logs.Remove("rules") {
			t.Error("removed not once")
		}
		if _, err := g.Append(nil, []byte("f")); !errors.Is(err, cursor.ErrRemoved) {
			t.Errorf("append to what is removed: %v", err)
		}
		logs = n.restart()
		want(t, read(t, logs.Log("rules", cursor.Config{}), 0), "")
		want(t, read(t, logs.Log("rules\x00bridge", cursor.Config{}), 0), "1=x")
	})
}

// TestBounds: a full log refuses, all or nothing, until its consumer has done
// something; or drops the oldest and counts them.
func TestBounds(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		logs := n.open()
		strict := logs.Log("strict", cursor.Config{MaxBytes: 3 * (cursor.Overhead + 1)})
		appendTo(t, strict, "a", "b")
		if _, err := strict.Append(nil, []byte("c"), []byte("d")); !errors.Is(err, cursor.ErrFull) {
			t.Errorf("one too many: %v", err)
		}
		appendTo(t, strict, "c")
		n.barrier()
		if err := strict.Ack(1); err != nil {
			t.Fatal(err)
		}
		appendTo(t, strict, "d")
		n.barrier()
		want(t, read(t, strict, 0), "2=b 3=c 4=d")

		loose := logs.Log("loose", cursor.Config{MaxBytes: 3 * (cursor.Overhead + 1), Full: cursor.DropOldest})
		for i := range 10 {
			appendTo(t, loose, fmt.Sprint(i))
			n.barrier()
		}
		if st := loose.State(); st.Dropped != st.First-1 || st.Dropped < 7 || st.Last != 10 {
			t.Errorf("state %+v", st)
		}
		if _, err := loose.Append(nil, make([]byte, 200)); !errors.Is(err, cursor.ErrFull) {
			t.Errorf("larger than the log: %v", err)
		}
		logs = n.restart()
		if got := read(t, logs.Log("loose", cursor.Config{}), 0); !strings.HasSuffix(got, "10=9") {
			t.Errorf("left is %q", got)
		}
	})
}

// TestModel: random appends, acknowledgements and restarts, with producers at the
// same time; what is read is always the records after the cursor, in order.
func TestModel(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		rng := rand.New(rand.NewPCG(1, 1))
		logs := n.open()
		g := logs.Log("c", cursor.Config{Durability: store.Sync})
		var have []string // have[i] is record i+1
		done := 0
		for round := range 120 {
			var mu sync.Mutex
			var wg sync.WaitGroup
			got := map[uint64]string{}
			for w := range 4 {
				size := 1 + rng.IntN(50)
				wg.Go(func() {
					var burst [][]byte
					for i := range size {
						burst = append(burst, fmt.Appendf(nil, "%d/%d/%d", round, w, i))
					}
					last, err := g.Append(nil, burst...)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					for i, r := range burst {
						got[last-uint64(size-1-i)] = string(r)
					}
				})
			}
			wg.Wait()
			for range len(got) {
				have = append(have, got[uint64(len(have)+1)])
			}
			n.barrier()
			if done < len(have) && rng.IntN(2) == 0 {
				done += 1 + rng.IntN(len(have)-done)
				if err := g.Ack(uint64(done)); err != nil {
					t.Fatal(err)
				}
			}
			if rng.IntN(10) == 0 {
				g = n.restart().Log("c", cursor.Config{})
			}
			n.barrier()
			var left []string
			if err := g.Read(0, func(seq uint64, r []byte) bool {
				if int(seq) != done+len(left)+1 {
					t.Fatalf("record %d after %d", seq, done+len(left))
				}
				left = append(left, string(r))
				return true
			}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(left, have[done:]) {
				t.Fatalf("round %d: %d records are left, want %d", round, len(left), len(have)-done)
			}
		}
	})
}

// TestProducersWait: what waits for an append ends when it is as safe as the log
// wants it; consumers are told then.
func TestProducersWait(t *testing.T) {
	gate := storetest.NewGate(mem.New())
	j := journal.New(gate)
	var logs *cursor.Logs
	if err := open(gate, func() (err error) { logs, err = cursor.Open(t.Context(), j); return err }); err != nil {
		t.Fatal(err)
	}
	g := logs.Log("c", cursor.Config{Durability: store.Sync})
	wait := j.Begin()
	if _, err := g.Append(wait, []byte("a")); err != nil {
		t.Fatal(err)
	}
	if wait.Len() == 0 {
		t.Error("there is nothing to wait for")
	}
	wait.Commit()
	if k, d := gate.Waiting(); k != 2 || d != store.Sync {
		t.Errorf("%d batches, %v", k, d)
	}
	select {
	case <-g.More():
		t.Error("told before it is safe")
	default:
	}
	if err := gate.Release(-1); err != nil {
		t.Fatal(err)
	}
	<-g.More()
	if over, err := wait.Ended(); !over || err != nil {
		t.Errorf("ended %v, %v", over, err)
	}
	want(t, read(t, g, 0), "1=a")

	j.SetState(store.State{Mode: store.Full, Err: store.ErrFull})
	if _, err := g.Append(nil, []byte("b")); !errors.Is(err, store.ErrFull) {
		t.Errorf("append to a full disk: %v", err)
	}
	if err := g.Ack(1); err != nil {
		t.Errorf("a full disk takes no acknowledgement: %v", err)
	}
}

// open lets batches pass until fn returns.
func open(gate *storetest.Gate, fn func() error) error {
	end := make(chan error, 1)
	go func() { end <- fn() }()
	for {
		select {
		case err := <-end:
			return err
		default:
			if err := gate.Release(-1); err != nil {
				return err
			}
		}
	}
}

func TestStrangeHeadsAreRefused(t *testing.T) {
	for _, value := range []string{"", "\x01\x01\x01\x01", "\x02\x01\x01\x01\x01", "\x01\x01\x01\x01\x01\x01"} {
		j := journal.New(mem.New())
		if err := j.Apply(t.Context(), store.Async, func(tx *journal.Tx) {
			tx.Put(store.Async, store.AppendString([]byte("ch"), "x"), []byte(value))
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := cursor.Open(t.Context(), j); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	st, err := pebble.Open(pebble.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	j := journal.New(st)
	logs, err := cursor.Open(b.Context(), j)
	if err != nil {
		b.Fatal(err)
	}
	g := logs.Log("c", cursor.Config{Full: cursor.DropOldest})
	burst := make([][]byte, 32)
	for i := range burst {
		burst[i] = make([]byte, 128)
	}
	for i := 0; b.Loop(); i++ {
		last, err := g.Append(nil, burst...)
		if err != nil {
			b.Fatal(err)
		}
		if i%100 == 99 {
			if err := j.Barrier(b.Context()); err != nil {
				b.Fatal(err)
			}
			if err := g.Ack(last); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(burst)), "ns/record")
}
