package sdk

import "github.com/dunlinmq/dunlin/pluginsdk/contract"

// Each closure has an event of its type to fill, so that an event costs no
// allocation. A verdict goes into the block where the plugin returned it: it is large,
// and copying it on would cost a guest as much as the call.

func (d *dispatcher) bindDeciding(p any) {
	if h, ok := p.(ConnectHandler); ok {
		var ev ConnectEvent
		d.on(contract.HookConnect, func(r contract.Record, i int, out *encoder) {
			ev.Event = Event{r, i}
			v := h.OnConnect(&ev)
			out.put(i, &v)
		})
	}
	if h, ok := p.(AuthenticateHandler); ok {
		var ev AuthEvent
		d.on(contract.HookAuthenticate, func(r contract.Record, i int, out *encoder) {
			ev.Event = Event{r, i}
			v := h.OnAuthenticate(&ev)
			out.put(i, &v)
		})
	}
	if h, ok := p.(AuthContinueHandler); ok {
		var ev AuthEvent
		d.on(contract.HookAuthContinue, func(r contract.Record, i int, out *encoder) {
			ev.Event = Event{r, i}
			v := h.OnAuthContinue(&ev)
			out.put(i, &v)
		})
	}
	if h, ok := p.(ACLHandler); ok {
		var ev ACLEvent
		d.on(contract.HookACL, func(r contract.Record, i int, out *encoder) {
			ev.Event = Event{r, i}
			v := h.OnACL(&ev)
			out.put(i, &v)
		})
	}
	if h, ok := p.(SubscribeHandler); ok {
		var ev FiltersEvent
		d.on(contract.HookSubscribe, func(r contract.Record, i int, out *encoder) {
			ev.Event = Event{r, i}
			v := h.OnSubscribe(&ev)
			out.put(i, &v)
		})
	}
	if h, ok := p.(UnsubscribeHandler); ok {
		var ev FiltersEvent
		d.on(contract.HookUnsubscribe, func(r contract.Record, i int, out *encoder) {
			ev.Event = Event{r, i}
			v := h.OnUnsubscribe(&ev)
			out.put(i, &v)
		})
	}
	if h, ok := p.(PublishHandler); ok {
		d.on(contract.HookPublish, deciding(h.OnPublish))
	}
	if h, ok := p.(WillHandler); ok {
		d.on(contract.HookWill, deciding(h.OnWill))
	}
	if h, ok := p.(DeliverHandler); ok {
		d.on(contract.HookDeliver, deciding(h.OnDeliver))
	}
	if h, ok := p.(MessageHandler); ok {
		d.on(contract.HookMessage, deciding(h.OnMessage))
	}
	if h, ok := p.(RetainedStoreHandler); ok {
		var ev RetainEvent
		d.on(contract.HookRetainedStore, func(r contract.Record, i int, out *encoder) {
			ev.Event = Event{r, i}
			v := h.OnRetainedStore(&ev)
			out.put(i, &v)
		})
	}
	if h, ok := p.(RetainedReadHandler); ok {
		var ev RetainedReadEvent
		d.on(contract.HookRetainedRead, func(r contract.Record, i int, out *encoder) {
			ev.Event = Event{r, i}
			v := h.OnRetainedRead(&ev)
			out.put(i, &v)
		})
	}
}

func (d *dispatcher) bindObserving(p any) {
	d.bindClient(p)
	d.bindSession(p)
	if h, ok := p.(PublishedHandler); ok {
		d.told(contract.HookPublished, ofMessage(h.OnPublished))
	}
	if h, ok := p.(DeliveredHandler); ok {
		d.told(contract.HookDelivered, ofMessage(h.OnDelivered))
	}
	if h, ok := p.(AckedHandler); ok {
		d.told(contract.HookAcked, ofMessage(h.OnAcked))
	}
	if h, ok := p.(DroppedHandler); ok {
		d.told(contract.HookDropped, ofMessage(h.OnDropped))
	}
}

func (d *dispatcher) bindClient(p any) {
	if h, ok := p.(ConnectedHandler); ok {
		d.told(contract.HookConnected, ofClient(h.OnConnected))
	}
	if h, ok := p.(ConnackHandler); ok {
		var ev ConnackEvent
		d.told(contract.HookConnack, func(r contract.Record, i int) { ev.Event = Event{r, i}; h.OnConnack(&ev) })
	}
	if h, ok := p.(ACLCheckedHandler); ok {
		var ev ACLCheckedEvent
		d.told(contract.HookACLChecked, func(r contract.Record, i int) { ev.Event = Event{r, i}; h.OnACLChecked(&ev) })
	}
	if h, ok := p.(DisconnectedHandler); ok {
		var ev DisconnectEvent
		d.told(contract.HookDisconnected, func(r contract.Record, i int) { ev.Event = Event{r, i}; h.OnDisconnected(&ev) })
	}
	if h, ok := p.(SubscribedHandler); ok {
		d.told(contract.HookSubscribed, ofFilter(h.OnSubscribed))
	}
	if h, ok := p.(UnsubscribedHandler); ok {
		d.told(contract.HookUnsubscribed, ofFilter(h.OnUnsubscribed))
	}
}

func (d *dispatcher) bindSession(p any) {
	if h, ok := p.(SessionCreatedHandler); ok {
		d.told(contract.HookSessionCreated, ofClient(h.OnSessionCreated))
	}
	if h, ok := p.(SessionResumedHandler); ok {
		d.told(contract.HookSessionResumed, ofClient(h.OnSessionResumed))
	}
	if h, ok := p.(SessionTakenOverHandler); ok {
		d.told(contract.HookSessionTakenOver, ofClient(h.OnSessionTakenOver))
	}
	if h, ok := p.(SessionExpiredHandler); ok {
		d.told(contract.HookSessionExpired, ofClient(h.OnSessionExpired))
	}
	if h, ok := p.(SessionDiscardedHandler); ok {
		d.told(contract.HookSessionDiscarded, ofClient(h.OnSessionDiscarded))
	}
}

func deciding(fn func(*MessageEvent) Verdict) decider {
	var ev MessageEvent
	return func(r contract.Record, i int, out *encoder) {
		ev.Event = Event{r, i}
		v := fn(&ev)
		out.put(i, &v)
	}
}

func ofMessage(fn func(*MessageEvent)) observer {
	var ev MessageEvent
	return func(r contract.Record, i int) { ev.Event = Event{r, i}; fn(&ev) }
}

func ofClient(fn func(*ClientEvent)) observer {
	var ev ClientEvent
	return func(r contract.Record, i int) { ev.Event = Event{r, i}; fn(&ev) }
}

func ofFilter(fn func(*FilterEvent)) observer {
	var ev FilterEvent
	return func(r contract.Record, i int) { ev.Event = Event{r, i}; fn(&ev) }
}
