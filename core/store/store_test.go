package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func batch(keys ...string) *Batch {
	b := &Batch{}
	for _, k := range keys {
		b.Put([]byte(k), []byte(k))
	}
	return b
}

// disk is what a committer writes to: it stops in each write until it is let.
type disk struct {
	let    chan error
	enter  chan struct{}
	groups []int
	levels []Durability
}

func newDisk() *disk { return &disk{let: make(chan error, 1000), enter: make(chan struct{}, 1000)} }

func (d *disk) write(group []*Batch, level Durability) error {
	d.enter <- struct{}{}
	err := <-d.let
	d.groups = append(d.groups, len(group))
	d.levels = append(d.levels, level)
	return err
}

// What comes while a group is written is the next group, in one write with the
// strongest durability.
func TestCommitterGroupsWhatCameMeanwhile(t *testing.T) {
	d := newDisk()
	c := NewCommitter(CommitterConfig{Write: d.write})
	var done []int
	commit := func(i int, level Durability) {
		if err := c.Commit(batch("k"), level, Func(func(error) { done = append(done, i) })); err != nil {
			t.Error(err)
		}
	}
	commit(0, Async)
	<-d.enter
	for i := range 9 {
		level := Async
		if i == 4 {
			level = Sync
		}
		commit(i+1, level)
	}
	d.let <- nil
	<-d.enter
	d.let <- nil
	c.Close()
	if fmt.Sprint(d.groups, d.levels) != "[1 9] [async sync]" {
		t.Errorf("groups %v with %v", d.groups, d.levels)
	}
	if !slices.Equal(done, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("completed %v", done)
	}
	var i Info
	if c.Count(&i); i.Batches != 10 || i.Groups != 2 || i.Operations != 10 || i.Queued != 0 {
		t.Errorf("counts %+v", i)
	}
}

func TestCommitterBoundsGroups(t *testing.T) {
	d := newDisk()
	c := NewCommitter(CommitterConfig{Write: d.write, GroupBytes: 100})
	sizes := []int{10, 40, 40, 40, 500, 10}
	for i, n := range sizes {
		b := &Batch{}
		b.Put([]byte("k"), make([]byte, n))
		if err := c.Commit(b, Async, nil); err != nil {
			t.Error(err)
		}
		if i == 0 {
			<-d.enter
		}
	}
	for range sizes {
		d.let <- nil
	}
	c.Close()
	if fmt.Sprint(d.groups) != "[1 2 1 1 1]" {
		t.Errorf("groups %v", d.groups)
	}
}

// The queue is bounded in bytes and in batches; what is too large for it passes
// when it is empty.
func TestCommitterRefusesBeyondItsQueue(t *testing.T) {
	for _, cfg := range []CommitterConfig{{QueueBatches: 3}, {QueueBytes: 3 * (overhead + 5)}} {
		d := newDisk()
		cfg.Write = d.write
		c := NewCommitter(cfg)
		taken := 0
		for ; ; taken++ {
			if err := c.Commit(batch("k"), Async, nil); err != nil {
				if !errors.Is(err, ErrBusy) {
					t.Error(err)
				}
				break
			}
		}
		if taken != 3 {
			t.Errorf("%d taken", taken)
		}
		if cfg.QueueBytes > 0 && !c.Busy() {
			t.Error("full and not busy")
		}
		for range taken {
			d.let <- nil
		}
		c.Close()
		if c.Busy() {
			t.Error("empty and busy")
		}
	}
	d := newDisk()
	d.let <- nil
	c := NewCommitter(CommitterConfig{QueueBytes: 10, Write: d.write})
	if err := c.Commit(batch("much longer than ten bytes"), Async, nil); err != nil {
		t.Error(err)
	}
	c.Close()
}

