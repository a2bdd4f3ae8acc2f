package wasm

import (
	"context"
	"testing"
	"unsafe"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Memory keeps what is in it as it grows, reads as zeros where it is new, and ends at
// its limit, wherever it lies.
func TestMemoryGrows(t *testing.T) {
	const page = 64 << 10
	for _, where := range []string{"reserved", "heap"} {
		t.Run(where, func(t *testing.T) {
			m := &memory{limit: 3 * page}
			if where == "reserved" {
				m.Allocate(page, 3*page)
			}
			defer m.Free()
			b := m.Reallocate(page)
			if len(b) != page || cap(b) != page {
				t.Fatalf("%d bytes, room for %d", len(b), cap(b))
			}
			b[0], b[page-1] = 1, 2
			b = m.Reallocate(3 * page)
			if len(b) != 3*page || b[0] != 1 || b[page-1] != 2 || b[page] != 0 || b[3*page-1] != 0 {
				t.Fatal("grown memory is not what it was")
			}
			b[3*page-1] = 3
			if m.Reallocate(4*page) != nil {
				t.Error("it grew beyond the limit")
			}
			if b = m.Reallocate(3 * page); b[3*page-1] != 3 {
				t.Error("a refused growth has changed the memory")
			}
			m.Free()
			if m.Reallocate(page) != nil {
				t.Error("freed memory was given out")
			}
		})
	}
}

// A guest's memory stays in its place as it grows, up to the manifest's limit.
func TestGuestGrowsInPlace(t *testing.T) {
	s := spec(t, read(t, "acts.wasm"))
	s.Manifest = &manifest.Manifest{MemoryPages: 40}
	p := open(t, 1, s)
	g := p.shards[0].g
	if g.linear.space == nil {
		t.Log("guests live in the heap here")
		return
	}
	first, _ := g.mem.Read(0, 8)
	if _, ok := g.mem.Grow(38); !ok {
		t.Fatal("it did not grow")
	}
	again, _ := g.mem.Read(0, 8)
	if unsafe.SliceData(first) != unsafe.SliceData(again) {
		t.Error("growth has moved the memory")
	}
	if _, ok := g.mem.Grow(1); ok {
		t.Error("it grew beyond the limit")
	}
	if v, err := one(t, p, 1); err != nil || v.Action != contract.Allow {
		t.Errorf("afterwards: %v, %v", v.Action, err)
	}
	if n := p.Status().Memory; n != 40<<16 {
		t.Errorf("%d bytes reported", n)
	}
}

// Closing a guest twice, and one that was never made, is no harm.
func TestFreeTwice(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	g := p.shards[0].g
	_ = p.Close(context.Background())
	g.close()
	(&guest{p: p}).close()
}
