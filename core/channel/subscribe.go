package channel

import (
	"strings"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/topic"
)

// handleSubscribe takes the steps of a SUBSCRIBE in this order: caps, hooks,
// caps again for what hooks changed, acl, session, router, SUBACK, retained.
func (c *Channel) handleSubscribe(io *IO, t *turn, p *packet.Subscribe) *fault {
	t.count.PacketsSubscribeReceived++
	for i := range p.Filters {
		if c.version != packet.V50 && illFormed(p.Filters[i].Filter) {
			t.count.PacketsSubscribeError++
			return &fault{packet.TopicFilterInvalid, "topic filter is ill-formed"} // [3.1.1 MQTT-4.8.0-1]
		}
	}
	if !c.takes(&packet.Suback{PacketID: p.PacketID, Codes: make([]packet.ReasonCode, len(p.Filters))}) {
		return tooSmall
	}
	t.count.ClientSubscribe++
	ev := &hook.SubscribeEvent{Client: c.client, Props: p.Props, Filters: p.Filters, Codes: make([]packet.ReasonCode, len(p.Filters))}
	ev.Park = c.parking(c.env.Hooks.ClientSubscribe.Chain() != nil || c.env.Hooks.ClientCheckACL.Chain() != nil)
	return c.fold(io, t, &subscribing{SubscribeEvent: ev, packet: p})
}

// subscribing is a SUBSCRIBE on its way.
type subscribing struct {
	*hook.SubscribeEvent
	packet *packet.Subscribe
	acl    []hook.ACLEvent // of the filters that stood
	at     []int           // and their places
}

// fold asks the client.subscribe hooks and goes on with the steps behind them.
func (c *Channel) fold(io *IO, t *turn, s *subscribing) *fault {
	if c.env.Hooks.ClientSubscribe.Walk(s.Park, func(ask hook.Intercept[hook.SubscribeEvent]) bool { ask(s.SubscribeEvent); return true }) {
		c.later(func(io *IO, t *turn) *fault { return c.fold(io, t, s) })
		return nil
	}
	for i := range s.Filters {
		if s.Codes[i] < packet.UnspecifiedError {
			s.Codes[i] = c.checkFilter(&s.Filters[i])
		}
	}
	for i, f := range s.Filters {
		if s.Codes[i] < packet.UnspecifiedError {
			_, inner, _ := topic.ParseShare(f.Filter)
			s.acl = append(s.acl, hook.ACLEvent{Client: c.client, Action: hook.Subscribe, Topic: inner, QoS: f.QoS, Lists: &c.lists, Park: s.Park})
			s.at = append(s.at, i)
		}
	}
	return c.settleSubscribe(io, t, s)
}

// later makes step what is done when the verdicts are there.
func (c *Channel) later(step func(io *IO, t *turn) *fault) {
	c.wait.step = func(io *IO, t *turn) {
		if f := step(io, t); f != nil {
			c.fail(io, f)
		}
	}
}

// settleSubscribe asks the acl for the filters that still stand, subscribes and
// answers.
func (c *Channel) settleSubscribe(io *IO, t *turn, s *subscribing) *fault {
	if c.env.Access.Check(&c.zone.Access, c.cache, io.Batch.Now, s.acl) {
		c.later(func(io *IO, t *turn) *fault { return c.settleSubscribe(io, t, s) })
		return nil
	}
	countACL(t.count, &c.zone.Access, s.acl)
	denied := s.judge()
	id, _ := s.packet.Props.Varint(packet.PropSubscriptionID)
	from, mark := len(io.Out), io.Batch.Mark()
	var fresh []hook.RetainedReadEvent
	for i := range s.Filters {
		if s.Codes[i] < packet.UnspecifiedError {
			s.Codes[i], fresh = c.subscribe(io.Batch, &s.Filters[i], id, fresh)
		}
		s.Codes[i] = s.Codes[i].For(packet.TypeSuback)
		countSubscribe(t.count, s.Codes[i])
	}
	io.Out = packet.Append(io.Out, c.version, c.suback(s))
	c.promise(io, from, mark)
	t.count.PacketsSubackSent++
	c.readRetained(fresh)
	if denied && c.zone.ACLDenyDisconnect {
		return &fault{packet.NotAuthorized, "subscribe denied"}
	}
	return nil
}

