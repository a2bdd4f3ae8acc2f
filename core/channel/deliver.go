package channel

import (
	"errors"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/session"
)

// drain takes the mailbox into the session and sends what may go out. A client
// that has to leave gets what is there first, but for one whose session goes on
// with another connection: that one gets it.
func (c *Channel) drain(io *IO, t *turn) {
	box, evict := c.owner.Drain()
	if evict == packet.SessionTakenOver {
		c.owner.PutBack(box)
		c.fail(io, &fault{evict, ""})
		return
	}
	t.effects.Reset()
	c.takeRead(io, t)
	c.relieve(io, t)
	if box != nil {
		c.deliverAll(io, t, box.Deliveries)
		c.obey(io.Batch, box.Commands)
		box.Free()
	}
	c.emit(io, t)
	if evict != 0 {
		c.fail(io, &fault{evict, ""})
	}
}

// emitted is how many packets a session may leave before they are encoded, so
// that the scratch stays small.
const emitted = 64

// deliverAll gives the session what the mailbox held, oldest first.
func (c *Channel) deliverAll(io *IO, t *turn, ds []message.Delivery) {
	if chain := c.env.Hooks.MessageDeliver.Chain(); chain != nil {
		ds = c.foldDeliveries(io, t, ds)
	}
	for i := range ds {
		if !c.held && io.Backlog+len(io.Out) > c.zone.MaxBacklog {
			c.hold(true)
		}
		c.sess.Deliver(io.Batch.Now, ds[i], &t.effects)
		if len(t.effects.Send) >= emitted {
			c.emit(io, t)
		}
	}
}

// hold tells the session whether the socket keeps up.
func (c *Channel) hold(on bool) {
	c.held = on
	c.sess.Hold(on)
}

// relieve ends a hold once half of the backlog is gone.
func (c *Channel) relieve(io *IO, t *turn) {
	if c.held && io.Backlog+len(io.Out) <= c.zone.MaxBacklog/2 {
		c.hold(false)
		c.sess.Pump(io.Batch.Now, &t.effects)
	}
}

// foldDeliveries asks the deliver chain, once for all of ds.
func (c *Channel) foldDeliveries(io *IO, t *turn, ds []message.Delivery) []message.Delivery {
	t.deliver = t.deliver[:0]
	for i := range ds {
		t.deliver = append(t.deliver, hook.DeliverEvent{Client: c.client, Msg: ds[i].Msg})
	}
	for _, fold := range c.env.Hooks.MessageDeliver.Chain() {
		fold(t.deliver)
	}
	kept := ds[:0]
	for i := range ds {
		if v := t.deliver[i].Verdict; v == hook.Drop || v == hook.Deny {
			c.owner.Dropped(io.Batch, &ds[i])
			continue
		}
		ds[i].Msg = t.deliver[i].Msg
		kept = append(kept, ds[i])
	}
	clear(t.deliver)
	return kept
}

// emit carries out the session's effects: packets into io.Out, hooks, counters.
func (c *Channel) emit(io *IO, t *turn) {
	for !t.effects.Empty() {
		c.carryOut(io, t)
		load := t.effects.Load
		t.effects.Reset()
		if !load {
			return
		}
		c.load(io, t)
	}
}

// loadStep is how many messages of an offline time are read back at once.
const loadStep = 128

// load has what the queue goes on with read back, and takes what was read. A node
// that reads beside its event loops has the answer in a later turn.
func (c *Channel) load(io *IO, t *turn) {
	if !c.reading {
		if places := c.sess.Wanted(nil, loadStep); len(places) > 0 {
			c.reading = true
			c.owner.Read(places, c.read)
		}
	}
	c.takeRead(io, t)
}

// read leaves what was read back for the turn. Any goroutine.
func (c *Channel) read(ms []session.Loaded, err error) {
	c.mail.mu.Lock()
	lost := c.mail.lost
	if !lost {
		c.mail.read = &readBack{ms, err}
	}
	c.mail.mu.Unlock()
	if !lost {
		c.wake.Wake(nil)
	}
}

