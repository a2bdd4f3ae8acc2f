package pebble

import (
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/core/store"
)

// health is the state of a store. It gets worse by any goroutine; only Full and
// Ready change back.
type health struct {
	tell func(store.State) // may be nil

	telling sync.Mutex // held while tell is called; taken before mu
	mu      sync.Mutex
	now     store.State
}

func (h *health) set(m store.Mode, err error) {
	h.telling.Lock()
	defer h.telling.Unlock()
	h.mu.Lock()
	if m == h.now.Mode || h.now.Mode >= store.ReadOnly && m < h.now.Mode {
		h.mu.Unlock()
		return
	}
	h.now = store.State{Mode: m, Err: err, Since: time.Now()}
	st := h.now
	h.mu.Unlock()
	if h.tell != nil {
		h.tell(st)
	}
}

func (h *health) state() store.State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// full is why the store may not grow; nil if it may.
func (h *health) full() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now.Mode == store.Full {
		return h.now.Err
	}
	return nil
}

// readers counts who reads, so that Close can wait for them. One that reads may
// read again.
type readers struct {
	mu   sync.Mutex
	none *sync.Cond
	n    int
	shut bool
}

func (r *readers) init() { r.none = sync.NewCond(&r.mu) }

func (r *readers) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shut {
		return false
	}
	r.n++
	return true
}

func (r *readers) leave() {
	r.mu.Lock()
	if r.n--; r.n == 0 {
		r.none.Broadcast()
	}
	r.mu.Unlock()
}

func (r *readers) close() {
	r.mu.Lock()
	r.shut = true
	for r.n > 0 {
		r.none.Wait()
	}
	r.mu.Unlock()
}
