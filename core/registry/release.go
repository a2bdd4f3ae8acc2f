package registry

import (
	"math"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/topic"
)

// NeverExpires is the session expiry interval of a session without end
// [MQTT-3.1.2.11.2].
const NeverExpires = math.MaxUint32

// Departure says how a connection leaves its session.
type Departure struct {
	Info   *hook.Client
	Expiry uint32 // seconds the session goes on; 0: it ends now; NeverExpires
	Will   *Will  // nil: none to publish
	Delay  uint32 // of the will, seconds
}

// Release takes the runner off c: the connection is gone. The session goes to a
// waiting connection, stays offline, or ends. For the attached runner's turn,
// once; the caller has detached the session.
func (r *Registry) Release(b *router.Batch, c *Client, d Departure) {
	sh := r.shard(c.id)
	e := r.effects()
	sh.mu.Lock()
	c.mu.Lock()
	box := c.inbox
	c.inbox, c.woken, c.runner, c.info, c.evict = nil, false, nil, nil, 0
	r.online.Add(-1)
	waiting := c.waiting
	c.waiting = nil
	shared := r.keepMail(b.Now, c, box, e)
	c.settle(b, e)
	for i := range shared {
		c.remove(b, shared[i].Seq)
	}
	finish := r.handOver(b, leaving{sh, c, waiting, d})
	c.mu.Unlock()
	sh.mu.Unlock()

	r.reportDrops(b, c.id, d.Info, e)
	for _, m := range shared {
		if m.Seq = 0; !r.cfg.Redispatch(b, m, c) {
			c.Deliver(b, m)
		}
	}
	finish(b)
}

// leaving is a connection on its way out of its session.
type leaving struct {
	sh      *shard
	c       *Client
	waiting *ClaimRequest // who wants the session; nil: nobody
	d       Departure
}

// handOver decides what becomes of a session without a runner, and returns what
// is left to do without locks. sh.mu and c.mu are held.
func (r *Registry) handOver(b *router.Batch, l leaving) (finish func(*router.Batch)) {
	sh, c, waiting, d, now := l.sh, l.c, l.waiting, l.d, b.Now
	off := &offline{info: d.Info, will: d.Will, left: now, expiry: d.Expiry}
	willNow := d.Will != nil && d.Delay == 0
	switch {
	case waiting != nil && (waiting.Clean || d.Expiry == 0):
		fresh := r.replace(sh, c, waiting, now)
		return func(b *router.Batch) {
			r.end(b, c, off, endDiscarded)
			waiting.Done(b, Claim{Client: fresh})
		}
	case waiting != nil:
		c.runner, c.info = waiting.Runner, waiting.Info
		r.online.Add(1)
		return func(b *router.Batch) {
			if willNow {
				r.cfg.PublishWill(b, d.Will)
			}
			b.Count.SessionTakenOver++
			r.told(&r.cfg.Hooks.SessionTakenOver, c, d.Info)
			waiting.Done(b, Claim{Client: c, Present: true})
		}
	case d.Expiry == 0:
		c.closed = true
		delete(sh.clients, c.id)
		r.total.Add(-1)
		return func(b *router.Batch) { r.end(b, c, off, endExpired) }
	}
	c.offline = off
	r.arm(now, c, d)
	c.leave(b)
	return func(b *router.Batch) {
		if willNow {
			r.cfg.PublishWill(b, d.Will)
		}
	}
}

// arm sets the times of c's departure. c.mu is held.
func (r *Registry) arm(now int64, c *Client, d Departure) {
	off := c.offline
	if d.Expiry != NeverExpires {
		off.expiresAt = now + int64(d.Expiry)*int64(time.Second)
	}
	if d.Delay == 0 {
		off.will = nil // published by the caller
	}
	// The will is due at the session's end if that comes first [MQTT-3.1.3.2.2].
	off.willAt = now + int64(min(d.Delay, d.Expiry))*int64(time.Second)
	r.timers.set(c, off.next())
}

