package registry

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
)

// reasonStore is why a delivery is dropped that the store does not take.
const reasonStore = "store_full"

// singly is how many keys are deleted one by one, not as a range.
const singly = 64

// durable is what makes a session survive. It is guarded by Client.mu; sid and
// level do not change.
type durable struct {
	sid     uint64 // names the session in keys
	level   store.Durability
	upgrade bool   // as the zone's upgrade_qos
	seq     uint64 // the place that was given out last
	// Transactions with something of the session that had not ended when they were
	// last looked at: whoever takes the session over waits for them.
	open    []*journal.Tx
	backlog backlog
}

// keeps tells whether the delivery has to survive: its effective QoS is above 0.
func (d *durable) keeps(m *message.Delivery) bool {
	if d.upgrade {
		return m.Msg.QoS > 0 || m.Opts.QoS > 0
	}
	return m.Msg.QoS > 0 && m.Opts.QoS > 0
}

// Durable tells whether the session survives. For the attached runner's turn.
func (c *Client) Durable() bool { return c.durable != nil }

// Keeps tells whether the delivery would have to survive.
func (c *Client) Keeps(m *message.Delivery) bool { return c.durable != nil && c.durable.keeps(m) }

func (d *durable) qos(m *message.Delivery) byte {
	if d.upgrade {
		return max(m.Msg.QoS, m.Opts.QoS)
	}
	return min(m.Msg.QoS, m.Opts.QoS)
}

// tx is b's transaction, and remembers that it has something of d.
func (d *durable) tx(b *router.Batch, j *journal.Journal) *journal.Tx {
	t := b.Tx(j)
	if n := len(d.open); n > 0 && d.open[n-1] == t {
		return t
	}
	d.prune()
	d.open = append(d.open, t)
	return t
}

func (d *durable) prune() {
	d.open = slices.DeleteFunc(d.open, func(t *journal.Tx) bool {
		over, _ := t.Ended()
		return over
	})
}

// record gives m its place and puts it into b's transaction. c.mu is held.
func (c *Client) record(b *router.Batch, m *message.Delivery) {
	d := c.durable
	d.seq++
	m.Seq = d.seq
	t := d.tx(b, c.reg.cfg.Journal)
	d.backlog.placed(m.Seq, c.reg.part(t).add(t, d, m, c.runner == nil))
}

// Settle puts what the session's effects leave for the journal into b's
// transaction. For the attached runner's turn.
func (c *Client) Settle(b *router.Batch, e *session.Effects) {
	if c.durable == nil || len(e.Moves) == 0 && len(e.Drops) == 0 {
		return
	}
	c.mu.Lock()
	c.settle(b, e)
	c.mu.Unlock()
}

// settle is Settle with c.mu held.
func (c *Client) settle(b *router.Batch, e *session.Effects) {
	d := c.durable
	if d == nil {
		return
	}
	if !concerns(e) {
		return
	}
	t := d.tx(b, c.reg.cfg.Journal)
	for i := range e.Drops {
		d.over(t, e.Drops[i].Seq)
	}
	for _, m := range e.Moves {
		switch m.Step {
		case session.StepForgotten:
			var k [placeKeyLen]byte
			t.Delete(appendInbound(k[:0], d.sid, m.ID))
		case session.StepReceived:
			if m.Seq != 0 {
				t.Need(d.level)
				d.backlog.mark(t, d.sid, m.Seq, markReceived)
			}
		default:
			d.over(t, m.Seq)
		}
	}
	d.backlog.tell(t, d.sid)
}

// concerns tells whether e has something of the store.
func concerns(e *session.Effects) bool {
	for i := range e.Moves {
		if m := &e.Moves[i]; m.Seq != 0 || m.Step == session.StepForgotten {
			return true
		}
	}
	for i := range e.Drops {
		if e.Drops[i].Seq != 0 {
			return true
		}
	}
	return false
}

// over takes a place out; 0: none.
func (d *durable) over(t *journal.Tx, seq uint64) {
	if seq != 0 {
		d.backlog.over(t, seq)
	}
}

// remove takes a place out that perhaps is not in the store yet. c.mu is held.
func (c *Client) remove(b *router.Batch, seq uint64) {
	d := c.durable
	if seq == 0 || d == nil {
		return
	}
	t := d.tx(b, c.reg.cfg.Journal)
	d.over(t, seq)
	d.backlog.tell(t, d.sid)
}

// Dropped forgets a delivery that was taken from the mailbox and does not go to
// the session. For the attached runner's turn.
func (c *Client) Dropped(b *router.Batch, m *message.Delivery) {
	if m.Seq != 0 {
		e := session.Effects{Moves: []session.Move{{Seq: m.Seq}}}
		c.Settle(b, &e)
	}
}

// Subscribed puts a subscription into b's transaction. For the attached runner's
// turn, as all that follow.
func (c *Client) Subscribed(b *router.Batch, filter string, o message.SubOptions) {
	c.write(b, func(d *durable, t *journal.Tx) {
		t.Put(d.level, appendFilter(nil, d.sid, filter), session.AppendOptions(nil, o))
	})
}

// Unsubscribed takes a subscription out.
func (c *Client) Unsubscribed(b *router.Batch, filter string) {
	c.write(b, func(d *durable, t *journal.Tx) {
		t.Delete(appendFilter(nil, d.sid, filter))
		t.Need(d.level)
	})
}