// takeRead gives the session what was read back, if it is there. When the disk does
// not answer nothing more is asked for, and the client has to go at the end of the
// call: its messages are kept for when it comes again.
func (c *Channel) takeRead(io *IO, t *turn) {
	if !c.reading {
		return
	}
	c.mail.mu.Lock()
	r := c.mail.read
	c.mail.read = nil
	c.mail.mu.Unlock()
	if r == nil {
		return
	}
	if r.err != nil {
		c.env.Log.Error("reading messages back", zap.String("clientid", c.client.ID), zap.Error(r.err))
		if !errors.Is(r.err, registry.ErrLost) {
			c.unreadable = true
			return
		}
	}
	c.reading = false
	c.sess.Load(io.Batch.Now, r.ms, &t.effects)
}

// carryOut is emit but for reading back. A PUBREL waits until it is safe that the
// client has the message.
func (c *Channel) carryOut(io *IO, t *turn) {
	mark := io.Batch.Mark()
	c.settleMoves(io, t)
	var out packet.PublishOut                  // not in t: on the stack it costs no write barriers
	for i := 0; i < len(t.effects.Send); i++ { // Skip may append
		o := &t.effects.Send[i]
		if o.Rel {
			from := len(io.Out)
			io.Out = packet.AppendAck(io.Out, c.version, &packet.Ack{Kind: packet.TypePubrel, PacketID: o.PacketID})
			c.promise(io, from, mark)
			t.count.PacketsPubrelSent++
			continue
		}
		c.fill(io, t, &out, i)
		if !c.fits(&out, o.Msg) {
			c.tooLarge(io, t, i)
			c.settleMoves(io, t)
			continue
		}
		io.Out = packet.AppendPublish(io.Out, c.version, &out)
		countOut(t.count, o)
		c.tellDelivered(o.Msg, o.QoS)
	}
	c.tellDrops(t)
	if chain := c.env.Hooks.MessageAcked.Chain(); chain != nil {
		for _, m := range t.effects.Acked {
			for _, told := range chain {
				told(&hook.MessageEvent{Client: c.client, Msg: m})
			}
		}
	}
	t.count.MessagesAcked += uint64(len(t.effects.Acked))
	t.count.MessagesDropped += uint64(t.effects.TimedOut)
	t.count.MessagesDroppedAwaitPubrelTimeout += uint64(t.effects.TimedOut)
}

// settleMoves leaves to the journal how far deliveries have come.
func (c *Channel) settleMoves(io *IO, t *turn) {
	c.owner.Settle(io.Batch, &t.effects)
	t.effects.Moves = t.effects.Moves[:0]
}

// fill makes the i-th outgoing packet of its parts.
func (c *Channel) fill(io *IO, t *turn, p *packet.PublishOut, i int) {
	o := &t.effects.Send[i]
	m := o.Msg
	*p = packet.PublishOut{
		Dup: o.Dup, QoS: o.QoS, Retain: o.Retain(), Topic: m.Topic[c.mountOf(m):], PacketID: o.PacketID,
		SubscriptionID: o.Opts.ID, Props: m.Props, Payload: m.Payload,
	}
	if c.version != packet.V50 {
		return
	}
	p.Expiry, p.HasExpiry = m.ExpiryLeft(io.Batch.Now)
	if alias, known := c.aliases.assign(p.Topic); alias != 0 {
		p.TopicAlias = alias
		if known {
			p.Topic = ""
		}
	}
}

// fits tells whether the client takes the packet, if need be without its alias.
func (c *Channel) fits(p *packet.PublishOut, m *message.Message) bool {
	limit := int(c.limits.maxPacket)
	if limit == 0 || packet.SizePublish(c.version, p) <= limit {
		return true
	}
	if p.TopicAlias == 0 {
		return false
	}
	if p.Topic != "" {
		c.aliases.forget(p.Topic) // the client will not have been told of it
	}
	p.Topic, p.TopicAlias = m.Topic[c.mountOf(m):], 0
	return packet.SizePublish(c.version, p) <= limit
}