// keepMail puts what the runner has not drained into the session, except for
// shared deliveries, which it returns: another member may be online. c.mu is
// held and the session is detached.
func (r *Registry) keepMail(now int64, c *Client, box *Mailbox, e *session.Effects) (shared []message.Delivery) {
	if box == nil {
		return nil
	}
	for _, cmd := range box.Commands {
		cmd(nil)
	}
	for _, m := range box.Deliveries {
		if m.Share != nil {
			shared = append(shared, m)
			continue
		}
		c.sess.Deliver(now, m, e)
	}
	box.Free()
	return shared
}

// expire does what is due for an offline client: its will, its end.
func (r *Registry) expire(b *router.Batch, c *Client) {
	sh := r.shard(c.id)
	sh.mu.Lock()
	c.mu.Lock()
	off := c.offline
	if off == nil || c.closed {
		c.mu.Unlock()
		sh.mu.Unlock()
		return
	}
	if off.expiresAt != 0 && b.Now >= off.expiresAt {
		c.closed, c.offline = true, nil
		delete(sh.clients, c.id)
		r.total.Add(-1)
		c.mu.Unlock()
		sh.mu.Unlock()
		r.end(b, c, off, endExpired)
		return
	}
	will := off.will
	if will != nil && b.Now >= off.willAt {
		off.will = nil
		c.leave(b)
	} else {
		will = nil
	}
	r.timers.set(c, off.next())
	c.mu.Unlock()
	sh.mu.Unlock()
	if will != nil {
		r.cfg.PublishWill(b, will)
	}
}

// End ends an offline session now, as a kick does. It tells whether the id had
// one that nobody is connected to.
func (r *Registry) End(b *router.Batch, id string) bool {
	sh := r.shard(id)
	sh.mu.Lock()
	c := sh.clients[id]
	if c == nil {
		sh.mu.Unlock()
		return false
	}
	c.mu.Lock()
	off := c.offline
	if off == nil || c.closed {
		c.mu.Unlock()
		sh.mu.Unlock()
		return false
	}
	c.closed, c.offline = true, nil
	delete(sh.clients, id)
	r.total.Add(-1)
	c.mu.Unlock()
	sh.mu.Unlock()
	r.end(b, c, off, endExpired)
	return true
}

type ending byte

const (
	endExpired ending = iota // its interval passed, or it ended with its connection
	endDiscarded
)

// end clears up after a closed client that is no longer in its shard, so that
// nobody else touches its session: subscriptions, shared deliveries, will, hooks.
func (r *Registry) end(b *router.Batch, c *Client, off *offline, how ending) {
	for filter := range c.sess.Subscriptions() {
		share, inner := shareOf(filter)
		r.cfg.Router.Unsubscribe(c, share, inner)
	}
	// Undelivered leaves out what must not go to another member [MQTT-4.8.2-5].
	c.sess.Undelivered(func(d message.Delivery, _ bool) {
		if d.Share != nil {
			r.cfg.Redispatch(b, d, c)
		}
	})
	c.redispatchKept(b)
	c.forget(b)
	var info *hook.Client
	if off != nil {
		info = off.info
		if off.will != nil {
			r.cfg.PublishWill(b, off.will)
		}
	}
	if how == endDiscarded {
		b.Count.SessionDiscarded++
		r.told(&r.cfg.Hooks.SessionDiscarded, c, info)
		return
	}
	b.Count.SessionTerminated++
	r.told(&r.cfg.Hooks.SessionExpired, c, info)
}

// shareOf splits a stored filter into what the router takes.
func shareOf(filter string) (share *message.Share, inner string) {
	group, inner, shared := topic.ParseShare(filter)
	if !shared {
		return nil, filter
	}
	return &message.Share{Group: group, Filter: inner}, inner
}

func (r *Registry) told(p *hook.Point[hook.Observe[hook.SessionEvent]], c *Client, info *hook.Client) {
	for _, tell := range p.Chain() {
		tell(&hook.SessionEvent{ClientID: c.id, Client: info, At: time.Now()})
	}
}
