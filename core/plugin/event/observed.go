package event

import (
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Observed is how events of one type are told to a plugin that decides nothing.
type Observed[E any] struct {
	// Wants tells whether the event is in scope.
	Wants func(p *Plugin, b *Binding, e *E) bool
	// Encode writes one record.
	Encode func(w *Encoder, k contract.Hook, e *E)
}

// Connection is for connected and disconnected.
var Connection = Observed[hook.ConnectionEvent]{
	Wants: func(_ *Plugin, b *Binding, e *hook.ConnectionEvent) bool { return b.Scope.client(e.Client) },
	Encode: func(w *Encoder, k contract.Hook, e *hook.ConnectionEvent) {
		h := w.head(k, e.Client)
		if !e.At.IsZero() {
			h.Time = uint64(e.At.UnixNano())
		}
		if k == contract.HookDisconnected {
			h.Aux = uint32(e.Reason)
		} else if e.Client != nil {
			h.Aux = uint32(e.Client.KeepAlive)
		}
		w.Begin(h)
		w.client(e.Client, nil)
		if k == contract.HookDisconnected {
			w.String(contract.SlotDisconnectReason, e.Text)
		}
		w.End()
	},
}

// Subscription is for subscribed and unsubscribed.
var Subscription = Observed[hook.SubscriptionEvent]{
	Wants: func(_ *Plugin, b *Binding, e *hook.SubscriptionEvent) bool {
		return b.Scope.client(e.Client) && b.Scope.filter(e.Filter)
	},
	Encode: func(w *Encoder, k contract.Hook, e *hook.SubscriptionEvent) { w.subscription(k, e) },
}

// Session is for the session hooks.
var Session = Observed[hook.SessionEvent]{
	Wants: func(_ *Plugin, b *Binding, e *hook.SessionEvent) bool { return b.Scope.client(e.Client) },
	Encode: func(w *Encoder, k contract.Hook, e *hook.SessionEvent) {
		h := w.head(k, e.Client)
		if !e.At.IsZero() {
			h.Time = uint64(e.At.UnixNano())
		}
		w.Begin(h)
		if e.Client != nil {
			w.client(e.Client, nil)
		} else {
			w.String(contract.SlotClientID, e.ClientID)
		}
		w.End()
	},
}

// Message is for published, delivered, acked and dropped.
var Message = Observed[hook.MessageEvent]{
	Wants: func(p *Plugin, b *Binding, e *hook.MessageEvent) bool {
		return !p.Own(e.Msg) && b.Scope.message(e.Client, e.Msg)
	},
	Encode: func(w *Encoder, k contract.Hook, e *hook.MessageEvent) {
		qos := e.Msg.QoS
		if k == contract.HookDelivered {
			qos = e.QoS
		}
		w.openMessage(k, e.Client, e.Msg, qos)
		if e.Client != nil {
			w.who(e.Client)
		} else {
			w.optional(contract.SlotClientID, e.ClientID)
		}
		w.messageSlots(e.Msg)
		w.optional(contract.SlotReason, e.Reason)
		w.End()
	},
}

// Connack is for connack.
var Connack = Observed[hook.ConnackEvent]{
	Wants: func(_ *Plugin, b *Binding, e *hook.ConnackEvent) bool { return b.Scope.client(e.Client) },
	Encode: func(w *Encoder, k contract.Hook, e *hook.ConnackEvent) {
		h := w.head(k, e.Client)
		h.Time = uint64(e.At.UnixNano())
		if e.Client != nil {
			h.Aux = uint32(e.Client.KeepAlive)
		}
		w.Begin(h)
		w.client(e.Client, nil)
		w.Uint32(contract.SlotReasonCode, uint32(e.Code))
		w.End()
	},
}

// ACLChecked is for acl_checked.
var ACLChecked = Observed[hook.ACLEvent]{
	Wants: func(_ *Plugin, b *Binding, e *hook.ACLEvent) bool {
		return b.Scope.client(e.Client) && b.Scope.flags(e.QoS, e.Retain) && b.Scope.filter(e.Topic)
	},
	Encode: func(w *Encoder, k contract.Hook, e *hook.ACLEvent) {
		h := w.head(k, e.Client)
		if e.Verdict == hook.Allow {
			h.Aux |= contract.ACLAllowed
		}
		if e.Cached {
			h.Aux |= contract.ACLCached
		}
		w.acl(h, e)
	},
}

// acl writes a record of acl or acl_checked.
func (w *Encoder) acl(h contract.Header, e *hook.ACLEvent) {
	h.Flags = h.Flags.WithQoS(e.QoS)
	if e.Action&hook.Publish != 0 {
		h.Flags |= contract.FlagPublish
	}
	if e.Action&hook.Subscribe != 0 {
		h.Flags |= contract.FlagSubscribe
	}
	if e.Retain {
		h.Flags |= contract.FlagRetain
	}
	w.Begin(h)
	w.who(e.Client)
	w.String(contract.SlotTopic, e.Topic)
	if e.Client != nil {
		w.optional(contract.SlotACLPrincipal, e.Client.Principal)
		w.optional(contract.SlotACLTenant, e.Client.Tenant)
		w.optional(contract.SlotACLName, e.Client.CommonName)
		w.optional(contract.SlotACLDN, e.Client.DN)
		w.local(contract.SlotACLLocal, e.Client)
	}
	w.End()
}
