package sdk

import "github.com/dunlinmq/dunlin/pluginsdk/contract"

// Each closure has an event of its type to fill, so that an event costs no
// allocation. A verdict goes into the block where the plugin returned it: it is large,
// and copying it on would cost a guest as much as the call.

func (d *dispatcher) bindDeciding(p any) {
	if h, ok := p.(ConnectHandler); ok {
		ev := &ConnectEvent{}
		d.on(contract.HookConnect, deciding(ev, &ev.Event, h.OnConnect))
	}
	if h, ok := p.(AuthenticateHandler); ok {
		ev := &AuthEvent{}
		d.on(contract.HookAuthenticate, deciding(ev, &ev.Event, h.OnAuthenticate))
	}
	if h, ok := p.(AuthContinueHandler); ok {
		ev := &AuthEvent{}
		d.on(contract.HookAuthContinue, deciding(ev, &ev.Event, h.OnAuthContinue))
	}
	if h, ok := p.(ACLHandler); ok {
		ev := &ACLEvent{}
		d.on(contract.HookACL, deciding(ev, &ev.Event, h.OnACL))
	}
	if h, ok := p.(SubscribeHandler); ok {
		ev := &FiltersEvent{}
		d.on(contract.HookSubscribe, deciding(ev, &ev.Event, h.OnSubscribe))
	}
	if h, ok := p.(UnsubscribeHandler); ok {
		ev := &FiltersEvent{}
		d.on(contract.HookUnsubscribe, deciding(ev, &ev.Event, h.OnUnsubscribe))
	}
	if h, ok := p.(PublishHandler); ok {
		ev := &MessageEvent{}
		d.on(contract.HookPublish, deciding(ev, &ev.Event, h.OnPublish))
	}
	if h, ok := p.(WillHandler); ok {
		ev := &MessageEvent{}
		d.on(contract.HookWill, deciding(ev, &ev.Event, h.OnWill))
	}
	if h, ok := p.(DeliverHandler); ok {
		ev := &MessageEvent{}
		d.on(contract.HookDeliver, deciding(ev, &ev.Event, h.OnDeliver))
	}
	if h, ok := p.(MessageHandler); ok {
		ev := &MessageEvent{}
		d.on(contract.HookMessage, deciding(ev, &ev.Event, h.OnMessage))
	}
	if h, ok := p.(RetainedStoreHandler); ok {
		ev := &RetainEvent{}
		d.on(contract.HookRetainedStore, deciding(ev, &ev.Event, h.OnRetainedStore))
	}
	if h, ok := p.(RetainedReadHandler); ok {
		ev := &RetainedReadEvent{}
		d.on(contract.HookRetainedRead, deciding(ev, &ev.Event, h.OnRetainedRead))
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

// deciding has fn decide about ev, of which base is the part that all events have.
func deciding[E any](ev *E, base *Event, fn func(*E) Verdict) decider {
	return func(r contract.Record, i int, out *encoder) {
		*base = Event{r, i}
		v := fn(ev)
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
