package cluster

import (
	"context"
	"sync"
)

// leases hands out the leases of one process.
type leases struct {
	closed chan struct{} // closed by close

	mu    sync.Mutex
	held  map[string]*lease // guarded by mu
	token uint64            // guarded by mu
	done  bool              // guarded by mu
}

type lease struct {
	of    *leases
	name  string
	token uint64
	lost  chan struct{}
}

// Acquire waits for the lease's holder, ctx or the end of the fabric.
func (l *leases) Acquire(ctx context.Context, name string) (Lease, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l.mu.Lock()
		if l.done {
			l.mu.Unlock()
			return nil, ErrClosed
		}
		holder := l.held[name]
		if holder == nil {
			l.token++
			mine := &lease{of: l, name: name, token: l.token, lost: make(chan struct{})}
			l.held[name] = mine
			l.mu.Unlock()
			return mine, nil
		}
		l.mu.Unlock()
		select {
		case <-holder.lost:
		case <-ctx.Done():
		case <-l.closed:
		}
	}
}

func (l *leases) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return
	}
	l.done = true
	close(l.closed)
	for _, h := range l.held {
		close(h.lost)
	}
	l.held = nil
}

// Token is the lease's number.
func (h *lease) Token() uint64 { return h.token }

// Lost is closed when the lease has ended.
func (h *lease) Lost() <-chan struct{} { return h.lost }

// Release lets the next one in.
func (h *lease) Release() {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	if h.of.held[h.name] == h {
		delete(h.of.held, h.name)
		close(h.lost)
	}
}