// judge writes what the acl refused into the codes.
func (s *subscribing) judge() (denied bool) {
	for j := range s.acl {
		a := &s.acl[j]
		if a.Verdict != hook.Deny {
			continue
		}
		denied = true
		s.Codes[s.at[j]] = packet.NotAuthorized
		if a.Reason.Failed() {
			s.Codes[s.at[j]] = a.Reason
		}
		if s.Text == "" {
			s.Text = a.Text
		}
	}
	return denied
}

// suback is the answer, with the reason of a refusal if the client wants it and
// can take it [MQTT-3.9.2-1].
func (c *Channel) suback(s *subscribing) *packet.Suback {
	ack := &packet.Suback{PacketID: s.packet.PacketID, Codes: s.Codes}
	if ack.Props = c.reasonString(&fault{text: s.Text}); ack.Props != nil && !c.takes(ack) {
		ack.Props = nil
	}
	return ack
}

// checkFilter applies the zone's capabilities; 0 means it passes.
func (c *Channel) checkFilter(f *packet.Filter) packet.ReasonCode {
	_, inner, shared := topic.ParseShare(f.Filter)
	switch {
	case topic.ValidateFilter(f.Filter) != nil, c.tooDeep(inner):
		return packet.TopicFilterInvalid
	case shared && !c.zone.SharedAvailable:
		return packet.SharedSubscriptionsNotSupported
	case !c.zone.WildcardAvailable && topic.HasWildcard(inner):
		return packet.WildcardSubscriptionsNotSupported
	}
	f.QoS = min(f.QoS, c.zone.MaxQoS)
	return packet.Success
}

// illFormed tells whether the filter breaks the grammar of every version, which
// does not know shared subscriptions [MQTT-4.7.1-1] [MQTT-4.7.3-1].
func illFormed(filter string) bool {
	return filter == "" || topic.ValidateFilter(filter) != nil && topic.ValidateFilter("/"+filter) != nil
}

// subscribe stores one subscription and remembers it in fresh if retained
// messages may be due.
func (c *Channel) subscribe(b *router.Batch, f *packet.Filter, id uint32, fresh []hook.RetainedReadEvent) (packet.ReasonCode, []hook.RetainedReadEvent) {
	opts := c.subOptions(f, id)
	full := c.mounted(f.Filter)
	_, exists := c.sess.Subscription(full)
	if !exists && c.zone.MaxSubscriptions > 0 && c.sess.Info().Subscriptions >= c.zone.MaxSubscriptions {
		return packet.QuotaExceeded, fresh
	}
	if c.owner.Durable() {
		if err := c.env.Journal.Fault(); err != nil {
			return journal.Refusal(err), fresh
		}
	}
	isNew := c.sess.Subscribe(full, opts)
	c.owner.Subscribed(b, full, opts)
	group, inner, shared := topic.ParseShare(full)
	sub := &router.Subscription{Filter: full, Opts: opts, To: c.owner}
	if shared {
		sub.Filter, sub.Share = inner, &message.Share{Group: group, Filter: inner}
	}
	c.env.Router.Subscribe(sub)
	for _, told := range c.env.Hooks.SessionSubscribed.Chain() {
		told(&hook.SubscriptionEvent{Client: c.client, Filter: full, Opts: opts, New: isNew})
	}
	// Shared subscriptions get no retained messages [MQTT-3.8.4]; Retain Handling
	// 2 none, 1 only if new [MQTT-3.3.1-9 ... -11].
	if !shared && (f.RetainHandling == 0 || f.RetainHandling == 1 && isNew) {
		fresh = append(fresh, hook.RetainedReadEvent{Client: c.client, Filter: full, Opts: opts, New: isNew})
	}
	return packet.ReasonCode(f.QoS), fresh
}

