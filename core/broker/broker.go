// Package broker is the one publish pipeline of the node: every message of a
// client, will, plugin, $SYS, admin or peer goes through the same named stages.
// It refuses to know sessions, sockets and who the publisher is.
package broker

import (
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/store"
)

// MaxHops is how often plugins may publish a message on before it is dropped:
// the guard against loops between plugins.
const MaxHops = 8

// Config names the node in message ids, and says what survives it.
type Config struct {
	Node        uint32
	Incarnation uint32
	// Journal is what acknowledgements wait for when a retained message survives;
	// nil: none does.
	Journal *journal.Journal
	// Durability is how safe a retained message of the client (nil: of the node, a
	// plugin or an operator) has to be before it is acknowledged; nil: not at all.
	Durability func(*hook.Client) store.Durability
}

// Broker routes messages. Safe for concurrent use.
type Broker struct {
	// Immutable after New.
	cfg    Config
	hooks  *hook.Points
	router *router.Router

	seq atomic.Uint64 // the last message id; a batch takes a range at once
}

// New returns a Broker over the hook points and the router.
func New(cfg Config, hooks *hook.Points, r *router.Router) *Broker {
	return &Broker{cfg: cfg, hooks: hooks, router: r}
}

// Publish takes the messages of es in order through the stages: message.publish
// hooks, retained store, match, deliver. On return each event's Verdict and
// Reason say what came of it: Allow with Success or NoMatchingSubscribers, Drop
// with Success, or Deny with a code >= 0x80. Messages are in the mailboxes of
// their subscribers when Publish returns, so the caller may acknowledge; they
// are written when the batch is flushed. True: a hook decides later and nothing
// has been routed; call it again with es when their Park is settled.
func (k *Broker) Publish(b *router.Batch, es []hook.PublishEvent) (waits bool) {
	if len(es) == 0 {
		return false
	}
	park := es[0].Park
	if !park.Resuming() {
		k.number(b, es)
		for i := range es {
			if es[i].Msg.Origin != message.OriginSys && passes(es[i].Verdict) {
				b.Count.MessagesPublish++
			}
		}
		k.stopLoops(es)
	}
	if k.hooks.MessagePublish.Walk(park, func(fold hook.InterceptMany[hook.PublishEvent]) bool { fold(es); return true }) {
		return true
	}
	k.await(b, es)
	k.retain(b, es)
	k.consume(b, es)
	for i := range es {
		k.route(b, &es[i])
	}
	return false
}

// await makes the acknowledgements of es wait for what plugins have put on the disk
// while they were asked.
func (k *Broker) await(b *router.Batch, es []hook.PublishEvent) {
	need := store.Memory
	for i := range es {
		if es[i].Kept {
			need = max(need, store.Async, k.durability(&es[i]))
		}
	}
	if need > store.Memory && k.cfg.Journal != nil {
		b.Tx(k.cfg.Journal).Barrier(need)
	}
}

// PublishOne is Publish for a publisher that is not a client.
func (k *Broker) PublishOne(b *router.Batch, m *message.Message) packet.ReasonCode {
	es := [1]hook.PublishEvent{{Msg: m}}
	k.Publish(b, es[:])
	return es[0].Reason
}

// number gives each message its id and time.
func (k *Broker) number(b *router.Batch, es []hook.PublishEvent) {
	n := uint64(len(es))
	seq := k.seq.Add(n) - n
	for i := range es {
		m := es[i].Msg
		m.ID = message.ID{Node: k.cfg.Node, Incarnation: k.cfg.Incarnation, Seq: seq + uint64(i) + 1}
		if m.Time == 0 {
			m.Time = b.Now
		}
	}
}

// stopLoops denies what plugins have published on too often, before they see it
// once more.
func (k *Broker) stopLoops(es []hook.PublishEvent) {
	for i := range es {
		if e := &es[i]; e.Msg.Hops > MaxHops && passes(e.Verdict) {
			e.Verdict, e.Reason = hook.Deny, packet.QuotaExceeded
			k.dropped(e, "loop")
		}
	}
}

// retain tells the provider of retained messages, once for all of es.
func (k *Broker) retain(b *router.Batch, es []hook.PublishEvent) {
	chain := k.hooks.RetainedStore.Chain()
	if chain == nil {
		return
	}
	var retained []hook.RetainEvent
	var at []int
	for i := range es {
		if e := &es[i]; e.Msg.Retain && passes(e.Verdict) {
			retained = append(retained, hook.RetainEvent{Client: e.Client, Msg: e.Msg, Durability: k.durability(e)})
			at = append(at, i)
		}
	}
	if retained == nil {
		return
	}
	for _, keep := range chain {
		keep(retained)
	}
	need := store.Memory
	for j := range retained {
		r := &retained[j]
		if r.Kept {
			need = max(need, r.Durability)
		}
		if r.Unkept != 0 && r.Msg.QoS > 0 {
			r.Verdict, r.Reason = hook.Deny, r.Unkept
		}
		if r.Verdict == hook.Allow && len(r.Msg.Payload) > 0 && r.Msg.Origin != message.OriginSys {
			b.Count.MessagesRetained++ // Allow: somebody has kept it
		}
		if !passes(r.Verdict) {
			es[at[j]].Verdict, es[at[j]].Reason = r.Verdict, r.Reason
		}
	}
	if need > store.Memory {
		b.Tx(k.cfg.Journal).Barrier(need)
	}
}

