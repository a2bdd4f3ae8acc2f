// Package event turns the events of the hook points into records of the plugin
// contract, and verdicts back into what the events' fields say. For each hook it
// knows which events are in scope, how one is written, what a verdict changes
// and what on_error does. It refuses to know how a record reaches a plugin.
package event

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/schedule"
	"github.com/dunlinmq/dunlin/core/topicstore"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// MaxHops bounds how often a message may be published on by plugins.
const MaxHops = 8

// Plugin is what events must know of the plugin that they go to. Its identity
// is its address, which outlives a reload.
type Plugin struct {
	Name   string
	Store  *topicstore.Store // for the services of retained calls; may be nil
	Now    func() time.Time
	Looped func() // told of a publication that has been published on too often

	// Later is for the services of publish calls (capability "schedule"); nil: none.
	Later atomic.Pointer[schedule.Queue]

	lists  shelf
	memory memory
}

// shelf keeps equal permission lists once: most clients of a plugin have the
// same few, and each list would cost a connection some hundred bytes.
type shelf struct {
	mu    sync.Mutex
	lists map[string][]hook.Permission // by their bytes on the wire
}

// maxShelf bounds the lists that are kept to be shared.
const maxShelf = 1024

// of returns the list whose bytes are raw; read makes it.
func (s *shelf) of(raw []byte, read func() []hook.Permission) []hook.Permission {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list, ok := s.lists[string(raw)]; ok {
		return list
	}
	if s.lists == nil || len(s.lists) >= maxShelf {
		s.lists = map[string][]hook.Permission{}
	}
	list := read()
	s.lists[string(raw)] = list
	return list
}

// now is the time in Unix nanoseconds.
func (p *Plugin) now() int64 { return p.Now().UnixNano() }

// Own tells whether p itself published m: its own message hooks are not called
// for it, or it would meet its messages for ever.
func (p *Plugin) Own(m *message.Message) bool {
	return m.Origin == message.OriginPlugin && m.From == p.Name
}

// Binding is one hook registration of one version of a plugin. Immutable.
type Binding struct {
	Hook       contract.Hook
	Fields     contract.SlotMask
	MaxPayload uint32 // bytes of a payload that the plugin sees; 0: all
	Scope      Scope
	Refused    *Wanted           // topics of messages that the class consume refuses; nil: none
	Subject    string            // levels before the topic that access rules are asked about; "": none
	OnError    manifest.OnError  // "": by QoS
	Reason     packet.ReasonCode // of a refusal by OnError
}

// denies tells whether the policy refuses.
func (b *Binding) denies() bool {
	return b.OnError == manifest.OnErrorDeny || b.OnError == manifest.OnErrorPark
}

// policy is the policy that holds for a message of the given QoS.
func (b *Binding) policy(qos byte) manifest.OnError {
	switch {
	case b.OnError != "":
		return b.OnError
	case qos == 0:
		return manifest.OnErrorDrop
	default:
		return manifest.OnErrorPark
	}
}

// Ops is how events of one type go to a plugin and their verdicts come back.
type Ops[E any] struct {
	// Wants tells whether the plugin is to be asked: undecided and in scope.
	Wants func(p *Plugin, b *Binding, e *E) bool
	// Key is the event's connection.
	Key func(e *E) uint64
	// Encode writes one record.
	Encode func(w *Encoder, k contract.Hook, e *E)
	// Apply writes the plugin's verdict into the event.
	Apply func(a *Answer, e *E)
	// Fail applies the policy to an event whose plugin faulted.
	Fail func(b *Binding, e *E)
	// Park is where the event's client can wait for a verdict that comes later;
	// nil: it cannot. A nil func: no event of the type can.
	Park func(e *E) *hook.Parking
	// Records, if set, gives the topicstore services of the call: at[i] is the
	// index in es of record i.
	Records func(p *Plugin, es []E, at []int) Records
}

// Answer is one verdict with what is needed to carry it out.
type Answer struct {
	contract.Verdict
	Plugin  *Plugin
	Binding *Binding // the registration that was asked
	Now     int64    // Unix nanoseconds
}

// reason is the reason code of a Deny: the plugin's, else NotAuthorized.
func (a *Answer) reason() packet.ReasonCode {
	if a.Reason != 0 {
		return packet.ReasonCode(a.Reason)
	}
	return packet.NotAuthorized
}

// throttle is the longer of the pause so far and the one that the plugin wants.
func (a *Answer) throttle(sofar time.Duration) time.Duration {
	ms, _ := a.Uint32(contract.ExtThrottle)
	return max(sofar, time.Duration(ms)*time.Millisecond)
}

// Records are the messages behind the records of one retained_store or
// retained_read call (capability "topicstore"). record counts from 0 over the
// whole call, also when the transport splits it. The methods must be called
// during the call only, from any one goroutine at a time; later calls are ErrnoDenied.
type Records interface {
	// Put keeps the message of a retained_store record under its topic, for at
	// most ttl (0: as the message's own expiry says). ErrnoQuota: the store is full.
	Put(record int, ttl time.Duration) error
	// Delete removes what is kept for the topic of a retained_store record. ErrnoNotFound.
	Delete(record int) error
	// Deliver sends what matches the filter of a retained_read record to the
	// client of that record, in order, at the pace of that client.
	Deliver(record int) error
	// Count tells how many messages are kept for filter. "": all that is kept.
	Count(filter string) int
}
