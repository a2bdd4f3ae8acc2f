// Package router knows who is subscribed to what: filters to local subscribers
// and shared groups. Exact filters are in a sharded hash, filters with
// wildcards in a trie; whoever matches a topic never waits for whoever
// subscribes. It refuses to know sessions, permissions and packets, and to
// send anything itself.
package router

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/topic"
)

// shards is how many parts the exact filters have, so that subscribers seldom
// wait for each other. A power of two.
const shards = 64

// Config is the router's frozen configuration.
type Config struct {
	Strategy        Strategy            // of shared groups; default Random
	GroupStrategies map[string]Strategy // by group name, before Strategy
	Node            uint32              // this node's number in the cluster
}

// Router is the set of subscriptions of this node. All methods may be called
// by any goroutine.
type Router struct {
	// Immutable after New.
	seed maphash.Seed

	// Strategies are read with the lock of a part held, and replaced before the
	// groups of the part are changed under that lock.
	cfg atomic.Pointer[Config]

	exact [shards]shard
	wild  trie

	version  atomic.Uint64
	counts   counts
	watchers watchers
}

// shard holds the exact filters whose hash ends alike.
type shard struct {
	exact atomic.Pointer[table[entry]]
	mu    sync.Mutex // held by writers
	_     [48]byte   // a cache line of its own
}

// counts are the numbers of [Stats].
type counts struct {
	routes, subscriptions, shared atomic.Int64
}

// Stats are the sizes of the set.
type Stats struct {
	Routes        int // filters, and shared groups, with at least one subscriber
	Subscriptions int // all subscriptions
	Shared        int // those in shared groups
}

// New returns an empty router.
func New(cfg Config) *Router {
	r := &Router{seed: maphash.MakeSeed()}
	r.cfg.Store(&cfg)
	r.wild.seed = r.seed
	return r
}

// Subscribe adds s, or replaces the subscription with the same subscriber,
// share group and filter. s.Filter is valid. s belongs to the router from here
// on; its Filter and Share may be changed to equal ones that are held already.
// It takes effect for every Match that begins after the return.
func (r *Router) Subscribe(s *Subscription) (replaced bool) {
	var ch change
	if topic.HasWildcard(s.Filter) {
		ch = r.addWild(s)
	} else {
		ch = r.addExact(s)
	}
	r.version.Add(1)
	r.counts.add(s.Share, ch, 1)
	if ch.edge {
		r.watchers.tell()
	}
	return ch.old != nil
}

func (r *Router) addExact(s *Subscription) change {
	h := hash(r.seed, s.Filter)
	sh := r.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := find(sh.exact.Load(), h, s.Filter)
	isNew := e == nil
	if isNew {
		e = new(entry)
	}
	ch := e.add(s, r.strategy(s.Share))
	if isNew {
		put(&sh.exact, h, e)
	}
	r.watchers.note(s, ch, true)
	return ch
}

func (r *Router) addWild(s *Subscription) change {
	r.wild.mu.Lock()
	defer r.wild.mu.Unlock()
	ch := r.wild.reach(s.Filter).add(s, r.strategy(s.Share))
	r.watchers.note(s, ch, true)
	return ch
}

// Unsubscribe removes the subscription of to with that share group (nil: none)
// and filter, and tells whether there was one. A Match that begins after the
// return does not find it.
func (r *Router) Unsubscribe(to Subscriber, share *message.Share, filter string) bool {
	var ch change
	if topic.HasWildcard(filter) {
		ch = r.removeWild(to, share, filter)
	} else {
		ch = r.removeExact(to, share, filter)
	}
	if ch.old == nil {
		return false
	}
	r.version.Add(1)
	r.counts.add(share, ch, -1)
	if ch.edge {
		r.watchers.tell()
	}
	return true
}

func (r *Router) removeExact(to Subscriber, share *message.Share, filter string) change {
	h := hash(r.seed, filter)
	sh := r.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s, e := seek(sh.exact.Load(), h, filter)
	if s == nil {
		return change{}
	}
	ch := e.remove(to, share)
	if e.empty() {
		erase(&sh.exact, s)
	}
	r.watchers.note(ch.old, ch, false)
	return ch
}

func (r *Router) removeWild(to Subscriber, share *message.Share, filter string) change {
	r.wild.mu.Lock()
	defer r.wild.mu.Unlock()
	at, ok := r.wild.lookup(filter)
	if !ok {
		return change{}
	}
	e := at.n.entryOf(at.deep)
	ch := e.remove(to, share)
	if ch.old != nil && e.empty() {
		r.wild.tidy(at)
	}
	r.watchers.note(ch.old, ch, false)
	return ch
}

// Version changes after every change of the set: whoever has read it before a
// Match may use the answer until it differs. The answer then lacks no
// subscription whose Subscribe has returned.
func (r *Router) Version() uint64 { return r.version.Load() }

// Stats counts routes and subscriptions.
func (r *Router) Stats() Stats {
	return Stats{
		Routes:        int(r.counts.routes.Load()),
		Subscriptions: int(r.counts.subscriptions.Load()),
		Shared:        int(r.counts.shared.Load()),
	}
}

// add counts a change; by is 1 or -1.
func (c *counts) add(share *message.Share, ch change, by int64) {
	if ch.edge {
		c.routes.Add(by)
	}
	if by > 0 && ch.old != nil {
		return
	}
	c.subscriptions.Add(by)
	if share != nil {
		c.shared.Add(by)
	}
}

// shard returns the part of the exact filters that a hash belongs to.
func (r *Router) shard(h uint64) *shard { return &r.exact[h>>58] }
