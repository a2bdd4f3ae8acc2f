package server

import (
	"context"
	"runtime/debug"
	"time"
)

// footprint gives memory back that was needed once: after the start, and after many
// clients have connected. A handshake leaves garbage (by TLS some 10 KB), and the
// collector lets the heap grow to twice what lives before it looks; connections
// that stay idle make no garbage that would bring it there.
type footprint struct {
	open func() int // connections
	// Owned by Run.
	given int // open when memory was given back last
	last  int // open a look ago
}

const (
	// footprintLook is how often the connections are counted.
	footprintLook = 2 * time.Second
	// footprintClients is how many more of them, and a quarter of all, are worth a
	// collection.
	footprintClients = 1000
)

func newFootprint(open func() int) *footprint { return &footprint{open: open} }

// Run gives back what the start needed, and then looks until ctx ends.
func (f *footprint) Run(ctx context.Context) error {
	debug.FreeOSMemory() // compiling plugins takes tens of MB that nobody needs any more
	tick := time.NewTicker(footprintLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if f.due(f.open()) {
				debug.FreeOSMemory()
			}
		}
	}
}

// due tells that many clients have connected and that they have stopped to: a
// collection in the middle of a ramp would be repeated after it.
func (f *footprint) due(open int) bool {
	rising := open > f.last+f.last/50
	f.last = open
	f.given = min(f.given, open)
	more := open - f.given
	if rising || more < footprintClients || more < open/4 {
		return false
	}
	f.given = open
	return true
}
