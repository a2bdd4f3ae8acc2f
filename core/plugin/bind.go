package plugin

import (
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// attach adds the callback of one hook of p to its hook point. The callback
// asks whatever version is current, so that a reload changes no chain.
func (p *loaded) attach(k contract.Hook, blocking bool) (remove func()) {
	pts := p.host.Hooks
	s := hook.Spec{Owner: p.name, Order: p.order, Blocking: blocking}
	switch k {
	case contract.HookConnect:
		return pts.ClientConnect.Add(s, func(e *hook.ConnectEvent) { ask(p, k, one(e), &event.Connect) })
	case contract.HookAuthenticate, contract.HookAuthContinue:
		return pts.ClientAuthenticate.Add(s, func(e *hook.AuthEvent) { ask(p, k, one(e), &event.Authenticate) })
	case contract.HookACL:
		return pts.ClientCheckACL.Add(s, func(es []hook.ACLEvent) { ask(p, k, es, &event.ACL) })
	case contract.HookSubscribe:
		return pts.ClientSubscribe.Add(s, func(e *hook.SubscribeEvent) { ask(p, k, one(e), &event.Subscribe) })
	case contract.HookUnsubscribe:
		return pts.ClientUnsubscribe.Add(s, func(e *hook.UnsubscribeEvent) { ask(p, k, one(e), &event.Unsubscribe) })
	case contract.HookPublish:
		forget := p.renames()
		off := pts.MessagePublish.Add(s, p.publish)
		return func() { off(); forget() }
	case contract.HookWill:
		return pts.MessageWill.Add(s, func(es []hook.PublishEvent) { ask(p, k, es, &event.Publish) })
	case contract.HookDeliver:
		return pts.MessageDeliver.Add(s, func(es []hook.DeliverEvent) { ask(p, k, es, &event.Deliver) })
	case contract.HookRetainedStore:
		return pts.RetainedStore.Add(s, func(es []hook.RetainEvent) { ask(p, k, es, &event.RetainStore) })
	case contract.HookRetainedRead:
		return pts.RetainedRead.Add(s, func(e *hook.RetainedReadEvent) { ask(p, k, one(e), &event.RetainRead) })
	}
	if k == contract.HookMessage {
		s.Blocking = false
		return pts.MessageConsume.Add(s, p.keep)
	}
	return p.attachObserver(k)
}

// publish asks about publications.
func (p *loaded) publish(es []hook.PublishEvent) {
	p.watch(es, func() { ask(p, contract.HookPublish, es, &event.Publish) })
}

// watch marks es if what the plugin puts into durable keys during call has to be
// safe before they are acknowledged, or what it will put when it decides later.
func (p *loaded) watch(es []hook.PublishEvent, call func()) {
	before := p.keys.writes()
	call()
	if p.keys.writes() == before && !(p.keys.durable() && es[0].Park.Waiting()) {
		return
	}
	for i := range es {
		es[i].Kept = true
	}
}

// renames has access rules asked about the topics that p says a PUBLISH is about.
func (p *loaded) renames() (remove func()) {
	if p.host.Subjects == nil {
		return func() {}
	}
	return p.host.Subjects(func(topic string) string {
		v := p.cur.Load()
		if v == nil {
			return topic
		}
		return v.hooks[contract.HookPublish].About(topic)
	})
}

// attachObserver is attach for hooks of class observe, which never block.
func (p *loaded) attachObserver(k contract.Hook) (remove func()) {
	pts := p.host.Hooks
	s := hook.Spec{Owner: p.name, Order: p.order}
	switch k {
	case contract.HookConnected:
		return pts.ClientConnected.Add(s, observe(p, k, &event.Connection))
	case contract.HookConnack:
		return pts.ClientConnack.Add(s, observe(p, k, &event.Connack))
	case contract.HookACLChecked:
		return pts.ClientCheckedACL.Add(s, observe(p, k, &event.ACLChecked))
	case contract.HookDisconnected:
		return pts.ClientDisconnected.Add(s, observe(p, k, &event.Connection))
	case contract.HookSubscribed:
		return pts.SessionSubscribed.Add(s, observe(p, k, &event.Subscription))
	case contract.HookUnsubscribed:
		return pts.SessionUnsubscribed.Add(s, observe(p, k, &event.Subscription))
	case contract.HookSessionCreated:
		return pts.SessionCreated.Add(s, observe(p, k, &event.Session))
	case contract.HookSessionResumed:
		return pts.SessionResumed.Add(s, observe(p, k, &event.Session))
	case contract.HookSessionTakenOver:
		return pts.SessionTakenOver.Add(s, observe(p, k, &event.Session))
	case contract.HookSessionExpired:
		return pts.SessionExpired.Add(s, observe(p, k, &event.Session))
	case contract.HookSessionDiscarded:
		return pts.SessionDiscarded.Add(s, observe(p, k, &event.Session))
	case contract.HookPublished:
		return pts.MessagePublished.Add(s, observe(p, k, &event.Message))
	case contract.HookDelivered:
		return pts.MessageDelivered.Add(s, observe(p, k, &event.Message))
	case contract.HookAcked:
		return pts.MessageAcked.Add(s, observe(p, k, &event.Message))
	case contract.HookDropped:
		return pts.MessageDropped.Add(s, observe(p, k, &event.Message))
	}
	return func() {}
}

// Forget implements [Cache]: what clients and the plugin itself remember of its acl
// verdicts.
func (p *loaded) Forget(prefix string) {
	p.party.Forget(prefix)
	p.host.Hooks.ClientCheckACL.Touch()
}

// bind makes v the current version of p: callbacks for its new hooks are added
// before the swap (they find nothing to do), those of hooks that are gone are
// taken out after it. A call meets exactly one version. The old version, if
// any, is returned; it may still be in use.
func (p *loaded) bind(v *version) (old *version) {
	p.count(v)
	if v.consumes != nil {
		p.consume(v.consumes)
	}
	for _, k := range contract.Hooks() {
		if _, on := p.removes[k]; !on && v.set.Has(k) {
			p.removes[k] = p.attach(k, v.blocking)
		}
	}
	if old = p.cur.Swap(v); old != nil {
		close(old.replaced)
	}
	if v.set.Has(contract.HookACL) || old != nil && old.set.Has(contract.HookACL) {
		p.Forget("") // another version may answer otherwise
	}
	for k, remove := range p.removes {
		if !v.set.Has(k) {
			remove()
			delete(p.removes, k)
		}
	}
	return old
}
