package sdk

import (
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// ACLCheckedEvent is what was decided about a question.
type ACLCheckedEvent struct{ ACLEvent }

// Allowed tells whether the client may.
func (e *ACLCheckedEvent) Allowed() bool { return e.rec.Aux()&contract.ACLAllowed != 0 }

// Cached tells whether the answer was remembered.
func (e *ACLCheckedEvent) Cached() bool { return e.rec.Aux()&contract.ACLCached != 0 }

// ACLEvent asks whether a client may publish to a topic or subscribe to a filter.
type ACLEvent struct{ Event }

// Topic is the topic name, or the topic filter without share prefix.
func (e *ACLEvent) Topic() string { return string(e.TopicBytes()) }

// TopicBytes is the topic name or filter, without a copy.
func (e *ACLEvent) TopicBytes() []byte { return e.rec.Slot(contract.SlotTopic) }

// Publish tells whether the client wants to publish.
func (e *ACLEvent) Publish() bool { return e.Flags().Has(contract.FlagPublish) }

// Subscribe tells whether the client wants to subscribe.
func (e *ACLEvent) Subscribe() bool { return e.Flags().Has(contract.FlagSubscribe) }

// QoS is the QoS of the message or subscription.
func (e *ACLEvent) QoS() byte { return e.Flags().QoS() }

// Retain tells whether the message has the RETAIN flag.
func (e *ACLEvent) Retain() bool { return e.Flags().Has(contract.FlagRetain) }

// Principal is who authentication says the client is.
func (e *ACLEvent) Principal() string { return string(e.rec.Slot(contract.SlotACLPrincipal)) }

// Tenant is what authentication says the client belongs to.
func (e *ACLEvent) Tenant() string { return string(e.rec.Slot(contract.SlotACLTenant)) }

// CommonName is the CN of the TLS client certificate.
func (e *ACLEvent) CommonName() string { return string(e.rec.Slot(contract.SlotACLName)) }

// DN is the distinguished name of the TLS client certificate.
func (e *ACLEvent) DN() string { return string(e.rec.Slot(contract.SlotACLDN)) }

// LocalBytes is the address and port that the client connected to, without a copy.
func (e *ACLEvent) LocalBytes() []byte { return e.rec.Slot(contract.SlotACLLocal) }

// FiltersEvent is one SUBSCRIBE or UNSUBSCRIBE.
type FiltersEvent struct{ Event }

// Len is the number of filters.
func (e *FiltersEvent) Len() int { return int(e.rec.Aux()) }

// Filters lists the filters in order, for range. They are views.
func (e *FiltersEvent) Filters() contract.FilterList {
	return contract.FilterList{
		Bytes:   e.rec.Slot(contract.SlotFilters),
		Options: e.rec.Hook() == contract.HookSubscribe,
	}
}

// FilterEvent is about one subscription.
type FilterEvent struct{ Event }

// Filter is the topic filter.
func (e *FilterEvent) Filter() string { return string(e.FilterBytes()) }

// FilterBytes is the topic filter, without a copy.
func (e *FilterEvent) FilterBytes() []byte { return e.rec.Slot(contract.SlotFilter) }

// QoS is the granted QoS.
func (e *FilterEvent) QoS() byte { return byte(e.rec.Aux()) & 3 }

// NoLocal tells whether the client's own messages are left out.
func (e *FilterEvent) NoLocal() bool { return e.rec.Aux()&(1<<2) != 0 }

// RetainAsPublished tells whether the RETAIN flag is kept.
func (e *FilterEvent) RetainAsPublished() bool { return e.rec.Aux()&(1<<3) != 0 }

// RetainHandling is 0 (send retained messages), 1 (if the subscription is new)
// or 2 (do not) [MQTT-3.8.3.1].
func (e *FilterEvent) RetainHandling() byte { return byte(e.rec.Aux()>>4) & 3 }

// New tells whether the subscription did not exist before.
func (e *FilterEvent) New() bool { return e.Flags().Has(contract.FlagNew) }

// MessageEvent is about one message. Its client is the publisher (OnPublish,
// OnWill, OnPublished, OnRetainedStore) or the subscriber.
type MessageEvent struct{ Event }

// Topic is the topic name.
func (e *MessageEvent) Topic() string { return string(e.TopicBytes()) }

// TopicBytes is the topic name, without a copy.
func (e *MessageEvent) TopicBytes() []byte { return e.rec.Slot(contract.SlotTopic) }

// PayloadBytes is the payload, without a copy; nil if the manifest did not ask
// for it, and cut at the manifest's max_payload.
func (e *MessageEvent) PayloadBytes() []byte { return e.rec.Slot(contract.SlotPayload) }

// PayloadSize is the size of the whole payload in bytes, also when the payload
// was not asked for.
func (e *MessageEvent) PayloadSize() int { return int(e.rec.Aux()) }

// PropsBytes are the properties in wire form, without a copy.
func (e *MessageEvent) PropsBytes() []byte { return e.rec.Slot(contract.SlotProps) }

// QoS is the message's QoS.
func (e *MessageEvent) QoS() byte { return e.Flags().QoS() }

// Retain is the message's RETAIN flag.
func (e *MessageEvent) Retain() bool { return e.Flags().Has(contract.FlagRetain) }

// Expiry is how long the message is still valid; ok is false if for ever.
func (e *MessageEvent) Expiry() (left time.Duration, ok bool) {
	s, ok := e.rec.Uint32(contract.SlotExpiry)
	return time.Duration(s) * time.Second, ok
}

// From is the client id of the publisher, or the name of a plugin.
func (e *MessageEvent) From() string { return string(e.rec.Slot(contract.SlotFrom)) }

// DropReason says in OnDropped why: no_subscribers, queue_full, expired ...
func (e *MessageEvent) DropReason() string { return string(e.rec.Slot(contract.SlotReason)) }

// RetainEvent is a PUBLISH with RETAIN, with what a provider can do about it.
type RetainEvent struct{ MessageEvent }

// Keep keeps the message in the topic store in place of an older one with its
// topic: for at most ttl, or, if ttl is 0, until the message itself expires.
// The error is [ErrQuota] when the store is full.
func (e *RetainEvent) Keep(ttl time.Duration) error {
	ms := ttl.Milliseconds()
	if ttl > 0 && ms == 0 {
		ms = 1 // 0 would mean for ever
	}
	return errnoOf(hostPut(e.index, ms))
}

// Remove removes what is kept for the message's topic. The error is
// [ErrNotFound] when nothing is.
func (e *RetainEvent) Remove() error { return errnoOf(hostDel(e.index)) }

// RetainedReadEvent is a new subscription, with what a provider can do about it.
type RetainedReadEvent struct{ FilterEvent }

// Deliver sends what the topic store has for the filter to the client, at the
// client's pace. It returns at once.
func (e *RetainedReadEvent) Deliver() error { return errnoOf(hostDeliver(e.index)) }