// consume keeps the messages for plugins that must get each of them. What cannot be
// kept is refused.
func (k *Broker) consume(b *router.Batch, es []hook.PublishEvent) {
	chain := k.hooks.MessageConsume.Chain()
	if chain == nil {
		return
	}
	kept := make([]hook.ConsumeEvent, 0, len(es))
	at := make([]int, 0, len(es))
	for i := range es {
		if e := &es[i]; passes(e.Verdict) {
			kept, at = append(kept, hook.ConsumeEvent{Client: e.Client, Msg: e.Msg}), append(at, i)
		}
	}
	for _, keep := range chain {
		keep(kept)
	}
	need := store.Memory
	for j := range kept {
		e := &es[at[j]]
		if kept[j].Kept {
			need = max(need, store.Async, k.durability(e))
		}
		if kept[j].Verdict == hook.Deny {
			b.Refuse(kept[j].Reason)
			e.Verdict, e.Reason = hook.Deny, kept[j].Reason
		}
	}
	if need > store.Memory && k.cfg.Journal != nil {
		b.Tx(k.cfg.Journal).Barrier(need)
	}
}

// durability is how safe the retained message of e has to be.
func (k *Broker) durability(e *hook.PublishEvent) store.Durability {
	if k.cfg.Journal == nil || k.cfg.Durability == nil || e.Msg.Origin == message.OriginSys {
		return store.Memory
	}
	return k.cfg.Durability(e.Client)
}

// route delivers one message and settles its event.
func (k *Broker) route(b *router.Batch, e *hook.PublishEvent) {
	switch {
	case e.Verdict == hook.Deny:
		if e.Reason < packet.UnspecifiedError {
			e.Reason = packet.NotAuthorized
		}
	case e.Verdict == hook.Drop:
		e.Reason = packet.Success
		if e.Delayed {
			b.Count.MessagesDelayed++
		} else {
			b.Count.MessagesDropped++
		}
	default:
		refused := b.Refused()
		e.Verdict, e.Reason = hook.Allow, k.dispatch(b, e)
		if b.Refused() != refused { // sent again, all of them get it
			e.Verdict, e.Reason = hook.Deny, b.Refusal()
		}
	}
	if e.Verdict == hook.Deny {
		return
	}
	for _, m := range e.Also {
		k.PublishOne(b, m)
	}
}

// dispatch matches and delivers [MQTT-3.3.4-1].
func (k *Broker) dispatch(b *router.Batch, e *hook.PublishEvent) packet.ReasonCode {
	m := e.Msg
	matches := b.Matches()
	k.router.Match(m.Topic, matches)
	for _, s := range matches.Subs {
		s.To.Deliver(b, message.Delivery{Msg: m, Opts: s.Opts})
	}
	n := len(matches.Subs)
	for _, g := range matches.Groups {
		if s := k.router.Pick(g, m, nil); s != nil {
			s.To.Deliver(b, message.Delivery{Msg: m, Share: s.Share, Opts: s.Opts})
			n++
		}
	}
	for _, told := range k.hooks.MessagePublished.Chain() {
		told(&hook.MessageEvent{Client: e.Client, Msg: m})
	}
	e.Routed = n
	if n == 0 {
		if m.Origin != message.OriginSys {
			b.Count.MessagesDropped++
			b.Count.MessagesDroppedNoSubscribers++
		}
		k.dropped(e, "no_subscribers")
		return packet.NoMatchingSubscribers
	}
	return packet.Success
}

// Redispatch gives a shared delivery whose member went away to another member
// of its group. It tells whether there was one.
func (k *Broker) Redispatch(b *router.Batch, d message.Delivery, gone router.Subscriber) bool {
	matches := b.Matches()
	k.router.Match(d.Msg.Topic, matches)
	for _, g := range matches.Groups {
		if *g.Share != *d.Share {
			continue
		}
		if s := k.router.Pick(g, d.Msg, gone); s != nil {
			s.To.Deliver(b, message.Delivery{Msg: d.Msg, Share: s.Share, Opts: s.Opts})
			return true
		}
	}
	return false
}

func (k *Broker) dropped(e *hook.PublishEvent, reason string) {
	for _, told := range k.hooks.MessageDropped.Chain() {
		told(&hook.MessageEvent{Client: e.Client, Msg: e.Msg, Reason: reason})
	}
}

func passes(v hook.Verdict) bool { return v == hook.Next || v == hook.Allow }
