package hook

import (
	"time"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store"
)

// Verdict is what a callback of an intercepting hook decided.
type Verdict byte

// The verdicts. Next means "not mine": the next callback is asked; when nobody
// decides, the zone's default holds.
const (
	Next Verdict = iota
	Allow
	Deny
	Continue // enhanced authentication: another AUTH exchange is needed
	Drop     // publish: acknowledged as usual, routed to nobody
)

// ConnectEvent is a decoded CONNECT before any check. A callback may change
// the limits, and refuse by setting Reason to a code >= 0x80.
type ConnectEvent struct {
	Client *Client
	Packet *packet.Connect
	Reason packet.ReasonCode
	Text   string // reason string for a 5.0 client
	// Throttle is for how long the client is not to be read; callbacks may raise it.
	Throttle time.Duration
	// Subscribe are subscriptions to make for the client once it is connected;
	// callbacks append. Levels %c and %u stand for its client id and user name.
	Subscribe []packet.Filter
	Park      *Parking // where the client can wait for the verdict; nil: it cannot
}

// AuthEvent asks who a client is. The first callback that does not answer Next
// decides; principal, permissions and so on are written into Client.
type AuthEvent struct {
	Client   *Client
	Password []byte // nil if the CONNECT had none
	Will     string // topic of the CONNECT's will; "" if there is none
	Method   string // Authentication Method of enhanced authentication; "" if none
	Data     []byte // Authentication Data of the CONNECT or AUTH packet
	Reauth   bool   // a re-authentication of a connected client [MQTT-4.12.1]
	State    any    // belongs to the callback that answered Continue; carried to its next call
	Park     *Parking

	Verdict Verdict
	Reason  packet.ReasonCode // with Deny; 0 means NotAuthorized
	Text    string            // with Deny: reason string for a 5.0 client
	Reply   []byte            // Authentication Data to send with AUTH or CONNACK
	// Anonymous says that nobody vouched: the zone lets the client in as it is.
	Anonymous bool
}

// ACLEvent asks whether a client may publish to a topic or subscribe a filter.
type ACLEvent struct {
	Client *Client
	Action Action
	Topic  string // topic name, or topic filter without share prefix
	QoS    byte
	Retain bool
	Lists  *Lists // of the client's connection; nil: lists are not kept
	Park   *Parking

	Verdict  Verdict
	Reason   packet.ReasonCode // with Deny; 0 means NotAuthorized
	Text     string            // with Deny: reason string for a 5.0 client
	CacheTTL time.Duration     // 0: not cached
	// CacheFilter is the topic filter whose topics the cached answer covers; "":
	// this topic only.
	CacheFilter string
	Cached      bool // the verdict is one that was remembered
}

// SubscribeEvent is one SUBSCRIBE, before its filters are authorised.
// A callback may change a filter and its options, or set its code >= 0x80.
type SubscribeEvent struct {
	Client  *Client
	Props   packet.Props
	Filters []packet.Filter
	Codes   []packet.ReasonCode // one a filter; >= 0x80 refuses it
	Text    string              // of a refusal: reason string for a 5.0 client
	Park    *Parking
}

// UnsubscribeEvent is one UNSUBSCRIBE; a callback may change the filters.
type UnsubscribeEvent struct {
	Client  *Client
	Props   packet.Props
	Filters []string
}

// PublishEvent is one message before it is routed. Msg is immutable: a
// callback that rewrites puts a changed copy in its place. Each callback sees
// what the ones before it made; Drop and Deny end the chain for the message.
type PublishEvent struct {
	Client *Client // nil for messages that no client sent
	Msg    *message.Message
	Park   *Parking

	Verdict Verdict           // Next and Allow both pass
	Reason  packet.ReasonCode // with Deny; 0 means NotAuthorized
	Text    string            // with Deny: reason string for a 5.0 client
	Routed  int               // deliveries that the message caused; set by the broker
	// Also are further messages to publish after this one, as the plugin's own.
	Also []*message.Message
	// Throttle is for how long the client is not to be read; callbacks may raise it.
	Throttle time.Duration
	// Kept: a callback has put something on the disk that has to be safe before the
	// message is acknowledged.
	Kept bool
	// Delayed: the message is kept to be published later; with Kept, and Drop.
	Delayed bool
}

