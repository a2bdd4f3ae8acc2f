package channel

import (
	"strings"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/session"
)

// taken is a PUBLISH of the current read that awaits its acknowledgement.
type taken struct {
	id    uint16
	qos   byte
	event int // in turn.pubs; -1: a duplicate of an earlier read, only acknowledged again
}

// maxTaken bounds how many PUBLISHes are held back for one call of the hooks.
const maxTaken = 512

// take does the steps of a PUBLISH that need no neighbour, in this order: alias,
// topic, capabilities, QoS 2 identity, message, quota. The rest happens in flush for
// all PUBLISHes that follow each other.
func (c *Channel) take(io *IO, t *turn, p *packet.Publish) *fault {
	countIn(t.count, p.QoS)
	if _, ok := p.TopicAlias(); ok {
		if f := c.named().resolve(p, c.zone.MaxTopicAlias, int(c.zone.MaxPacketSize)); f != nil {
			return f
		}
	}
	if f := c.checkPublish(p); f != nil {
		return f
	}
	if p.QoS == 2 {
		switch c.sess.Receive(p.PacketID, io.Batch.Now) {
		case session.ReceiveDuplicate: // taken once [MQTT-4.3.3-10]
			t.count.PacketsPublishInuse++
			t.taken = append(t.taken, taken{id: p.PacketID, qos: 2, event: t.eventOf(p.PacketID)})
			return nil
		case session.ReceiveFull:
			t.count.PacketsPublishDropped++
			return &fault{packet.ReceiveMaximumExceeded, "more QoS 2 messages under way than the receive maximum"} // [MQTT-3.3.4-7]
		}
	}
	e := hook.PublishEvent{Client: c.client, Msg: c.messageOf(io, t, p)}
	if c.overQuota(io.Batch.Now, p.QoS) {
		e.Verdict, e.Reason = hook.Deny, packet.QuotaExceeded
		t.count.PacketsPublishDropped++
	}
	t.pubs = append(t.pubs, e)
	t.taken = append(t.taken, taken{id: p.PacketID, qos: p.QoS, event: len(t.pubs) - 1})
	if len(t.taken) >= maxTaken {
		c.flush(io, t)
	}
	return nil
}

// eventOf is the event of the QoS 2 PUBLISH with the identifier that this read
// brought: what becomes of it holds for its duplicate too. -1: none.
func (t *turn) eventOf(id uint16) int {
	for i := len(t.taken) - 1; i >= 0; i-- {
		if k := &t.taken[i]; k.qos == 2 && k.id == id {
			return k.event
		}
	}
	return -1
}

func (c *Channel) checkPublish(p *packet.Publish) *fault {
	switch {
	case p.Topic == "":
		return &fault{packet.ProtocolError, "no topic and no topic alias"}
	case c.tooDeep(p.Topic):
		return &fault{packet.TopicNameInvalid, "topic has too many levels"}
	case p.QoS > c.zone.MaxQoS:
		return &fault{packet.QoSNotSupported, "QoS above the maximum"} // [MQTT-3.2.2-11]
	case p.Retain && c.version == packet.V50 && !c.retainAvailable():
		return &fault{packet.RetainNotSupported, "retained messages are not available"} // [MQTT-3.2.2-14]
	}
	return nil
}

// messageOf copies the PUBLISH out of the read buffer.
func (c *Channel) messageOf(io *IO, t *turn, p *packet.Publish) *message.Message {
	props, expiry, expires := p.Forward()
	name := p.Topic
	if c.mount != "" {
		name = c.mount + name
	}
	m := t.slab.New(name, p.Payload, props)
	m.From, m.Username = c.client.ID, c.client.Username
	m.QoS, m.Retain, m.Time = p.QoS, p.Retain, io.Batch.Now
	if expires {
		m.Expiry = io.Batch.Now + int64(expiry)*1e9
	}
	return m
}

// collect takes one PUBLISH of a connected client.
func (c *Channel) collect(io *IO, t *turn, p *packet.Publish) {
	if f := c.take(io, t, p); f != nil {
		t.count.PacketsPublishError++
		if c.flush(io, t); c.wait.on() {
			c.failAfter(f)
			return
		}
		c.fail(io, f)
	}
}

