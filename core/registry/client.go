package registry

import (
	"sync"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
)

// MailboxLimit bounds the deliveries that wait for a client's turn. A turn comes
// at the end of the batch that delivered, so only a client whose turn is held up
// (by a slow plugin) reaches it.
const MailboxLimit = 16 << 10

// keptLimit is MailboxLimit for deliveries that wait for the disk: a disk that
// stalls for a second must not take away what will be acknowledged. The queue of
// the store, which makes publishers wait, is shorter.
const keptLimit = 16 * MailboxLimit

// Runner runs a connected client: its connection.
type Runner interface {
	// Wake makes the client's turn come soon; with b, when b ends.
	Wake(b *router.Batch)
}

// Client is one session and the place where its messages go. It is the router's
// Subscriber, outlives connections and has one owner of its session at a time:
// the attached runner's turn, or, offline, whoever holds mu.
type Client struct {
	// Immutable.
	id  string
	reg *Registry

	mu sync.Mutex
	// Guarded by mu.
	runner  Runner            // the attached connection; nil: offline
	info    *hook.Client      // its facts; nil: offline
	inbox   *Mailbox          // for the runner; nil: empty
	woken   bool              // the runner has been woken and has not drained yet
	evict   packet.ReasonCode // why the runner has to leave; 0: it may stay
	waiting *ClaimRequest     // who gets the session when the runner has left
	closed  bool              // the session is over: deliveries are dropped
	offline *offline          // nil while a runner is attached
	durable *durable          // nil: in memory only. Set once

	// Owned by the runner's turn while one is attached, else guarded by mu.
	sess *session.Session

	timer timer // owned by the registry's timers
}

// offline is what a session has only while nobody is connected.
type offline struct {
	info      *hook.Client // the last connection's facts
	left      int64        // when it ended, Unix nanoseconds
	expiry    uint32       // how long the session outlives it, seconds
	expiresAt int64        // Unix nanoseconds when the session ends; 0: never
	will      *Will        // waits for its delay
	willAt    int64
}

// next is when something is due, Unix nanoseconds; 0: never.
func (o *offline) next() int64 {
	if o.will != nil && (o.expiresAt == 0 || o.willAt < o.expiresAt) {
		return o.willAt
	}
	return o.expiresAt
}

// Will is a will message and the facts its publication needs.
type Will struct {
	Client *hook.Client
	Will   *packet.Will
	Zone   any // the channel's zone; handed back to the publisher of wills
}

var _ router.Subscriber = (*Client)(nil)

// ClientID implements router.Subscriber.
func (c *Client) ClientID() string { return c.id }

// Online implements router.Subscriber.
func (c *Client) Online() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.runner != nil && c.evict == 0
}

// Info is the facts of the attached connection; nil: offline. They are not
// written any more.
func (c *Client) Info() *hook.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}

// Deliver implements router.Subscriber. What has to survive is put into b's
// transaction.
func (c *Client) Deliver(b *router.Batch, d message.Delivery) {
	c.mu.Lock()
	online := c.runner != nil
	keeps, limit := c.durable != nil && c.durable.keeps(&d), MailboxLimit
	if keeps {
		limit = keptLimit
	}
	switch {
	case c.closed:
		c.mu.Unlock()
		return
	case online && c.inbox != nil && len(c.inbox.Deliveries) >= limit:
		c.mu.Unlock()
		c.reg.drop(b, c.id, d.Msg, session.ReasonQueueFull)
		return
	case keeps:
		if err := c.reg.cfg.Journal.Fault(); err != nil {
			c.mu.Unlock()
			b.Refuse(journal.Refusal(err))
			c.reg.drop(b, c.id, d.Msg, reasonStore)
			return
		}
		c.record(b, &d)
	}
	if !online {
		e := c.reg.effects()
		c.sess.Deliver(b.Now, d, e)
		c.settle(b, e)
		c.mu.Unlock()
		c.reg.reportDrops(b, c.id, nil, e)
		return
	}
	if c.inbox == nil {
		c.inbox = mailboxes.Get().(*Mailbox)
	}
	c.inbox.add(b, c, d)
	runner, wake := c.runner, !c.woken && len(c.inbox.waits) == 0
	c.woken = c.woken || wake
	c.mu.Unlock()
	if wake {
		runner.Wake(b)
	}
}

// Session is the session. Only the attached runner's turn may use it.
func (c *Client) Session() *session.Session { return c.sess }

// Drain takes what of the mailbox may go to the client, nil when that is nothing,
// and tells whether the runner has to leave, and why. What is not safe yet, and
// all that has come after it, stays. For the attached runner's turn.
func (c *Client) Drain() (box *Mailbox, evict packet.ReasonCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	box, c.inbox, c.woken = c.inbox, nil, false
	if box != nil && len(box.waits) > 0 {
		box, c.inbox = box.ripe()
	}
	return box, c.evict
}

// Evict makes the attached runner leave with the reason code: 0x98 for a kick,
// 0x8B for a shutdown. It tells whether one was attached.
func (c *Client) Evict(reason packet.ReasonCode) bool {
	c.mu.Lock()
	runner := c.runner
	if runner == nil || c.evict != 0 {
		c.mu.Unlock()
		return false
	}
	c.evict = reason
	c.mu.Unlock()
	runner.Wake(nil)
	return true
}