// mountOf is how much of a topic the client does not see.
func (c *Channel) mountOf(m *message.Message) int {
	if len(c.mount) <= len(m.Topic) && m.Topic[:len(c.mount)] == c.mount {
		return len(c.mount)
	}
	return 0
}

// reasonTooLarge is EMQ X 4's word for what the client's Maximum Packet Size
// keeps from it.
const reasonTooLarge = "too_large"

// tooLarge drops a message that the client does not take, as if it had been
// completed, so that the window goes on [MQTT-3.1.2-25].
func (c *Channel) tooLarge(io *IO, t *turn, i int) {
	o := t.effects.Send[i]
	c.dropped(o.Msg, reasonTooLarge)
	t.count.Dropped(reasonTooLarge)
	if o.QoS > 0 {
		c.sess.Skip(o.PacketID, io.Batch.Now, &t.effects)
	}
}

func (c *Channel) tellDelivered(m *message.Message, qos byte) {
	for _, told := range c.env.Hooks.MessageDelivered.Chain() {
		told(&hook.MessageEvent{Client: c.client, Msg: m, QoS: qos})
	}
}

func (c *Channel) tellDrops(t *turn) {
	for i := range t.effects.Drops {
		d := &t.effects.Drops[i]
		t.count.Dropped(d.Reason)
		c.dropped(d.Msg, d.Reason)
	}
}

func (c *Channel) dropped(m *message.Message, reason string) {
	if m == nil {
		return // it is in the journal only, and nobody has read it
	}
	for _, told := range c.env.Hooks.MessageDropped.Chain() {
		told(&hook.MessageEvent{Client: c.client, Msg: m, Reason: reason})
	}
}

// replay is a source of retained messages for one subscription.
type replay struct {
	source hook.Source
	opts   message.SubOptions
}

// replayStep is how many retained messages one turn sends at most, so that the
// client's other traffic goes on between them.
const replayStep = 128

// pumpReplays sends retained messages as far as window and socket allow, and asks
// for another turn if there are more.
func (c *Channel) pumpReplays(io *IO, t *turn) {
	for sent := 0; len(c.replays) > 0; {
		r := &c.replays[0]
		n := c.room(io, r)
		if n <= 0 {
			return // an acknowledgement or the drained socket brings the next turn
		}
		if sent >= replayStep {
			c.wake.Wake(nil)
			return
		}
		var done bool
		t.msgs, done = r.source.Next(io.Batch.Now, min(n, replayStep-sent), t.msgs[:0])
		t.effects.Reset()
		for _, m := range t.msgs {
			c.replay(io, t, message.Delivery{Msg: m, Opts: r.opts})
		}
		c.emit(io, t)
		// A source that found nothing yet has looked long enough for one turn.
		sent += max(len(t.msgs), replayStep/16)
		clear(t.msgs)
		if done {
			c.replays[0] = replay{}
			c.replays = c.replays[1:]
		}
	}
	c.replays = nil
}

// replay takes one retained message into the session, by way of the mailbox if it
// has to be safe before it may be sent.
func (c *Channel) replay(io *IO, t *turn, d message.Delivery) {
	if c.owner.Keeps(&d) {
		c.owner.Deliver(io.Batch, d)
		return
	}
	c.sess.Deliver(io.Batch.Now, d, &t.effects)
}

// room is how many retained messages may be read now: as many as need not wait
// in the queue.
func (c *Channel) room(io *IO, r *replay) int {
	if c.held || io.Backlog+len(io.Out) > c.zone.MaxBacklog/2 {
		return 0
	}
	if r.opts.QoS == 0 && !c.zone.Session.UpgradeQoS {
		return replayStep
	}
	i := c.sess.Info()
	return min(i.Window, i.MaxInflight) - i.Inflight - i.Queue - c.owner.Pending()
}
