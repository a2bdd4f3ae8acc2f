package sdk

import "github.com/dunlinmq/dunlin/pluginsdk/contract"

// Each closure has an event of its type to fill, so that an event costs no
// allocation.

func (d *dispatcher) bindDeciding(p any) {
	if h, ok := p.(ConnectHandler); ok {
		var ev ConnectEvent
		d.on(contract.HookConnect, func(e *Event) Verdict { ev.Event = *e; return h.OnConnect(&ev) })
	}
	if h, ok := p.(AuthenticateHandler); ok {
		var ev AuthEvent
		d.on(contract.HookAuthenticate, func(e *Event) Verdict { ev.Event = *e; return h.OnAuthenticate(&ev) })
	}
	if h, ok := p.(AuthContinueHandler); ok {
		var ev AuthEvent
		d.on(contract.HookAuthContinue, func(e *Event) Verdict { ev.Event = *e; return h.OnAuthContinue(&ev) })
	}
	if h, ok := p.(ACLHandler); ok {
		var ev ACLEvent
		d.on(contract.HookACL, func(e *Event) Verdict { ev.Event = *e; return h.OnACL(&ev) })
	}
	if h, ok := p.(SubscribeHandler); ok {
		var ev FiltersEvent
		d.on(contract.HookSubscribe, func(e *Event) Verdict { ev.Event = *e; return h.OnSubscribe(&ev) })
	}
	if h, ok := p.(UnsubscribeHandler); ok {
		var ev FiltersEvent
		d.on(contract.HookUnsubscribe, func(e *Event) Verdict { ev.Event = *e; return h.OnUnsubscribe(&ev) })
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
		d.on(contract.HookRetainedStore, func(e *Event) Verdict { ev.Event = *e; return h.OnRetainedStore(&ev) })
	}
	if h, ok := p.(RetainedReadHandler); ok {
		var ev RetainedReadEvent
		d.on(contract.HookRetainedRead, func(e *Event) Verdict { ev.Event = *e; return h.OnRetainedRead(&ev) })
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
	if h, ok := p.(DisconnectedHandler); ok {
		var ev DisconnectEvent
		d.told(contract.HookDisconnected, func(e *Event) { ev.Event = *e; h.OnDisconnected(&ev) })
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

func deciding(fn func(*MessageEvent) Verdict) func(*Event) Verdict {
	var ev MessageEvent
	return func(e *Event) Verdict { ev.Event = *e; return fn(&ev) }
}

func ofMessage(fn func(*MessageEvent)) func(*Event) {
	var ev MessageEvent
	return func(e *Event) { ev.Event = *e; fn(&ev) }
}

func ofClient(fn func(*ClientEvent)) func(*Event) {
	var ev ClientEvent
	return func(e *Event) { ev.Event = *e; fn(&ev) }
}

func ofFilter(fn func(*FilterEvent)) func(*Event) {
	var ev FilterEvent
	return func(e *Event) { ev.Event = *e; fn(&ev) }
}
