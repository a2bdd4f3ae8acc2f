package channel

import (
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
)

// wait is what a channel has put off because a plugin decides later. Meanwhile
// nothing is read; deliveries go on. Owned by the turn.
type wait struct {
	park *hook.Parking         // nil: no plugin was ever asked
	step func(io *IO, t *turn) // what is done when the verdicts are there; nil: nothing waits
	held []taken               // PUBLISHes that it holds
}

// on tells whether something waits.
func (w *wait) on() bool { return w.step != nil }

// deadline is when the verdicts are given up; 0: nothing waits.
func (w *wait) deadline() int64 {
	if !w.on() {
		return 0
	}
	return w.park.Deadline()
}

// parking is where events of this client may wait. It is made when plugins are
// loaded that may ask for it.
func (c *Channel) parking(loaded bool) *hook.Parking {
	if c.wait.park == nil && loaded {
		c.wait.park = hook.NewParking(func() { c.wake.Wake(nil) })
	}
	return c.wait.park
}

// resume goes on with what waits if its verdicts are there. A client that was not
// read was not silent.
func (c *Channel) resume(io *IO, t *turn) {
	if !c.wait.on() || !c.wait.park.Settle(io.Batch.Now) {
		return
	}
	step := c.wait.step
	c.wait.step, c.wait.held = nil, nil
	c.lastSeen = io.Batch.Now
	step(io, t)
}

// failAfter ends the connection when what waits is done.
func (c *Channel) failAfter(f *fault) {
	step := c.wait.step
	c.wait.step = func(io *IO, t *turn) {
		if step(io, t); c.wait.on() {
			c.failAfter(f)
			return
		}
		c.fail(io, f)
	}
}

// forgo gives up what waits: the connection ends. A QoS 2 message that nobody has
// is a new one when it is sent again.
func (c *Channel) forgo() {
	if !c.wait.on() {
		return
	}
	c.wait.park.Cancel()
	for _, k := range c.wait.held {
		if k.qos == 2 && k.event >= 0 && c.sess != nil {
			c.sess.Release(k.id)
		}
	}
	c.wait.step, c.wait.held = nil, nil
}

// slowDown stops reading for d, as a plugin asks.
func (c *Channel) slowDown(now int64, d time.Duration) {
	if d > 0 {
		c.throttle = max(c.throttle, now+int64(min(d, maxThrottle)))
		c.lastSeen = c.throttle // it is not silent meanwhile
	}
}

// maxThrottle bounds for how long a plugin may stop a client.
const maxThrottle = time.Minute

// pausedUntil is when reading goes on; 0: it does not wait for a time.
func (c *Channel) pausedUntil(now int64) int64 {
	at := c.rates.pausedUntil(now)
	if c.throttle > now {
		at = max(at, c.throttle)
	}
	return at
}