// flush authorises, publishes and acknowledges what take has collected. Nothing
// is acknowledged before it is taken by every subscriber's mailbox. Each of the
// steps may have to wait for a plugin.
func (c *Channel) flush(io *IO, t *turn) {
	if len(t.taken) == 0 {
		return
	}
	if c.state != connected {
		t.forget()
		return
	}
	park := c.parking(c.env.Hooks.MessagePublish.Chain() != nil || c.env.Hooks.ClientCheckACL.Chain() != nil)
	if park != nil {
		for i := range t.pubs {
			t.pubs[i].Park = park
		}
	}
	if c.allowed(t) {
		c.distribute(io, t)
		return
	}
	t.acl = t.acl[:0]
	for i := range t.pubs {
		m := t.pubs[i].Msg
		t.acl = append(t.acl, hook.ACLEvent{
			Client: c.client, Action: hook.Publish, Topic: m.Topic[len(c.mount):], QoS: m.QoS, Retain: m.Retain, Lists: &c.lists, Park: park,
		})
	}
	c.authorise(io, t)
}

// allowed tells whether the client may publish all of the batch without a look at
// the topics.
func (c *Channel) allowed(t *turn) bool {
	switch {
	case !c.env.Access.Trivial(&c.zone.Access, c.client):
		return false
	case !c.zone.Access.EnableACL || c.client.Superuser:
		return true
	case c.aboutNode(t):
		return false
	}
	t.count.ClientCheckACL += uint64(len(t.pubs))
	t.count.ClientACLAllow += uint64(len(t.pubs))
	return true
}

// forget ends a batch of PUBLISHes.
func (t *turn) forget() {
	clear(t.pubs)
	t.pubs, t.taken, t.denied = t.pubs[:0], t.taken[:0], false
}

// postpone puts the batch of t and its next step off until the verdicts are there.
func (c *Channel) postpone(t *turn, step func(io *IO, t *turn)) {
	pubs, taken, acl, denied := t.pubs, t.taken, t.acl, t.denied
	t.pubs, t.taken, t.acl, t.denied = nil, nil, nil, false
	c.wait.held = taken
	c.wait.step = func(io *IO, t *turn) {
		t.pubs, t.taken, t.acl, t.denied = pubs, taken, acl, denied
		step(io, t)
	}
}

// authorise marks the events that the client may not publish.
func (c *Channel) authorise(io *IO, t *turn) {
	if c.env.Access.Check(&c.zone.Access, c.cache, io.Batch.Now, t.acl) {
		c.postpone(t, c.authorise)
		return
	}
	countACL(t.count, &c.zone.Access, t.acl)
	for i := range t.acl {
		if a := &t.acl[i]; a.Verdict == hook.Deny {
			t.denied = true
			t.pubs[i].Verdict, t.pubs[i].Reason, t.pubs[i].Text = hook.Deny, a.Reason, a.Text
			t.count.PacketsPublishAuthError++
		}
	}
	clear(t.acl)
	c.distribute(io, t)
}

// distribute publishes the events and acknowledges them.
func (c *Channel) distribute(io *IO, t *turn) {
	mark := io.Batch.Mark()
	if c.env.Broker.Publish(io.Batch, t.pubs) {
		c.postpone(t, c.distribute)
		return
	}
	c.routed(t)
	t.countDenied()
	for i := range t.pubs {
		c.slowDown(io.Batch.Now, t.pubs[i].Throttle)
	}
	c.acknowledge(io, t, mark)
	if t.denied && c.zone.ACLDenyDisconnect {
		c.fail(io, &fault{packet.NotAuthorized, "publish denied"})
	}
	t.forget()
}

// aboutNode tells whether a PUBLISH is to $SYS in the end, which is not for everybody.
func (c *Channel) aboutNode(t *turn) bool {
	for i := range t.pubs {
		if m := t.pubs[i].Msg; m.Sys() || strings.HasPrefix(c.env.Access.Subject(m.Topic), "$SYS/") {
			return true
		}
	}
	return false
}

