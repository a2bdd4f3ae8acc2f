package router

import (
	"slices"
	"sync"
	"sync/atomic"
)

// RouteEvent tells that a route has got its first subscriber or lost its last.
type RouteEvent struct {
	Filter string
	Group  string // of shared subscriptions; "" for ordinary ones
	Added  bool
}

// watchers are those who follow the routes.
type watchers struct {
	mu   sync.Mutex // held by Watch and its stop
	list atomic.Pointer[[]*watcher]
}

// watcher is one follower.
type watcher struct {
	fn func([]RouteEvent)

	// Guarded by mu, which is taken inside the router's other locks.
	mu      sync.Mutex
	pending []RouteEvent
	telling bool // a goroutine is calling fn
}

// Watch calls fn with all routes that there are, and then with every change, in
// batches and in order; never twice at the same time. fn runs on the goroutine
// of whoever has changed the set: it must be quick, keeps no reference to the
// slice, and may call the router. stop ends it; a call of fn that is under way
// may outlast stop.
func (r *Router) Watch(fn func([]RouteEvent)) (stop func()) {
	w := &watcher{fn: fn}
	ws := &r.watchers
	ws.mu.Lock()
	r.lockAll()
	r.routes(func(e *entry) {
		e.each(func(s *Subscription) bool {
			ev := RouteEvent{Filter: s.Filter, Added: true}
			if s.Share != nil {
				ev.Group = s.Share.Group
			}
			if n := len(w.pending); n == 0 || w.pending[n-1] != ev {
				w.pending = append(w.pending, ev)
			}
			return true
		})
	})
	list := append(slices.Clone(ws.all()), w)
	ws.list.Store(&list)
	r.unlockAll()
	ws.mu.Unlock()
	w.tell()
	return func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		list := slices.DeleteFunc(slices.Clone(ws.all()), func(x *watcher) bool { return x == w })
		ws.list.Store(&list)
	}
}

// lockAll stops all writers. Lock order: shards in order, the trie, watchers.
func (r *Router) lockAll() {
	for i := range r.exact {
		r.exact[i].mu.Lock()
	}
	r.wild.mu.Lock()
}

func (r *Router) unlockAll() {
	r.wild.mu.Unlock()
	for i := range r.exact {
		r.exact[i].mu.Unlock()
	}
}

func (ws *watchers) all() []*watcher {
	if l := ws.list.Load(); l != nil {
		return *l
	}
	return nil
}

// note remembers a change. The lock of the part that it was made in is held,
// so that the changes of one filter are noted in order.
func (ws *watchers) note(s *Subscription, ch change, added bool) {
	if !ch.edge {
		return
	}
	for _, w := range ws.all() {
		ev := RouteEvent{Filter: s.Filter, Added: added}
		if s.Share != nil {
			ev.Group = s.Share.Group
		}
		w.mu.Lock()
		w.pending = append(w.pending, ev)
		w.mu.Unlock()
	}
}

// tell hands out what was noted. No lock is held.
func (ws *watchers) tell() {
	for _, w := range ws.all() {
		w.tell()
	}
}

// tell calls fn until nothing is pending, unless another goroutine does.
func (w *watcher) tell() {
	w.mu.Lock()
	if w.telling {
		w.mu.Unlock()
		return
	}
	w.telling = true
	for len(w.pending) > 0 {
		batch := w.pending
		w.pending = nil
		w.mu.Unlock()
		w.fn(batch)
		w.mu.Lock()
	}
	w.telling = false
	w.mu.Unlock()
}
