package server

import "testing"

// Memory is given back when much has been allocated and hardly more is, once, and
// again when as much has followed. Alloc is what a look sees as new.
func TestFootprintIsDueAfterARamp(t *testing.T) {
	const mb = 1 << 20
	f, allocated := newFootprint(nil, nil), uint64(0)
	for i, step := range []struct {
		alloc, live uint64
		due         bool
	}{
		{0, mb, false}, {mb, mb, false}, {mb, mb, false}, // calm, but too little
		{50 * mb, 20 * mb, false}, {90 * mb, 80 * mb, false}, {mb / 2, 80 * mb, true}, {mb / 2, 80 * mb, false}, // a ramp, its end, done
		{10 * mb, 80 * mb, false}, {mb, 80 * mb, false}, // more, but less than a quarter of what lives
		{10 * mb, 80 * mb, false}, {0, 80 * mb, true}, {0, 80 * mb, false},
		{100 * mb, mb, false}, {2 * mb, mb, false}, {2 * mb, mb, false}, // the collector has work by itself
		{0, mb, true},
	} {
		allocated += step.alloc
		if got := f.due(heap{allocated: allocated, live: step.live}); got != step.due {
			t.Errorf("look %d, %d allocated, %d live: due is %v", i, allocated, step.live, got)
		}
	}
}

// The figures are there under these names: a runtime that renames them panics here
// and not at an operator's.
func TestReadHeap(t *testing.T) {
	before := readHeap()
	keep := make([]byte, 10<<20)
	if after := readHeap(); after.allocated < before.allocated+uint64(len(keep)) {
		t.Errorf("%+v after %+v and %d bytes", after, before, len(keep))
	}
}