// subOptions are the options of a subscription that the client's version can ask for.
func (c *Channel) subOptions(f *packet.Filter, id uint32) message.SubOptions {
	opts := message.SubOptions{ID: id, QoS: f.QoS, RetainHandling: f.RetainHandling, NoLocal: f.NoLocal, RetainAsPublished: f.RetainAsPublished}
	if c.version != packet.V50 {
		opts.NoLocal = c.zone.IgnoreLoopDeliver || c.client.Bridge
		opts.RetainAsPublished = c.client.Bridge
	}
	return opts
}

// readRetained asks the provider what to send for new subscriptions.
func (c *Channel) readRetained(fresh []hook.RetainedReadEvent) {
	chain := c.env.Hooks.RetainedRead.Chain()
	if chain == nil || !c.zone.RetainAvailable {
		return
	}
	for i := range fresh {
		for _, read := range chain {
			read(&fresh[i])
		}
		for _, s := range fresh[i].Replay {
			c.replays = append(c.replays, replay{source: s, opts: fresh[i].Opts})
		}
	}
}

// handleUnsubscribe removes subscriptions; deliveries already taken go on
// [MQTT-3.10.4-2, -3].
func (c *Channel) handleUnsubscribe(io *IO, t *turn, p *packet.Unsubscribe) *fault {
	t.count.PacketsUnsubscribeReceived++
	for _, f := range p.Filters {
		if c.version != packet.V50 && illFormed(f) {
			t.count.PacketsUnsubscribeError++
			return &fault{packet.TopicFilterInvalid, "topic filter is ill-formed"} // [3.1.1 MQTT-4.8.0-1]
		}
	}
	if !c.takes(&packet.Unsuback{PacketID: p.PacketID, Codes: make([]packet.ReasonCode, len(p.Filters))}) {
		return tooSmall
	}
	t.count.ClientUnsubscribe++
	ev := hook.UnsubscribeEvent{Client: c.client, Props: p.Props, Filters: p.Filters}
	for _, ask := range c.env.Hooks.ClientUnsubscribe.Chain() {
		ask(&ev)
	}
	from, mark := len(io.Out), io.Batch.Mark()
	codes := make([]packet.ReasonCode, len(ev.Filters))
	for i, f := range ev.Filters {
		if codes[i] = packet.TopicFilterInvalid; topic.ValidateFilter(f) == nil {
			codes[i] = c.unsubscribe(io.Batch, c.mounted(f))
		}
		if codes[i].Failed() {
			t.count.PacketsUnsubscribeError++
		}
	}
	io.Out = packet.Append(io.Out, c.version, &packet.Unsuback{PacketID: p.PacketID, Codes: codes})
	c.promise(io, from, mark)
	t.count.PacketsUnsubackSent++
	return nil
}

func (c *Channel) unsubscribe(b *router.Batch, full string) packet.ReasonCode {
	opts, existed := c.sess.Unsubscribe(full)
	if !existed {
		return packet.NoSubscriptionExisted
	}
	c.owner.Unsubscribed(b, full)
	group, inner, shared := topic.ParseShare(full)
	var share *message.Share
	if shared {
		share = &message.Share{Group: group, Filter: inner}
	}
	c.env.Router.Unsubscribe(c.owner, share, inner)
	for _, told := range c.env.Hooks.SessionUnsubscribed.Chain() {
		told(&hook.SubscriptionEvent{Client: c.client, Filter: full, Opts: opts})
	}
	return packet.Success
}

// mounted puts the mountpoint before a filter, behind its share prefix.
func (c *Channel) mounted(filter string) string {
	if c.mount == "" {
		return filter
	}
	_, inner, shared := topic.ParseShare(filter)
	if !shared {
		return c.mount + filter
	}
	return strings.TrimSuffix(filter, inner) + c.mount + inner
}
