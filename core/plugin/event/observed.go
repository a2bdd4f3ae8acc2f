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