// After a failed write nothing is written or acknowledged any more.
func TestCommitterAcknowledgesNothingAfterAFailure(t *testing.T) {
	boom := errors.New("boom")
	d := newDisk()
	c := NewCommitter(CommitterConfig{Write: d.write})
	var ok, bad int
	count := Func(func(err error) {
		switch {
		case err == nil:
			ok++
		case errors.Is(err, ErrReadOnly) && errors.Is(err, boom):
			bad++
		default:
			t.Error(err)
		}
	})
	d.let <- nil
	for i := range 5 {
		if err := c.Commit(batch("k"), Sync, count); err != nil {
			t.Error(err)
		}
		if i < 2 {
			<-d.enter
		}
	}
	d.let <- boom
	if err := Apply(context.Background(), commits{c}, batch("k"), Sync); !errors.Is(err, boom) || !errors.Is(err, ErrReadOnly) {
		t.Errorf("after the failure: %v", err)
	}
	c.Close()
	if ok != 1 || bad != 4 || len(d.groups) != 2 {
		t.Errorf("%d acknowledged, %d failed, groups %v", ok, bad, d.groups)
	}
	if err := c.Commit(batch("k"), Sync, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// commits is a store that can only commit.
type commits struct{ *Committer }

func (commits) Get([]byte, []byte) ([]byte, error)             { return nil, ErrNotFound }
func (commits) Scan(Range, func(key, value []byte) bool) error { return nil }
func (commits) State() State                                   { return State{} }
func (c commits) Close() error                                 { c.Committer.Close(); return nil }

func TestApplyWaitsForRoomAndEnd(t *testing.T) {
	d := newDisk()
	c := NewCommitter(CommitterConfig{QueueBatches: 1, Write: d.write})
	if err := c.Commit(batch("k"), Async, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Apply(ctx, commits{c}, batch("k"), Async); !errors.Is(err, context.Canceled) {
		t.Errorf("no room: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := Apply(context.Background(), commits{c}, batch("k"), Async); err != nil {
			t.Error(err)
		}
	})
	d.let <- nil
	d.let <- nil
	wg.Wait()
	c.Close()
}

// Nothing is allocated for a commit in steady state.
func TestCommitDoesNotAllocate(t *testing.T) {
	end := make(chan error, 1)
	c := NewCommitter(CommitterConfig{Write: func([]*Batch, Durability) error { return nil }})
	defer c.Close()
	var b Batch
	done := Func(func(err error) { end <- err })
	key, value := []byte("key"), make([]byte, 256)
	if n := testing.AllocsPerRun(1000, func() {
		b.Reset()
		b.Put(key, value)
		if err := c.Commit(&b, Sync, done); err != nil {
			t.Error(err)
		}
		<-end
	}); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

func TestBatchSaysWhatItIs(t *testing.T) {
	var b, o Batch
	if b.Growing() || b.Len() != 0 || b.Size() != 0 {
		t.Error("an empty batch is not empty")
	}
	b.Delete([]byte("a"))
	b.DeleteRange([]byte("b"), []byte("c"))
	if b.Growing() {
		t.Error("deletes grow")
	}
	o.Put([]byte("k"), []byte("v"))
	b.Append(&o)
	if !b.Growing() {
		t.Error("a put does not grow")
	}
	b.Free()
	if b.Growing() {
		t.Error("a batch that frees grows")
	}
	var got string
	b.Each(func(k Kind, key, end []byte) { got += fmt.Sprintf("%d %s %s;", k, key, end) })
	if want := "0 a ;15 b c;1 k v;"; got != want || b.Len() != 3 || b.Ranges() != 1 {
		t.Errorf("%q, want %q", got, want)
	}
	b.Put([]byte("large"), make([]byte, keepCap))
	if b.Reset(); b.Len() != 0 || cap(b.ops) != 0 || b.Growing() {
		t.Error("a large batch keeps its memory")
	}
	defer func() {
		if recover() == nil {
			t.Error("a key beyond MaxKey is taken")
		}
	}()
	b.Delete(make([]byte, MaxKey+1))
}

// Strings and numbers in keys sort as they do outside, and come out again.
func TestKeysSort(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	random := func() string {
		p := make([]byte, rnd.IntN(6))
		for i := range p {
			p[i] = []byte{0, 1, 'a', 0xFE, 0xFF}[rnd.IntN(5)]
		}
		return string(p)
	}
	for range 20000 {
		a, b, x, y := random(), random(), rnd.Uint64(), rnd.Uint64()
		ka, kb := AppendUint64(AppendString(nil, a), x), AppendUint64(AppendString(nil, b), y)
		want := cmp(a, b)
		if want == 0 {
			want = cmp(x, y)
		}
		if got := bytes.Compare(ka, kb); got != want {
			t.Fatalf("%q %d and %q %d: %d, want %d", a, x, b, y, got, want)
		}
		if s, rest, ok := CutString(ka); s != a || !ok {
			t.Fatalf("%q comes out as %q", a, s)
		} else if v, rest, ok := CutUint64(rest); v != x || len(rest) != 0 || !ok {
			t.Fatalf("%d comes out as %d", x, v)
		}
		if a != b && bytes.HasPrefix(ka, AppendString(nil, b)) {
			t.Fatalf("%q begins with %q", a, b)
		}
	}
	for _, bad := range []string{"", "a", "a\x00", "a\x00\x02", "a\x00\xFF"} {
		if _, _, ok := CutString([]byte(bad)); ok {
			t.Errorf("%q is a string", bad)
		}
	}
	if _, _, ok := CutUint64(make([]byte, 7)); ok {
		t.Error("7 bytes are a number")
	}
}

func cmp[T string | uint64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestPrefix(t *testing.T) {
	for in, want := range map[string]string{"a": "b", "a\xFF": "b", "\xFF\xFE\xFF": "\xFF\xFF", "\xFF": "", "": ""} {
		if r := Prefix([]byte(in)); string(r.From) != in || string(r.To) != want || (r.To == nil) != (want == "") {
			t.Errorf("prefix %q: %q", in, r)
		}
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		Memory.String(): "memory", Async.String(): "async", Sync.String(): "sync", Durability(9).String(): "unknown",
		Ready.String(): "ready", Full.String(): "full", ReadOnly.String(): "read only", Closed.String(): "closed",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// BenchmarkCommitter is what the queue and the wake-ups of its users cost,
// without a disk.
func BenchmarkCommitter(b *testing.B) {
	for _, n := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("writers=%d", n), func(b *testing.B) {
			c := NewCommitter(CommitterConfig{Write: func([]*Batch, Durability) error { return nil }})
			defer c.Close()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					end := make(chan error, 1)
					done := Func(func(err error) { end <- err })
					var batch Batch
					for next.Add(1) <= int64(b.N) {
						batch.Reset()
						batch.Put([]byte("key"), make([]byte, 256))
						if err := c.Commit(&batch, Sync, done); err != nil {
							b.Error(err)
							return
						}
						<-end
					}
				})
			}
			wg.Wait()
		})
	}
}
