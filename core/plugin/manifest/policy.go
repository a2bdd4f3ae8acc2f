package manifest

import (
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// OnError says what becomes of an event when the plugin faults (contract C.7).
type OnError string

// The policies. A process plugin's frames are held and resent for the hook's
// park time before any of them applies.
const (
	OnErrorDeny  OnError = "deny"  // refused with the hook's reason code
	OnErrorAllow OnError = "allow" // as if the plugin had answered Allow
	OnErrorNext  OnError = "next"  // as if the plugin were not there
	OnErrorDrop  OnError = "drop"  // acknowledged, routed to nobody
	OnErrorPark  OnError = "park"  // as deny; the name for "hold, then deny"
)

// DefaultPark is how long the frames of a process that is down are held.
const DefaultPark = 2 * time.Second

const (
	defaultTimeout = time.Second     // per frame
	loginTimeout   = 5 * time.Second // connect, authenticate, auth_continue
	consumeTimeout = 30 * time.Second
)

// Defaults is what the broker fixes for one hook beside the contract.
type Defaults struct {
	Policies []OnError         // that make sense; nil: the hook is never called
	OnError  OnError           // "": publish: drop at QoS 0, park at QoS 1 and 2
	Reason   packet.ReasonCode // of a refusal by OnError
	Timeout  time.Duration     // per frame
	Topics   bool              // events have a topic or filter: filters apply
}

// DefaultsOf is the broker's row for a hook; the zero row for one that it never
// calls.
func DefaultsOf(k contract.Hook) Defaults { return defaults[k] }

var (
	decisions = []OnError{OnErrorDeny, OnErrorAllow, OnErrorNext, OnErrorPark}
	messages  = []OnError{OnErrorDeny, OnErrorAllow, OnErrorNext, OnErrorPark, OnErrorDrop}
	observing = []OnError{OnErrorDrop}
)

// defaults is the table of contract C.7.
var defaults = map[contract.Hook]Defaults{
	contract.HookConnect:      {decisions, OnErrorDeny, packet.ServerUnavailable, loginTimeout, false},
	contract.HookAuthenticate: {decisions, OnErrorDeny, packet.ServerUnavailable, loginTimeout, false},
	contract.HookAuthContinue: {decisions, OnErrorDeny, packet.ServerUnavailable, loginTimeout, false},
	contract.HookACL:          {decisions, OnErrorDeny, packet.NotAuthorized, defaultTimeout, true},
	contract.HookSubscribe:    {decisions, OnErrorDeny, packet.UnspecifiedError, defaultTimeout, true},
	contract.HookUnsubscribe:  {[]OnError{OnErrorAllow, OnErrorNext}, OnErrorNext, 0, defaultTimeout, true},
	contract.HookPublish:      {messages, "", packet.UnspecifiedError, defaultTimeout, true},
	contract.HookWill:         {messages, "", packet.UnspecifiedError, defaultTimeout, true},
	contract.HookDeliver:      {[]OnError{OnErrorAllow, OnErrorNext, OnErrorDrop}, OnErrorDrop, 0, defaultTimeout, true},

	contract.HookConnected:        {observing, OnErrorDrop, 0, defaultTimeout, false},
	contract.HookConnack:          {observing, OnErrorDrop, 0, defaultTimeout, false},
	contract.HookACLChecked:       {observing, OnErrorDrop, 0, defaultTimeout, true},
	contract.HookDisconnected:     {observing, OnErrorDrop, 0, defaultTimeout, false},
	contract.HookSubscribed:       {observing, OnErrorDrop, 0, defaultTimeout, true},
	contract.HookUnsubscribed:     {observing, OnErrorDrop, 0, defaultTimeout, true},
	contract.HookSessionCreated:   {observing, OnErrorDrop, 0, defaultTimeout, false},
	contract.HookSessionResumed:   {observing, OnErrorDrop, 0, defaultTimeout, false},
	contract.HookSessionTakenOver: {observing, OnErrorDrop, 0, defaultTimeout, false},
	contract.HookSessionExpired:   {observing, OnErrorDrop, 0, defaultTimeout, false},
	contract.HookSessionDiscarded: {observing, OnErrorDrop, 0, defaultTimeout, false},
	contract.HookPublished:        {observing, OnErrorDrop, 0, defaultTimeout, true},
	contract.HookDelivered:        {observing, OnErrorDrop, 0, defaultTimeout, true},
	contract.HookAcked:            {observing, OnErrorDrop, 0, defaultTimeout, true},
	contract.HookDropped:          {observing, OnErrorDrop, 0, defaultTimeout, true},

	contract.HookMessage: {[]OnError{OnErrorPark, OnErrorDrop}, OnErrorPark, 0, consumeTimeout, true},

	contract.HookRetainedStore: {[]OnError{OnErrorDeny, OnErrorAllow, OnErrorNext, OnErrorPark}, "", packet.UnspecifiedError, defaultTimeout, true},
	contract.HookRetainedRead:  {[]OnError{OnErrorAllow, OnErrorNext}, OnErrorNext, 0, defaultTimeout, true},
}

// Version is the protocol that the condition names; 0 for none.
func (w When) Version() packet.Version { return protocols[w.Protocol] }

// protocols are the values of when.protocol.
var protocols = map[string]packet.Version{"3.1": packet.V31, "3.1.1": packet.V311, "5.0": packet.V50}
