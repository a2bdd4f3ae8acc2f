// Package session is the MQTT session: QoS 0, 1 and 2 in both directions,
// packet identifiers, the inflight window, the queue, redelivery, expiry and the
// subscriptions of one client. It outlives connections.
//
// It is a pure machine: deliveries, acknowledgements and the time go in, effects
// come out. It refuses sockets, goroutines, clocks, logs, hooks and metrics, and
// it never encodes a packet. A Session is owned by one turn at a time; nothing
// here locks.
//
// Order. Messages of one publisher on one topic leave in the order in which they
// came, within each QoS level. QoS 1 and 2 never pass the queue nor an unfinished
// redelivery. QoS 0 does not wait for the window and may pass queued QoS 1 and 2,
// but never a queued QoS 0.
package session

import (
	"time"

	"github.com/dunlinmq/dunlin/core/message"
)

// Config is the frozen part of a zone that sessions obey (emqx4 §2.2). It is
// shared by many sessions and never changed.
type Config struct {
	// MaxInflight bounds the QoS 1 and 2 messages that are sent and not
	// acknowledged; 0: 65,535. The peer's Receive Maximum may be smaller.
	MaxInflight uint16
	// RetryInterval is the age at which unacknowledged packets are sent again on
	// the same connection, if [Attach] allows it; 0: never.
	RetryInterval time.Duration
	// MaxAwaitingRel bounds the inbound QoS 2 identifiers that wait for PUBREL;
	// 0: no limit but the 65,535 identifiers.
	MaxAwaitingRel int
	// AwaitRelTimeout is how long such an identifier waits while the client is
	// connected; 0: for ever.
	AwaitRelTimeout time.Duration
	// MaxQueueLen bounds the queue of each priority, in messages; 0: no limit.
	MaxQueueLen int
	// MaxQueueBytes bounds the queue of all priorities together: topics, payloads and
	// properties of its messages and 64 bytes for each; 0: no limit. Less urgent
	// messages make room for others, never the other way round.
	MaxQueueBytes int64
	// Priorities gives exact topics a priority of 0 to 255, the highest first
	// (mqueue_priorities). Empty: one queue for all.
	Priorities map[string]uint8
	// DefaultPriorityLowest puts topics that are not in Priorities at priority 0
	// instead of above all others.
	DefaultPriorityLowest bool
	// StoreQoS0 queues QoS 0 while no connection is attached; else it is dropped.
	StoreQoS0 bool
	// DropNewest drops the arriving message when the queue is full, instead of
	// the oldest ones.
	DropNewest bool
	// UpgradeQoS delivers at the higher of the published and the granted QoS
	// instead of the lower.
	UpgradeQoS bool
}

// maxInflight is MaxInflight with its default resolved.
func (c *Config) maxInflight() int {
	if c.MaxInflight == 0 {
		return maxPacketID
	}
	return int(c.MaxInflight)
}

// Configure replaces the configuration: the client came through another zone.
// Call it before Attach. What is queued keeps its priority.
func (s *Session) Configure(cfg *Config) { s.cfg = cfg }

// Config is the configuration that the session obeys.
func (s *Session) Config() *Config { return s.cfg }

// Session is the state of one client that outlives its connections.
type Session struct {
	// Immutable after New; cfg is replaced by Configure.
	clientID string
	created  int64 // Unix nanoseconds
	cfg      *Config

	// Kept from connection to connection.
	inflight inflight
	queue    *queue // nil: empty
	awaiting awaiting
	subs     subscriptions
	dropped  uint64
	// What has a place up to it may have been sent before a crash.
	maybeSent uint64

	// Of the current connection; see Attach.
	retryAt  int64  // when the oldest unacknowledged packet may be due; 0: none
	moreAt   int64  // when a pump stopped at its budget; 0: it did not
	window   uint16 // send quota at the connection's start
	attached bool
	held     bool
	resend   bool // the retry timer may run
}

// New returns an empty session without connection. cfg must not change later.
// now is the time of creation, Unix nanoseconds.
func New(clientID string, cfg *Config, now int64) *Session {
	s := &Session{clientID: clientID, cfg: cfg, created: now}
	s.awaiting.seed(now)
	return s
}

// ClientID is the client identifier that the session belongs to.
func (s *Session) ClientID() string { return s.clientID }

// Attached tells whether a connection is attached.
func (s *Session) Attached() bool { return s.attached }

// Info is what operators see of a session.
type Info struct {
	Created       int64  // Unix nanoseconds
	Inflight      int    // outbound QoS 1 and 2 not finished
	MaxInflight   int    // limit of Inflight
	Window        int    // send quota of the current connection; 0 without one
	Queue         int    // messages in the queue
	QueueBytes    int64  // their size, as in Config.MaxQueueBytes
	Dropped       uint64 // messages dropped since the session was created
	AwaitingRel   int    // inbound QoS 2 identifiers without PUBREL
	Subscriptions int
}

// Info returns the session's figures.
func (s *Session) Info() Info {
	i := Info{
		Created:       s.created,
		Inflight:      s.inflight.count,
		MaxInflight:   s.cfg.maxInflight(),
		Queue:         s.queue.len(),
		QueueBytes:    s.queue.bytes(),
		Dropped:       s.dropped,
		AwaitingRel:   int(s.awaiting.count),
		Subscriptions: s.subs.len(),
	}
	if s.attached {
		i.Window = int(s.window)
	}
	return i
}

// Undelivered calls fn for each message that the client has not taken over: the
// inflight ones in order of sending, then the queue in order of arrival by
// priority. The session's end uses it to give shared deliveries (Share != nil)
// to another member. QoS 2 messages of shared subscriptions that are inflight
// are left out: they must not go to anyone else [MQTT-4.8.2-5].
func (s *Session) Undelivered(fn func(d message.Delivery, inflight bool)) {
	s.inflight.each(func(en *entry) {
		if en.msg.Msg == nil || (en.msg.Share != nil && en.qos == 2) {
			return
		}
		fn(en.msg, true)
	})
	s.queue.each(func(q *queued) { fn(q.msg, false) })
}

// effectiveQoS is the QoS of a delivery: the lower of published and granted
// [MQTT-3.8.4-8], or the higher with UpgradeQoS.
func (s *Session) effectiveQoS(d *message.Delivery) byte {
	if s.cfg.UpgradeQoS {
		return max(d.Msg.QoS, d.Opts.QoS)
	}
	return min(d.Msg.QoS, d.Opts.QoS)
}
