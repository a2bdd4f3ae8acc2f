package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/dunlinmq/dunlin/core/store"
)

var levels = []store.Durability{store.Async, store.Memory, store.Sync}

// commit retries while the queue is full; only tests have nothing better to do.
func commit(t testing.TB, s store.Store, b *store.Batch, d store.Durability, done store.Completion) {
	t.Helper()
	for {
		err := s.Commit(b, d, done)
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrBusy) {
			t.Errorf("commit: %v", err)
			return
		}
		must(t, s, store.Memory, func(*store.Batch) {})
	}
}

func testOrder(t *testing.T, s store.Store) {
	const n = 2000
	var mu sync.Mutex
	var got []int
	for i := range n {
		b := &store.Batch{}
		b.Put([]byte("k"), fmt.Append(nil, i))
		commit(t, s, b, levels[i%3], store.Func(func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("batch %d: %v", i, err)
			}
			got = append(got, i)
		}))
	}
	must(t, s, store.Async, func(*store.Batch) {})
	mu.Lock()
	defer mu.Unlock()
	if len(got) != n {
		t.Fatalf("%d of %d completed before the barrier", len(got), n)
	}
	for i, v := range got {
		if i != v {
			t.Fatalf("batch %d completed as number %d", v, i)
		}
	}
	expect(t, s, fmt.Sprintf("k=%d ", n-1))
}

func testCommitInDone(t *testing.T, s store.Store) {
	end := make(chan error)
	var next func(i int) store.Func
	next = func(i int) store.Func {
		return func(err error) {
			if p, gerr := s.Get(fmt.Append(nil, i), nil); gerr != nil || len(p) != 0 {
				t.Errorf("batch %d cannot be read in its completion: %v", i, gerr)
			}
			if err != nil || i == 20 {
				end <- err
				return
			}
			b := &store.Batch{}
			b.Put(fmt.Append(nil, i+1), nil)
			if err := s.Commit(b, store.Async, next(i+1)); err != nil {
				end <- err
			}
		}
	}
	b := &store.Batch{}
	b.Put([]byte("0"), nil)
	go func() { commit(t, s, b, store.Async, next(0)) }()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

// counter is a completion that many batches share.
type counter struct{ wg sync.WaitGroup }

func (c *counter) Done(error) { c.wg.Done() }

func testShared(t *testing.T, s store.Store) {
	var c counter
	for i := range 100 {
		b := &store.Batch{}
		b.Put(fmt.Append(nil, i), nil)
		c.wg.Add(1)
		commit(t, s, b, store.Async, &c)
	}
	commit(t, s, &store.Batch{}, store.Async, nil)
	c.wg.Wait()
	if n, _, err := store.Count(s, store.Range{}); n != 100 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
}

func testReuse(t *testing.T, s store.Store) {
	var b store.Batch
	key, value := []byte("key0"), []byte("value0")
	for i := range 10 {
		b.Reset()
		key[3], value[5] = '0'+byte(i), '0'+byte(i)
		b.Put(key, value)
		if err := store.Apply(context.Background(), s, &b, store.Sync); err != nil {
			t.Fatal(err)
		}
	}
	clear(key)
	clear(value)
	b.Reset()
	b.Put([]byte("overwritten"), []byte("overwritten"))
	for i := range 10 {
		if p, err := s.Get(fmt.Appendf(nil, "key%d", i), nil); err != nil || string(p) != fmt.Sprintf("value%d", i) {
			t.Errorf("key%d: %q, %v", i, p, err)
		}
	}
}

func testBarrier(t *testing.T, s store.Store) {
	for _, d := range levels {
		n := 0
		for range 50 {
			b := &store.Batch{}
			b.Put([]byte("a"), nil)
			commit(t, s, b, store.Async, store.Func(func(error) { n++ }))
		}
		must(t, s, d, func(*store.Batch) {})
		if n != 50 {
			t.Errorf("%v: %d of 50 completed before the barrier", d, n)
		}
	}
}

// Two keys always have the same value, whoever looks.
func testWhole(t *testing.T, s store.Store) {
	const writers, rounds = 4, 200
	pair := store.Range{From: []byte("x"), To: []byte("z")}
	put(t, s, "x", "start", "y", "start")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	look := func() {
		var vs [][]byte
		if err := s.Scan(pair, func(_, v []byte) bool { vs = append(vs, bytes.Clone(v)); return true }); err != nil {
			t.Error(err)
		} else if len(vs) != 2 || !bytes.Equal(vs[0], vs[1]) {
			t.Errorf("half a batch: %q", vs)
		}
	}
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				must(t, s, levels[i%2], func(b *store.Batch) {
					v := fmt.Appendf(nil, "%d.%d", w, i)
					b.DeleteRange(pair.From, pair.To)
					b.Put([]byte("x"), v)
					b.Put([]byte("y"), v)
				})
			}
		})
	}
	var readers sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				look()
			}
		}
	})
	wg.Wait()
	close(stop)
	readers.Wait()
	look()
}

func testLarge(t *testing.T, s store.Store) {
	key := bytes.Repeat([]byte("k"), store.MaxKey)
	value := bytes.Repeat([]byte("large"), 1<<20)
	var b store.Batch
	for i := range 4 {
		b.Put(binary.BigEndian.AppendUint32(nil, uint32(i)), value)
	}
	b.Put(key, []byte("long key"))
	if err := store.Apply(context.Background(), s, &b, store.Async); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	b.Put([]byte("next"), []byte("small"))
	if err := store.Apply(context.Background(), s, &b, store.Async); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if p, err := s.Get(binary.BigEndian.AppendUint32(nil, uint32(i)), nil); err != nil || !bytes.Equal(p, value) {
			t.Errorf("value %d: %d bytes, %v", i, len(p), err)
		}
	}
	if p, err := s.Get(key, nil); err != nil || string(p) != "long key" {
		t.Errorf("long key: %q, %v", p, err)
	}
}

func testClose(t *testing.T, s store.Store) {
	n := 0
	for range 100 {
		b := &store.Batch{}
		b.Put([]byte("a"), nil)
		commit(t, s, b, store.Async, store.Func(func(err error) {
			if err == nil {
				n++
			}
		}))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n != 100 {
		t.Errorf("%d of 100 completed by Close", n)
	}
	if err := s.Commit(&store.Batch{}, store.Async, nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit after close: %v", err)
	}
	if _, err := s.Get([]byte("a"), nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("get after close: %v", err)
	}
	if err := s.Scan(store.Range{}, func(_, _ []byte) bool { return true }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("scan after close: %v", err)
	}
	if st := s.State(); st.Mode != store.Closed {
		t.Errorf("state after close: %v", st.Mode)
	}
}
