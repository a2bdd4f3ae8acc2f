package wasm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// count is the guest's own counter of a key's shard, after adding one.
func count(t *testing.T, p *Plugin, key uint64) uint32 {
	t.Helper()
	c := frame(key, 30)
	call(t, p, c)
	v, err := c.Verdict(0)
	if err != nil {
		t.Fatal(err)
	}
	return v.CacheTTL
}

// A connection always meets the same guest instance; keys spread over all of
// them, and instances are made when they are needed.
func TestAffinity(t *testing.T) {
	p := open(t, 4, spec(t, read(t, "acts.wasm")))
	if n := p.Status().Instances; n != 1 {
		t.Errorf("%d instances before the first call", n)
	}
	sums := map[*shard]uint32{}
	for round := 0; round < 3; round++ {
		for key := uint64(1); key <= 40; key++ {
			sh := p.shard(key)
			sums[sh]++
			if got := count(t, p, key); got != sums[sh] {
				t.Fatalf("key %d counts %d, want %d", key, got, sums[sh])
			}
		}
	}
	if len(sums) != 4 || p.Status().Instances != 4 {
		t.Errorf("%d shards in use, %d instances", len(sums), p.Status().Instances)
	}
}

func TestShards(t *testing.T) {
	for _, c := range []struct {
		m    manifest.Manifest
		want int
	}{
		{manifest.Manifest{}, 4}, {manifest.Manifest{MaxInstances: 2}, 2}, {manifest.Manifest{MaxInstances: 9}, 4},
		{manifest.Manifest{State: manifest.StateShared}, 1},
	} {
		s := spec(t, read(t, "acts.wasm"))
		c.m.MemoryPages, s.Manifest = 64, &c.m
		if p := open(t, 4, s); len(p.shards) != c.want {
			t.Errorf("%+v: %d shards, want %d", c.m, len(p.shards), c.want)
		}
	}
}

// Many goroutines, some of them with poison: every record gets its own answer.
func TestHammer(t *testing.T) {
	p := open(t, 2, spec(t, read(t, "acts.wasm")))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 300 {
				act := uint32(i % 3)
				poison := g == 0 && i%30 == 7
				acts := []uint32{act, act, act}
				if poison {
					acts[1] = 10
				}
				c := frame(uint64(g*1000+i), acts...)
				if err := p.Call(context.Background(), c); err != nil {
					t.Errorf("call: %v", err)
					return
				}
				for r := range 3 {
					v, err := c.Verdict(r)
					if bad := poison && r == 1; bad != (err != nil) || (err == nil && v.Action != contract.Action(act)) {
						t.Errorf("goroutine %d call %d record %d: %v, %v", g, i, r, v.Action, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if s := p.Status(); s.Calls != 2400 || s.Records != 7200 {
		t.Errorf("status %+v", s)
	}
}

// New versions are opened beside the old one, swapped in, and the old one is
// closed while calls come in: none of them fails.
func TestReloadUnderLoad(t *testing.T) {
	tr := transport(t, 2)
	fresh := func() *Plugin {
		in, err := tr.Open(context.Background(), spec(t, read(t, "acts.wasm")))
		if err != nil {
			t.Fatal(err)
		}
		return in.(*Plugin)
	}
	var current atomic.Pointer[Plugin]
	current.Store(fresh())
	var wg sync.WaitGroup
	var stop atomic.Bool
	var calls atomic.Int64
	for g := range 4 {
		wg.Go(func() {
			for key := uint64(g); !stop.Load(); key++ {
				c := frame(key, 1)
				err := plugin.ErrClosed
				for errors.Is(err, plugin.ErrClosed) { // then there is a newer one
					err = current.Load().Call(context.Background(), c)
				}
				if v, verr := c.Verdict(0); err != nil || verr != nil || v.Action != contract.Allow {
					t.Errorf("call failed: %v, %v", err, verr)
				}
				calls.Add(1)
			}
		})
	}
	for range 30 {
		next := fresh()
		old := current.Swap(next)
		if err := old.HandOver(next); err != nil {
			t.Error(err)
		}
		if err := old.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d calls over 30 reloads", calls.Load())
	if err := current.Load().Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// The state of each shard goes from version to version.
func TestHandOver(t *testing.T) {
	a, b := open(t, 3, spec(t, read(t, "acts.wasm"))), open(t, 3, spec(t, read(t, "acts.wasm")))
	for key := uint64(0); key < 12; key++ {
		count(t, a, key)
	}
	sums := map[*shard]uint32{}
	for key := uint64(0); key < 12; key++ {
		sums[b.shard(key)]++
	}
	if err := a.HandOver(b); err != nil {
		t.Fatal(err)
	}
	for key := uint64(0); key < 12; key++ {
		sums[b.shard(key)]++
		if got := count(t, b, key); got != sums[b.shard(key)] {
			t.Errorf("key %d counts %d, want %d", key, got, sums[b.shard(key)])
		}
	}
	if err := a.Call(context.Background(), frame(1, 1)); !errors.Is(err, plugin.ErrClosed) {
		t.Errorf("the old version answers: %v", err)
	}
	if err := a.HandOver(nil); err != nil {
		t.Error(err)
	}
}

func TestClose(t *testing.T) {
	p := open(t, 2, spec(t, read(t, "acts.wasm")))
	for key := uint64(0); key < 9; key++ {
		count(t, p, key)
	}
	for range 2 {
		if err := p.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Call(context.Background(), frame(1, 1)); !errors.Is(err, plugin.ErrClosed) {
		t.Errorf("err = %v", err)
	}
	if s := p.Status(); s.State != plugin.StateClosed || s.Instances != 0 || s.Memory != 0 {
		t.Errorf("status %+v", s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Call(ctx, frame(1, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

// A frame that lies about its records is the caller's fault and stops nobody.
func TestBadFrame(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	for _, f := range [][]byte{nil, make([]byte, 10), make([]byte, 40), {0xff, 0xff, 0xff, 0xff, 39: 0}} {
		if err := p.Call(context.Background(), &plugin.Call{Frame: f, N: 1}); err == nil {
			t.Errorf("frame %x was taken", f)
		}
	}
	if v, err := one(t, p, 1); err != nil || v.Action != contract.Allow {
		t.Errorf("%v, %v", v.Action, err)
	}
}
