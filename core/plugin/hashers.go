package plugin

import (
	"context"
	"runtime"
	"slices"
	"sync"
)

// maxHashMemory bounds what comparisons of passwords under way take together.
const maxHashMemory = 512 << 20

// hashers bounds the comparisons of passwords that run at a time, for all plugins
// together: half of the cores, and a sum of memory. Those that wait get their
// turns in the order in which they came.
type hashers struct {
	mu     sync.Mutex
	free   int             // guarded by mu
	memory int64           // guarded by mu; what is left
	line   []*hasherWaiter // guarded by mu
}

// hasherWaiter is one that waits for a turn.
type hasherWaiter struct {
	bytes int64
	turn  chan struct{} // closed when the turn is given
}

func newHashers() *hashers {
	return &hashers{free: max(1, runtime.GOMAXPROCS(0)/2), memory: maxHashMemory}
}

// enter waits for a turn with so many bytes; false: ctx has ended first.
func (h *hashers) enter(ctx context.Context, bytes int64) bool {
	w := &hasherWaiter{bytes: min(bytes, maxHashMemory), turn: make(chan struct{})}
	h.mu.Lock()
	h.line = append(h.line, w)
	h.next()
	h.mu.Unlock()
	select {
	case <-w.turn:
		return true
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.line, w); i >= 0 {
		h.line = slices.Delete(h.line, i, i+1)
	} else {
		h.give(w.bytes) // the turn came at the same moment
	}
	h.next()
	return false
}

// leave gives a turn back.
func (h *hashers) leave(bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.give(min(bytes, maxHashMemory))
	h.next()
}

// give takes back what a turn had. mu is held.
func (h *hashers) give(bytes int64) {
	h.free++
	h.memory += bytes
}

// next gives turns to the first in the line while there are any. mu is held.
func (h *hashers) next() {
	for len(h.line) > 0 && h.free > 0 && h.line[0].bytes <= h.memory {
		h.free--
		h.memory -= h.line[0].bytes
		close(h.line[0].turn)
		h.line = slices.Delete(h.line, 0, 1)
	}
}