// DeliverEvent is one message before it goes to one subscriber.
type DeliverEvent struct {
	Client  *Client
	Msg     *message.Message // may be replaced by a changed copy
	Verdict Verdict          // Drop: not sent
}

// ConnackEvent tells how a CONNECT was answered.
type ConnackEvent struct {
	Client *Client
	At     time.Time
	Code   packet.ReasonCode // of 5.0, whatever the client speaks
}

// ConnectionEvent tells of a connected or disconnected client.
type ConnectionEvent struct {
	Client *Client
	At     time.Time
	Reason packet.ReasonCode // disconnected: the reason on the wire
	Text   string            // disconnected: EMQ X 4's word for it: normal, keepalive_timeout, takeovered, kicked ...
}

// SubscriptionEvent tells of a subscription made or removed.
type SubscriptionEvent struct {
	Client *Client
	Filter string // as stored, with its share prefix
	Opts   message.SubOptions
	New    bool // subscribed: it did not replace one
}

// SessionEvent tells of a session's life.
type SessionEvent struct {
	ClientID string
	Client   *Client // the connection's facts; nil when no connection is involved (expired)
	At       time.Time
}

// MessageEvent tells of a message that was published, delivered, acked or
// dropped. The callback must not keep Msg without Detach.
type MessageEvent struct {
	Client *Client // the publisher (published), else the subscriber; may be nil
	// ClientID is the subscriber's id where Client is nil (an offline session).
	ClientID string
	Msg      *message.Message
	QoS      byte   // delivered: as it was sent, which a subscription may have lowered
	Reason   string // dropped: EMQ X 4's word: no_subscribers, queue_full, expired, too_large, no_local, qos0_msg ...
}

// RetainEvent is one PUBLISH with RETAIN for the provider of retained messages,
// told before the PUBLISH is acknowledged.
type RetainEvent struct {
	Client *Client // nil for messages that no client sent
	Msg    *message.Message

	// Durability is how safe what is kept has to be before the acknowledgement.
	Durability store.Durability

	// Deny: the PUBLISH is refused with Reason. Drop: it is acknowledged and
	// routed to nobody.
	Verdict Verdict
	Reason  packet.ReasonCode

	// Kept says that the topic store has changed, which the acknowledgement waits
	// for. Unkept is why the disk took nothing: whatever the verdict, a PUBLISH with
	// QoS 1 or 2 is refused with it.
	Kept   bool
	Unkept packet.ReasonCode
}

// ConsumeEvent is one message for those who must get every message of their topics,
// before it is acknowledged and routed.
type ConsumeEvent struct {
	Client *Client // nil for messages that no client sent
	Msg    *message.Message

	// Kept says that somebody has it in a log, which the acknowledgement waits for.
	Kept bool
	// Deny: nobody may be told that the message was taken; Reason says why.
	Verdict Verdict
	Reason  packet.ReasonCode
}

// RetainedReadEvent is one new subscription for the provider of retained
// messages. The provider answers by asking the topic store to deliver.
type RetainedReadEvent struct {
	Client *Client
	Filter string // without share prefix; never a shared subscription
	Opts   message.SubOptions
	New    bool // the subscription did not exist (Retain Handling 1)

	// Replay is what to send, in order; the provider appends.
	Replay []Source
}

// Source yields messages that the core sends to one client at the pace of that
// client's window and socket, without blocking its other traffic.
type Source interface {
	// Next appends at most n messages to dst. done: there are no more, and the
	// source is closed. It never waits.
	Next(now int64, n int, dst []*message.Message) (msgs []*message.Message, done bool)
	// Close gives the source up early. Idempotent.
	Close()
}
