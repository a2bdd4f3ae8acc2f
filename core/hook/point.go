// Package hook holds the broker's hook points: typed fields with an ordered
// chain of callbacks each. Reading a chain takes no lock; an empty one costs
// one atomic load. What a callback may decide is in its event's fields; the
// package refuses to know how a callback is carried out (WASM, process, Go).
package hook

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// Spec says who a callback belongs to and how it behaves.
type Spec struct {
	Owner string // the plugin's name, for logs and metrics
	// Order is the place in the chain: lower runs first; equal orders run in the
	// order they were added. Plugins use their place in loaded_plugins.
	Order int
	// Blocking callbacks may wait (for another process, the network). A client
	// whose chain has one is run on a goroutine of its own, never on a shared loop.
	Blocking bool
}

type callback[F any] struct {
	spec Spec
	fn   F
	seq  uint64
}

type chain[F any] struct {
	fns       []F
	callbacks []callback[F]
	blocking  bool
}

// Point is one hook point: its callbacks in order. The zero Point is ready.
type Point[F any] struct {
	mu  sync.Mutex // serialises Add and remove
	seq uint64     // guarded by mu

	version atomic.Uint64
	chain   atomic.Pointer[chain[F]]
}

// Chain returns the callbacks in order; nil when there are none. The slice is
// never written again.
func (p *Point[F]) Chain() []F {
	c := p.chain.Load()
	if c == nil {
		return nil
	}
	return c.fns
}

// Blocking tells whether a callback of the chain may wait.
func (p *Point[F]) Blocking() bool {
	c := p.chain.Load()
	return c != nil && c.blocking
}

// Owners names the owners of the chain's callbacks, in order.
func (p *Point[F]) Owners() []string {
	c := p.chain.Load()
	if c == nil {
		return nil
	}
	names := make([]string, len(c.callbacks))
	for i, cb := range c.callbacks {
		names[i] = cb.spec.Owner
	}
	return names
}

// Add puts fn into the chain and returns the function that takes it out again.
// Calls that run when remove returns may still be inside fn.
func (p *Point[F]) Add(s Spec, fn F) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	id := p.seq
	p.set(append(p.current(), callback[F]{spec: s, fn: fn, seq: id}))
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.set(slices.DeleteFunc(p.current(), func(c callback[F]) bool { return c.seq == id }))
	}
}

// Version changes whenever answers of the chain may have changed: with the chain,
// and by Touch.
func (p *Point[F]) Version() uint64 { return p.version.Load() }

// Touch says that a callback may answer otherwise from now on.
func (p *Point[F]) Touch() { p.version.Add(1) }

// current returns a copy of the callbacks. mu is held.
func (p *Point[F]) current() []callback[F] {
	c := p.chain.Load()
	if c == nil {
		return nil
	}
	return slices.Clone(c.callbacks)
}

// set publishes a new chain. mu is held.
func (p *Point[F]) set(cbs []callback[F]) {
	defer p.Touch()
	if len(cbs) == 0 {
		p.chain.Store(nil)
		return
	}
	slices.SortFunc(cbs, func(a, b callback[F]) int {
		return cmp.Or(cmp.Compare(a.spec.Order, b.spec.Order), cmp.Compare(a.seq, b.seq))
	})
	c := &chain[F]{callbacks: cbs, fns: make([]F, len(cbs))}
	for i, cb := range cbs {
		c.fns[i] = cb.fn
		c.blocking = c.blocking || cb.spec.Blocking
	}
	p.chain.Store(c)
}