// acknowledge appends PUBACK and PUBREC in the order of the PUBLISHes
// [MQTT-4.6.0-2, -3]. They wait for what was put into the batch's transaction
// since mark.
func (c *Channel) acknowledge(io *IO, t *turn, mark int) {
	from := len(io.Out)
	for _, k := range t.taken {
		if k.qos == 0 {
			continue
		}
		ack := packet.Ack{Kind: packet.TypePuback, PacketID: k.id}
		if k.event >= 0 {
			ack.Code = t.pubs[k.event].Reason.For(packet.TypePuback)
			if text := t.pubs[k.event].Text; text != "" && ack.Code.Failed() {
				ack.Props = c.reasonFor(ack.PacketID, text)
			}
		}
		if ack.Code.Failed() && c.version != packet.V50 && !byRule(ack.Code) {
			c.sess.Release(k.id) // sent again, it is a new message
			c.promise(io, from, mark)
			c.fail(io, &fault{ack.Code, "the message could not be taken"})
			return
		}
		if k.qos == 2 {
			ack.Kind = packet.TypePubrec
			if ack.Code >= packet.UnspecifiedError && c.version == packet.V50 {
				c.sess.Release(k.id) // the exchange is over [MQTT-4.3.3-9]
			} else if k.event >= 0 {
				c.owner.Received(io.Batch, k.id)
			}
			t.count.PacketsPubrecSent++
		} else {
			t.count.PacketsPubackSent++
		}
		io.Out = packet.AppendAck(io.Out, c.version, &ack)
	}
	c.promise(io, from, mark)
}

// reasonFor is the reason string of an acknowledgement, if the client wants it
// and can take it [MQTT-3.4.2-2] [MQTT-3.5.2-2].
func (c *Channel) reasonFor(id uint16, text string) packet.Props {
	ack := packet.Ack{Kind: packet.TypePuback, PacketID: id, Code: packet.NotAuthorized, Props: c.reasonString(&fault{text: text})}
	if !c.takes(&ack) {
		return nil
	}
	return ack.Props
}

// byRule tells of a refusal that a 3.x client, which cannot be told of it, gets
// acknowledged all the same [3.1.1 MQTT-3.3.5-2]. What failed for another reason
// is not acknowledged: nobody has it, and closing makes the client send it again
// [3.1.1 MQTT-4.8.0-2].
func byRule(code packet.ReasonCode) bool {
	switch code {
	case packet.NotAuthorized, packet.TopicNameInvalid, packet.PayloadFormatInvalid:
		return true
	}
	return false
}

// handleAck is PUBACK, PUBREC, PUBREL or PUBCOMP from the client. What the session
// wants because of it waits for the end of the run of acknowledgements.
func (c *Channel) handleAck(io *IO, t *turn, p *packet.Ack) *fault {
	now, mark, from := io.Batch.Now, io.Batch.Mark(), len(io.Out)
	switch p.Kind {
	case packet.TypePuback:
		t.count.PacketsPubackReceived++
		if !c.sess.Puback(now, p.PacketID, &t.effects) {
			missed(t.count, c.sess.InUse(p.PacketID), packet.TypePuback)
		}
	case packet.TypePubrec:
		t.count.PacketsPubrecReceived++
		if !c.sess.Pubrec(now, p.PacketID, p.Code, &t.effects) {
			missed(t.count, c.sess.InUse(p.PacketID), packet.TypePubrec)
			c.emit(io, t) // PUBRELs leave in the order of the PUBRECs [MQTT-4.6.0-4]
			c.answerUnknown(io, packet.TypePubrel, p)
		}
	case packet.TypePubrel:
		t.count.PacketsPubrelReceived++
		comp := packet.Ack{Kind: packet.TypePubcomp, PacketID: p.PacketID}
		if !c.sess.Release(p.PacketID) {
			t.count.PacketsPubrelMissed++
			comp.Code = packet.PacketIdentifierNotFound
		} else {
			c.owner.Released(io.Batch, p.PacketID)
		}
		io.Out = packet.AppendAck(io.Out, c.version, &comp)
		c.promise(io, from, mark)
		t.count.PacketsPubcompSent++
	case packet.TypePubcomp:
		t.count.PacketsPubcompReceived++
		if !c.sess.Pubcomp(now, p.PacketID, &t.effects) {
			missed(t.count, c.sess.InUse(p.PacketID), packet.TypePubcomp)
		}
	}
	if len(t.effects.Send) >= emitted {
		c.emit(io, t)
	}
	return nil
}

// answerUnknown answers a PUBREC for an identifier that the session does not
// know with a PUBREL that says so, so that the client can let go of it.
func (c *Channel) answerUnknown(io *IO, kind packet.Type, p *packet.Ack) {
	if p.Code < packet.UnspecifiedError {
		io.Out = packet.Append(io.Out, c.version, &packet.Ack{Kind: kind, PacketID: p.PacketID, Code: packet.PacketIdentifierNotFound})
		io.Batch.Count.PacketsPubrelSent++
	}
}
