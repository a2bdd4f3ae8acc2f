package listener

import (
	"container/list"
	"net"
	"sync"
	"sync/atomic"
)

// handshakes are the connections of a listener that are not MQTT streams yet,
// each with a goroutine. There are never more than limit: the oldest makes room,
// so that strangers who dawdle cannot keep others out.
type handshakes struct {
	mu      sync.Mutex // guards what follows
	limit   int
	pending *list.List // of net.Conn, oldest first
	stopped bool

	pushed atomic.Int64 // those that made room
	group  sync.WaitGroup
}

func newHandshakes(limit int) *handshakes {
	return &handshakes{limit: limit, pending: list.New()}
}

func (h *handshakes) setLimit(limit int) {
	h.mu.Lock()
	h.limit = limit
	h.mu.Unlock()
}

// start runs f, which owns nc, on its own goroutine.
func (h *handshakes) start(nc net.Conn, f func()) {
	h.mu.Lock()
	for h.pending.Len() >= max(h.limit, 1) {
		oldest := h.pending.Front()
		h.pending.Remove(oldest)
		h.pushed.Add(1)
		_ = oldest.Value.(net.Conn).Close() // its f fails and ends; TCP sockets close without waiting
	}
	e := h.pending.PushBack(nc)
	if h.stopped {
		_ = nc.Close()
	}
	h.mu.Unlock()
	h.group.Go(func() {
		defer h.remove(e)
		f()
	})
}

// remove is fine with one that was pushed out.
func (h *handshakes) remove(e *list.Element) {
	h.mu.Lock()
	h.pending.Remove(e)
	h.mu.Unlock()
}

// stop closes what is pending and waits for the goroutines.
func (h *handshakes) stop() {
	h.mu.Lock()
	h.stopped = true
	for e := h.pending.Front(); e != nil; e = e.Next() {
		_ = e.Value.(net.Conn).Close()
	}
	h.mu.Unlock()
	h.group.Wait()
}
