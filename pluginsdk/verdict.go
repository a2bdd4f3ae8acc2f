package sdk

import (
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Action is what a plugin decides.
type Action = contract.Action

// The actions. What they mean for a hook is in docs/hookpoints.md.
const (
	Next     = contract.Next     // not mine: ask the next plugin; messages: pass unchanged
	Allow    = contract.Allow    // accepted
	Deny     = contract.Deny     // refused with Reason
	Continue = contract.Continue // authentication: another exchange is needed
	Pending  = contract.Pending  // decided later: made by Later
	Drop     = contract.Drop     // messages: acknowledged, not routed
	Rewrite  = contract.Rewrite  // pass with Message or Filters
)

// Verdict is a plugin's answer to one event. The zero Verdict is Next. What a
// hook does not know must be left out: the broker takes it as a fault.
type Verdict struct {
	Action Action
	Reason byte   // with Deny: MQTT 5 reason code >= 0x80; 0: the broker's choice
	Text   string // reason string for the client and the log

	// CacheTTL lets the broker reuse the answer of OnACL.
	CacheTTL time.Duration
	// CacheFilter is the topic filter for which the reused answer holds; "": the
	// topic that was asked.
	CacheFilter string
	// CacheShared lets the answer hold for all clients with the same principal (or,
	// without one, user name) and tenant, not for this connection only.
	CacheShared bool
	// Permissions answer what the connection may ask from now on: the broker
	// evaluates them itself in this plugin's place in the chain, first match wins,
	// and asks OnACL no more. With Next they answer the question itself and those
	// of the later events of the frame. What no line covers is left to the next plugin.
	// nil: none (OnACL).
	Permissions []contract.Permission
	// Throttle stops reading the client for a while (OnConnect, OnPublish, OnWill).
	Throttle time.Duration

	Login   *Login         // OnAuthenticate, OnAuthContinue
	Connect *ConnectChange // OnConnect
	Message *MessageChange // OnPublish, OnWill, OnDeliver with Rewrite
	Filters *FilterChange  // OnSubscribe, OnUnsubscribe with Rewrite
	// Also are further messages to publish after this one (OnPublish, OnWill, OnMessage).
	Also []Message

	token Token         // with Pending
	wait  time.Duration // with Pending
}

// Login is what authentication found out.
type Login struct {
	Principal  string
	Tenant     string
	Attributes map[string]string
	Superuser  bool // may do all
	// Permissions are evaluated by the broker, first match wins; then no OnACL
	// is asked. nil: OnACL is asked; empty: nothing is allowed.
	Permissions []contract.Permission
	ExpiresAt   time.Time // zero: never
	Reply       []byte    // Authentication Data to send
	State       []byte    // with Continue: comes back in AuthEvent.StateBytes
}

// ConnectChange changes a CONNECT. A nil field changes nothing.
type ConnectChange struct {
	ClientID      string // "": as it is
	ReceiveMax    *uint16
	PacketSize    *uint32
	KeepAlive     *uint16
	SessionExpiry *uint32
	// Subscriptions are made for the client when it is connected, without a question
	// to the acl. Levels %c and %u are its client identifier and user name; a filter
	// that the client has no fitting name for is left out. At most
	// contract.MaxSubscriptions. It needs contract.FeatureSubscriptions, see [Granted].
	Subscriptions []Subscription
}

// Subscription is a subscription that the broker makes. Options is the options byte
// of a SUBSCRIBE: QoS, no local << 2, retain as published << 3, retain handling << 4.
type Subscription struct {
	Filter  string
	Options byte
}

// MessageChange changes a message. A nil field changes nothing.
type MessageChange struct {
	Topic   *string
	Payload *[]byte
	Props   *[]byte // wire form, without length
	QoS     *byte
	Retain  *bool
	Expiry  *uint32 // seconds; contract.NoExpiry: never
}

// FilterChange answers a SUBSCRIBE or UNSUBSCRIBE filter by filter.
type FilterChange struct {
	// Codes has one code a filter: granted QoS, a refusal, or contract.KeepCode.
	// nil: all as they are.
	Codes []byte
	// Filters are the new filters in wire form, as many as there were; see
	// contract.AppendSubscription and contract.AppendFilter. nil: as they are.
	Filters []byte
}

// Message is a message that a plugin publishes.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	Expiry  time.Duration // whole seconds; 0: never
	Props   []byte        // wire form, without length
}
