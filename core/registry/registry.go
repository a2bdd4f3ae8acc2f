// Package registry maps a client id to the one owner of its session: takeover,
// kick, offline sessions, session expiry, will delay. It refuses to know packets
// on the wire and sockets.
//
// Lock order: shard.mu, then Client.mu. No hook, router or broker call is made
// under either.
package registry

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/metrics"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
)

const shards = 64

// Config is what a registry needs of its neighbours.
type Config struct {
	Hooks  *hook.Points
	Router *router.Router
	// PublishWill publishes a will through the publisher's pipeline, authorised
	// at that moment. It may block.
	PublishWill func(b *router.Batch, w *Will)
	// Redispatch gives a shared delivery to another member of its group and tells
	// whether there was one.
	Redispatch func(b *router.Batch, d message.Delivery, gone router.Subscriber) bool
	// Metrics takes what happens in batches of the registry's own, and the gauges
	// of connections and sessions; nil: nobody asks.
	Metrics *metrics.Registry
	// Journal is where sessions survive; nil: none does.
	Journal *journal.Journal
	// Readers is how many goroutines read the disk for clients that come back, beside
	// the event loops; 0: the event loops do.
	Readers int
	// Zone finds what a recovered session needs of its zone, which may be gone: the
	// sessions' configuration and the Zone of its will. nil without a Journal.
	Zone func(name string, v packet.Version) (*session.Config, any)
}

// Registry holds the node's clients. Safe for concurrent use.
type Registry struct {
	// Immutable after New.
	cfg  Config
	seed maphash.Seed

	shards     [shards]shard
	background background
	timers     timers
	online     *metrics.Gauge
	total      *metrics.Gauge
	scratch    sync.Pool     // *session.Effects
	parts      sync.Pool     // *part
	sids       atomic.Uint64 // the last number of a durable session
	blocks     atomic.Uint64 // the last number of a block
}

type shard struct {
	mu      sync.Mutex
	clients map[string]*Client // guarded by mu
}

// New returns an empty registry. Call Run to make time pass.
func New(cfg Config) *Registry {
	if cfg.Metrics == nil {
		cfg.Metrics = metrics.New(1)
	}
	gauges := &cfg.Metrics.Gauges
	r := &Registry{cfg: cfg, seed: maphash.MakeSeed(), online: &gauges.Connections, total: &gauges.Sessions}
	for i := range r.shards {
		r.shards[i].clients = make(map[string]*Client)
	}
	r.parts.New = func() any { return new(part) }
	r.scratch.New = func() any { return new(session.Effects) }
	r.background.most = cfg.Readers
	r.timers.changed = make(chan struct{}, 1)
	return r
}

func (r *Registry) shard(id string) *shard {
	return &r.shards[maphash.String(r.seed, id)%shards]
}

// ClaimRequest is a connection's wish to own a client id's session.
type ClaimRequest struct {
	ID      string
	Clean   bool // end an existing session first [MQTT-3.1.2-4]
	Runner  Runner
	Session *session.Config // of a new session
	Info    *hook.Client    // the connection's facts; nil: unknown
	// Done is called once if Claim had no answer yet: in another client's turn,
	// with that turn's batch and no lock held. It must not block.
	Done func(*router.Batch, Claim)
}

// Claim is the answer to a ClaimRequest.
type Claim struct {
	Client     *Client // attached to the request's runner; nil: superseded
	Present    bool    // an existing session was resumed: Session Present
	Superseded bool    // a newer connection with the id has come meanwhile
}

// Claim attaches q's runner to the session of q.ID. When another connection
// owns it, that one is told to leave (0x8E) and the answer comes through
// q.Done; else it is returned at once.
func (r *Registry) Claim(b *router.Batch, q *ClaimRequest) (answer Claim, done bool) {
	sh := r.shard(q.ID)
	sh.mu.Lock()
	c := sh.clients[q.ID]
	if c == nil {
		c = r.insert(sh, q, b.Now)
		sh.mu.Unlock()
		return Claim{Client: c}, true
	}
	c.mu.Lock()
	if c.runner == nil {
		answer, after := r.take(sh, c, q, b.Now)
		c.mu.Unlock()
		sh.mu.Unlock()
		after(b)
		return answer, true
	}
	runner, older, wake := c.runner, c.waiting, c.evict == 0
	c.waiting = q
	if wake {
		c.evict = packet.SessionTakenOver
	}
	c.mu.Unlock()
	sh.mu.Unlock()
	if older != nil {
		older.Done(b, Claim{Superseded: true})
	}
	if wake {
		runner.Wake(b)
	}
	return Claim{}, false
}

