package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dunlinmq/dunlin/core/cluster"
)

func open() *cluster.Single {
	return cluster.NewSingle(cluster.NodeID{Node: 1, Incarnation: 1}, "dunlin@127.0.0.1")
}

// TestKVHammer: many writers count up one key by compare and set; every watcher
// sees each revision once and in order.
func TestKVHammer(t *testing.T) {
	f, ctx := open(), context.Background()
	const writers, each = 8, 200
	var seen [3][]uint64
	for i := range seen {
		f.KV().Watch("n", func(e cluster.Entry) { seen[i] = append(seen[i], e.Revision) })
	}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for n := 0; n < each; {
				e, err := f.KV().Get(ctx, "n")
				if err != nil && !errors.Is(err, cluster.ErrNoKey) {
					t.Error(err)
					return
				}
				var count int
				_, _ = fmt.Sscan(string(e.Value), &count)
				_, err = f.KV().Put(ctx, "n", fmt.Append(nil, count+1), e.Revision)
				switch {
				case err == nil:
					n++
				case !errors.Is(err, cluster.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if e, _ := f.KV().Get(ctx, "n"); string(e.Value) != fmt.Sprint(writers*each) {
		t.Errorf("counted %s", e.Value)
	}
	if err := f.Close(); err != nil { // also a barrier for what the watchers wrote
		t.Fatal(err)
	}
	for i, revs := range seen {
		for j, r := range revs {
			if r != uint64(j+1) {
				t.Fatalf("watcher %d: event %d has revision %d", i, j, r)
			}
		}
		if len(revs) != writers*each {
			t.Errorf("watcher %d saw %d events", i, len(revs))
		}
	}
}

// TestLeaseHammer: never two holders, and the tokens grow.
func TestLeaseHammer(t *testing.T) {
	f, ctx := open(), context.Background()
	var holders atomic.Int32
	var last atomic.Uint64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				l, err := f.Leases().Acquire(ctx, "x")
				if err != nil {
					t.Error(err)
					return
				}
				if holders.Add(1) != 1 {
					t.Error("two holders")
				}
				if was := last.Swap(l.Token()); was >= l.Token() {
					t.Errorf("token %d after %d", l.Token(), was)
				}
				holders.Add(-1)
				l.Release()
			}
		})
	}
	wg.Wait()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestStopInsideWatch: a watcher may end itself.
func TestStopInsideWatch(t *testing.T) {
	f, ctx := open(), context.Background()
	events, stop := 0, func() {}
	stop = f.KV().Watch("", func(cluster.Entry) { events++; stop() })
	for range 3 {
		if _, err := f.KV().Put(ctx, "a", nil, cluster.Any); err != nil {
			t.Fatal(err)
		}
	}
	if events != 1 {
		t.Errorf("%d events", events)
	}
}
