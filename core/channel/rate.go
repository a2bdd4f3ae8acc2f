package channel

import (
	"math"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// Rate is so much in a period. The zero Rate is no limit.
type Rate struct {
	Limit int64         // tokens that a bucket holds
	Per   time.Duration // and time that fills it
}

// set tells whether there is a limit.
func (r Rate) set() bool { return r.Limit > 0 && r.Per > 0 }

// Limits are a zone's rates (emqx4 §9.10). What comes in too fast waits in its
// socket: the reader pauses, and nothing is lost.
type Limits struct {
	MessagesIn Rate // rate_limit.conn_messages_in: PUBLISH packets of one connection
	BytesIn    Rate // rate_limit.conn_bytes_in: bytes of its packets
	// Routing and RoutingAll are quota.conn_messages_routing and
	// quota.overall_messages_routing: deliveries that the publishes of one
	// connection, or of the whole zone, cause. A 5.0 client's publish over them is
	// refused with 0x97, and at QoS 0 dropped. A 3.x client cannot be refused a
	// single message, so that its QoS 1 and 2 wait as above.
	Routing, RoutingAll Rate
}

// bucket holds tokens. What is taken may exceed what is there: the debt is
// waited for afterwards, so that the rate holds however large a packet is.
type bucket struct {
	tokens float64
	at     int64 // when tokens was right
}

func newBucket(r Rate, now int64) bucket { return bucket{float64(r.Limit), now} }

// wait fills b up to now and returns how long until a token is there.
func (b *bucket) wait(r Rate, now int64) int64 {
	perNano := float64(r.Limit) / float64(r.Per)
	b.tokens = min(float64(r.Limit), b.tokens+float64(max(0, now-b.at))*perNano)
	b.at = max(b.at, now)
	const whole = 1 - 1e-6 // of a token, for what rounding takes
	if b.tokens >= whole {
		return 0
	}
	return int64(math.Ceil((1 - b.tokens) / perNano))
}

func (b *bucket) take(n float64) { b.tokens -= n }

// rates are the buckets of one connection. Owned by the turn.
type rates struct {
	messages, bytes, routing bucket

	until    int64   // reading waits until then, Unix nanoseconds
	reserved float64 // routing tokens taken for publishes that are not routed yet
}

// shared is the bucket of all connections of a zone.
type shared struct {
	mu     sync.Mutex
	bucket bucket // guarded by mu
}

func (s *shared) wait(r Rate, now int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bucket.wait(r, now)
}

func (s *shared) take(n float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bucket.take(n)
}

// newRates returns full buckets; nil where the zone limits nothing.
func (z *Zone) newRates(now int64) *rates {
	l := &z.Limits
	if *l == (Limits{}) {
		return nil
	}
	return &rates{
		messages: newBucket(l.MessagesIn, now), bytes: newBucket(l.BytesIn, now), routing: newBucket(l.Routing, now),
	}
}

// slowed tells whether the packet that begins with the byte first has to wait,
// and until when. A client that is not read is not silent: its keep alive counts
// from then.
func (c *Channel) slowed(now int64, first byte) bool {
	r, l := c.rates, &c.zone.Limits
	if c.throttle > now {
		return true
	}
	if r == nil {
		return false
	}
	var wait int64
	if l.BytesIn.set() {
		wait = r.bytes.wait(l.BytesIn, now)
	}
	if packet.Type(first>>4) == packet.TypePublish {
		if l.MessagesIn.set() {
			wait = max(wait, r.messages.wait(l.MessagesIn, now))
		}
		if qos := first >> 1 & 3; qos > 0 && c.version != packet.V50 {
			wait = max(wait, c.routingWait(now))
		}
	}
	if wait == 0 {
		return false
	}
	r.until = now + wait
	c.lastSeen = r.until
	return true
}

// routingWait is how long the quotas of routing let nothing through.
func (c *Channel) routingWait(now int64) (wait int64) {
	l := &c.zone.Limits
	if l.Routing.set() {
		wait = c.rates.routing.wait(l.Routing, now)
	}
	if l.RoutingAll.set() {
		wait = max(wait, c.zone.routing.wait(l.RoutingAll, now))
	}
	return wait
}

// spend counts a packet of so many bytes.
func (r *rates) spend(p packet.Packet, bytes int) {
	if r == nil {
		return
	}
	r.bytes.take(float64(bytes))
	if _, ok := p.(*packet.Publish); ok {
		r.messages.take(1)
	}
}

// pausedUntil is when reading goes on; 0: it does not wait.
func (r *rates) pausedUntil(now int64) int64 {
	if r == nil || r.until <= now {
		return 0
	}
	return r.until
}

// overQuota tells whether a publish has to be refused; else it reserves a token
// for it.
func (c *Channel) overQuota(now int64, qos byte) bool {
	l := &c.zone.Limits
	if c.rates == nil || !l.Routing.set() && !l.RoutingAll.set() {
		return false
	}
	if refusable := qos == 0 || c.version == packet.V50; refusable && c.routingWait(now) > 0 {
		return true
	}
	c.route(1)
	c.rates.reserved++
	return false
}

// routed replaces the reservations by what the publishes of t have caused.
func (c *Channel) routed(t *turn) {
	if c.rates == nil || c.rates.reserved == 0 {
		return
	}
	n := -c.rates.reserved
	for i := range t.pubs {
		n += float64(t.pubs[i].Routed)
	}
	c.rates.reserved = 0
	c.route(n)
}

func (c *Channel) route(n float64) {
	if c.zone.Limits.Routing.set() {
		c.rates.routing.take(n)
	}
	if c.zone.Limits.RoutingAll.set() {
		c.zone.routing.take(n)
	}
}
