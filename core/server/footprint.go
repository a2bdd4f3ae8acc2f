package server

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"go.uber.org/zap"
)

// footprint gives memory back that was needed once: after the start, and whenever
// much has been allocated and hardly anything is any more. Clients that have
// connected (a handshake leaves garbage, by TLS some 10 KB), subscriptions and
// retained messages let the heap grow to twice what lives before the collector
// looks, and when nothing follows them, nothing makes it look again.
type footprint struct {
	heap func() heap
	log  *zap.Logger
	// Owned by Run.
	given uint64 // allocated when memory was given back last
	last  uint64 // allocated a look ago
}

// heap is what the runtime tells of its memory, in bytes.
type heap struct {
	allocated uint64 // since the start
	live      uint64 // at the end of the last collection
}

const (
	// footprintLook is how often the heap is looked at.
	footprintLook = 2 * time.Second
	// footprintWorth is what must have been allocated, and a quarter of what lives, to
	// be worth a collection.
	footprintWorth = 8 << 20
	// footprintCalm is what may be allocated between two looks: a collection in the
	// middle of a ramp would be repeated after it, and while messages make garbage
	// the collector runs by itself.
	footprintCalm = 1 << 20
)

func newFootprint(h func() heap, log *zap.Logger) *footprint { return &footprint{heap: h, log: log} }

// readHeap asks the runtime; it costs some microseconds and stops nothing.
func readHeap() heap {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return heap{allocated: s[0].Value.Uint64(), live: s[1].Value.Uint64()}
}

// Run gives back what the start needed, and then looks until ctx ends.
func (f *footprint) Run(ctx context.Context) error {
	debug.FreeOSMemory() // compiling plugins takes tens of MB that nobody needs any more
	f.given = f.heap().allocated
	f.last = f.given
	f.drop()
	tick := time.NewTicker(footprintLook)
	defer tick.Stop()
	for starting := true; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if starting { // on a busy machine the other parts start after the first time
				starting = false
				f.drop()
			}
			if f.due(f.heap()) {
				debug.FreeOSMemory()
			}
		}
	}
}

func (f *footprint) drop() {
	if _, err := dropProgram(); err != nil {
		f.log.Warn("pages of the program that only the start needed stay resident", zap.Error(err))
	}
}

// due tells that enough has been allocated since memory was given back, and that
// it has stopped.
func (f *footprint) due(h heap) bool {
	calm := h.allocated-f.last <= footprintCalm
	f.last = h.allocated
	if !calm || h.allocated-f.given < max(footprintWorth, h.live/4) {
		return false
	}
	f.given = h.allocated
	return true
}