// Received puts the identifier of an inbound QoS 2 message into b's transaction.
func (c *Client) Received(b *router.Batch, id uint16) {
	c.write(b, func(d *durable, t *journal.Tx) {
		var k [placeKeyLen]byte
		t.Put(d.level, appendInbound(k[:0], d.sid, id), nil)
	})
}

// Released takes it out: only then may the client use it for another message.
func (c *Client) Released(b *router.Batch, id uint16) {
	c.write(b, func(d *durable, t *journal.Tx) {
		var k [placeKeyLen]byte
		t.Delete(appendInbound(k[:0], d.sid, id))
		t.Need(d.level)
	})
}

// write calls fn if the session is durable.
func (c *Client) write(b *router.Batch, fn func(*durable, *journal.Tx)) {
	if c.durable == nil {
		return
	}
	c.mu.Lock()
	fn(c.durable, c.durable.tx(b, c.reg.cfg.Journal))
	c.mu.Unlock()
}

// Terms are how a connection wants its session.
type Terms struct {
	Level   store.Durability
	Expiry  uint32 // seconds
	Upgrade bool   // as the zone's upgrade_qos
	Zone    string
	Will    *Will // nil: none
	Delay   uint32
}

// ErrStore says that the store takes no new session; it wraps why.
var ErrStore = errors.New("the store takes no new session")

// Begin makes the session durable, if it is to outlive its connection, and
// writes what the connection has brought. It returns what has to end before the
// connection may be told that it has the session. For the attached runner's
// turn, before anything else of the connection.
func (c *Client) Begin(b *router.Batch, t Terms) ([]*journal.Tx, error) {
	j := c.reg.cfg.Journal
	if j == nil || c.durable == nil && (t.Level == store.Memory || t.Expiry == 0) {
		return nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.durable
	if d == nil {
		if err := j.Fault(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrStore, err)
		}
		d = &durable{sid: c.reg.sids.Add(1), level: t.Level}
		c.durable = d
		tx := d.tx(b, j)
		for filter, o := range c.sess.Subscriptions() {
			tx.Put(d.level, appendFilter(nil, d.sid, filter), session.AppendOptions(nil, o))
		}
		c.sess.Awaiting(func(id uint16) { tx.Put(d.level, appendInbound(nil, d.sid, id), nil) })
	}
	d.upgrade = t.Upgrade
	r := c.describe(c.info, t.Zone)
	r.Expiry, r.Level = t.Expiry, d.level
	if t.Will != nil {
		r.Will, r.Delay = t.Will.Will, t.Delay
	}
	d.tx(b, j).Put(d.level, appendSession(nil, d.sid), r.append(nil))
	d.prune()
	return slices.Clone(d.open), nil
}

// describe is the part of the session's record that does not change while it
// lasts.
func (c *Client) describe(info *hook.Client, zone string) record {
	r := record{ClientID: c.id, Created: c.sess.Info().Created, Zone: zone, Facts: info}
	if r.Zone == "" && info != nil {
		r.Zone = info.Zone
	}
	return r
}

// leave writes how the session goes on without a connection. c.mu is held.
func (c *Client) leave(b *router.Batch) {
	d, off := c.durable, c.offline
	if d == nil {
		return
	}
	r := c.describe(off.info, "")
	r.Level, r.Left, r.Expiry, r.ExpiresAt = d.level, off.left, off.expiry, off.expiresAt
	if off.will != nil {
		r.Will, r.WillAt = off.will.Will, off.willAt
	}
	d.tx(b, c.reg.cfg.Journal).Put(d.level, appendSession(nil, d.sid), r.append(nil))
}

// forget takes everything of a session that is over out of the store. Nobody
// else touches the session.
func (c *Client) forget(b *router.Batch) {
	d := c.durable
	if d == nil {
		return
	}
	t := b.Tx(c.reg.cfg.Journal)
	t.Delete(appendSession(nil, d.sid))
	var keys [][]byte
	add := func(k []byte) {
		if len(keys) <= singly {
			keys = append(keys, k)
		}
	}
	for filter := range c.sess.Subscriptions() {
		add(appendFilter(nil, d.sid, filter))
	}
	c.sess.Awaiting(func(id uint16) { add(appendInbound(nil, d.sid, id)) })
	c.mu.Lock() // a Read may be under way
	d.backlog.forget(t, d.sid)
	c.mu.Unlock()
	if len(keys) > singly {
		for _, r := range rangesOf(d.sid) {
			t.DeleteRange(r.From, r.To)
		}
		return
	}
	for _, k := range keys {
		t.Delete(k)
	}
}

// shared tells whether a subscription of the session is shared, so that what it
// has not delivered may be another's.
func (c *Client) shared() bool {
	for filter := range c.sess.Subscriptions() {
		if strings.HasPrefix(filter, "$") {
			return true
		}
	}
	return false
}

// redispatchKept gives shared deliveries that are in the journal only to other
// members of their groups, when the session is over.
func (c *Client) redispatchKept(b *router.Batch) {
	if c.durable == nil || !c.shared() {
		return
	}
	var places []uint64
	c.sess.Kept(func(seq uint64) { places = append(places, seq) })
	slices.Sort(places)
	for chunk := range slices.Chunk(places, singly) {
		ms, _ := c.read(chunk, math.MaxInt) // what cannot be read is lost with the session
		for i := range ms {
			if ms[i].Msg != nil && ms[i].Share != nil {
				c.reg.cfg.Redispatch(b, ms[i].Delivery, c)
			}
		}
	}
}