// insert makes a new client for q. sh.mu is held.
func (r *Registry) insert(sh *shard, q *ClaimRequest, now int64) *Client {
	c := &Client{id: q.ID, reg: r, runner: q.Runner, info: q.Info, sess: session.New(q.ID, q.Session, now)}
	sh.clients[q.ID] = c
	r.online.Add(1)
	r.total.Add(1)
	return c
}

// take gives an offline client's session, or a new one in its place, to q. The
// caller holds sh.mu and c.mu and calls after when it has let go of both.
func (r *Registry) take(sh *shard, c *Client, q *ClaimRequest, now int64) (answer Claim, after func(*router.Batch)) {
	off := c.offline
	c.offline = nil
	r.timers.set(c, 0)
	if q.Clean {
		fresh := r.replace(sh, c, q, now)
		return Claim{Client: fresh}, func(b *router.Batch) { r.end(b, c, off, endDiscarded) }
	}
	c.runner, c.info, c.evict = q.Runner, q.Info, 0
	r.online.Add(1)
	// A pending will dies with the new connection [MQTT-3.1.3-9].
	return Claim{Client: c, Present: true}, func(*router.Batch) {}
}

// replace puts a new client into c's place. sh.mu and c.mu are held.
func (r *Registry) replace(sh *shard, c *Client, q *ClaimRequest, now int64) *Client {
	c.closed = true
	r.total.Add(-1)
	return r.insert(sh, q, now)
}

// Lookup returns the client of an id, nil if there is none.
func (r *Registry) Lookup(id string) *Client {
	sh := r.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.clients[id]
}

// Each calls fn for every client until it returns false. fn runs without locks.
func (r *Registry) Each(fn func(*Client) bool) {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		some := make([]*Client, 0, len(sh.clients))
		for _, c := range sh.clients {
			some = append(some, c)
		}
		sh.mu.Unlock()
		for _, c := range some {
			if !fn(c) {
				return
			}
		}
	}
}

// Online is the number of connected clients, Sessions that of all sessions.
func (r *Registry) Online() int { return int(r.online.Value()) }

// Sessions is the number of sessions, with a connection or without.
func (r *Registry) Sessions() int { return int(r.total.Value()) }

// EvictAll asks every connected client to leave with the reason code and
// returns how many it asked.
func (r *Registry) EvictAll(reason packet.ReasonCode) (n int) {
	r.Each(func(c *Client) bool {
		if c.Evict(reason) {
			n++
		}
		return true
	})
	return n
}

// Run makes wills and sessions come due until ctx ends.
func (r *Registry) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(r.timers.untilNext(time.Now().UnixNano()))
		select {
		case <-ctx.Done():
			return nil
		case <-r.timers.changed:
		case <-timer.C:
			b := &router.Batch{Now: time.Now().UnixNano()}
			r.Due(b)
			b.Flush()
			r.cfg.Metrics.Stripe(0).Flush(&b.Count)
		}
	}
}

// Due publishes the wills and ends the sessions whose time has come at b.Now.
// Run calls it; without Run its caller turns the clock.
func (r *Registry) Due(b *router.Batch) {
	for _, c := range r.timers.due(b.Now) {
		r.expire(b, c)
	}
}

func (r *Registry) effects() *session.Effects { return r.scratch.Get().(*session.Effects) }

// reportDrops counts e's drops, tells the hooks of them and frees e.
func (r *Registry) reportDrops(b *router.Batch, id string, info *hook.Client, e *session.Effects) {
	for i := range e.Drops {
		b.Count.Dropped(e.Drops[i].Reason)
	}
	if chain := r.cfg.Hooks.MessageDropped.Chain(); chain != nil {
		for i := range e.Drops {
			ev := hook.MessageEvent{Client: info, ClientID: id, Msg: e.Drops[i].Msg, Reason: e.Drops[i].Reason}
			for _, told := range chain {
				told(&ev)
			}
		}
	}
	e.Reset()
	r.scratch.Put(e)
}

func (r *Registry) drop(b *router.Batch, id string, m *message.Message, reason string) {
	b.Count.Dropped(reason)
	for _, told := range r.cfg.Hooks.MessageDropped.Chain() {
		told(&hook.MessageEvent{ClientID: id, Msg: m, Reason: reason})
	}
}
