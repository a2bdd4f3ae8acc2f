package plugin

import (
	"context"
	"runtime"
	"sync"
)

// maxHashMemory bounds what comparisons of passwords under way take together.
const maxHashMemory = 512 << 20

// hashers bounds the comparisons of passwords that run at a time, for all plugins
// together: half of the cores, and a sum of memory.
type hashers struct {
	mu     sync.Mutex
	free   int
	memory int64
	turn   chan struct{} // closed and replaced when something is given back
}

func newHashers() *hashers {
	return &hashers{free: max(1, runtime.GOMAXPROCS(0)/2), memory: maxHashMemory, turn: make(chan struct{})}
}

// enter waits for a turn with so many bytes; false: ctx has ended first.
func (h *hashers) enter(ctx context.Context, bytes int64) bool {
	for {
		h.mu.Lock()
		if h.free > 0 && h.memory >= bytes {
			h.free--
			h.memory -= bytes
			h.mu.Unlock()
			return true
		}
		turn := h.turn
		h.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
			return false
		}
	}
}

// leave gives a turn back.
func (h *hashers) leave(bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free++
	h.memory += bytes
	close(h.turn)
	h.turn = make(chan struct{})
}
