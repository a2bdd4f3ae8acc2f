package channel

import (
	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/metrics"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/session"
)

// tally hands what the call has counted to the node's metrics. A packet that
// was sent is counted by its type only; all together are their sum.
func (c *Channel) tally(io *IO) {
	n := &io.Batch.Count
	n.PacketsSent += n.PacketsConnackSent + n.PacketsPublishSent + n.PacketsPubackSent + n.PacketsPubrecSent +
		n.PacketsPubrelSent + n.PacketsPubcompSent + n.PacketsSubackSent + n.PacketsUnsubackSent +
		n.PacketsPingrespSent + n.PacketsDisconnectSent + n.PacketsAuthSent
	c.env.Metrics.Stripe(int(c.client.Conn)).Flush(n)
}

// countIn and countOut count one PUBLISH by its QoS.
func countIn(c *metrics.Counters, qos byte) {
	c.PacketsPublishReceived++
	c.MessagesReceived++
	switch qos {
	case 0:
		c.MessagesQoS0Received++
	case 1:
		c.MessagesQoS1Received++
	default:
		c.MessagesQoS2Received++
	}
}

func countOut(c *metrics.Counters, o *session.Outgoing) {
	if o.Msg.Origin == message.OriginSys { // the broker's own traffic about itself (emqx4 §6.1)
		c.PacketsSent++
		return
	}
	c.PacketsPublishSent++
	c.MessagesSent++
	if !o.Dup {
		c.MessagesDelivered++
	}
	switch o.QoS {
	case 0:
		c.MessagesQoS0Sent++
	case 1:
		c.MessagesQoS1Sent++
	default:
		c.MessagesQoS2Sent++
	}
}

// countDenied counts publishes that were refused, whoever did it.
func (t *turn) countDenied() {
	for i := range t.pubs {
		if t.pubs[i].Verdict == hook.Deny {
			t.count.PacketsPublishError++
		}
	}
}

// missed counts an acknowledgement that answers nothing: inUse says that its
// identifier belongs to an exchange in which another one is due.
func missed(c *metrics.Counters, inUse bool, kind packet.Type) {
	switch {
	case kind == packet.TypePuback && inUse:
		c.PacketsPubackInuse++
	case kind == packet.TypePuback:
		c.PacketsPubackMissed++
	case kind == packet.TypePubrec && inUse:
		c.PacketsPubrecInuse++
	case kind == packet.TypePubrec:
		c.PacketsPubrecMissed++
	case inUse:
		c.PacketsPubcompInuse++
	default:
		c.PacketsPubcompMissed++
	}
}

// countSubscribe counts a filter that was refused.
func countSubscribe(c *metrics.Counters, code packet.ReasonCode) {
	switch {
	case code == packet.NotAuthorized:
		c.PacketsSubscribeAuthError++
		c.PacketsSubscribeError++
	case code.Failed():
		c.PacketsSubscribeError++
	}
}

// countConnack counts the answer to a CONNECT (emqx4 §6.2).
func countConnack(c *metrics.Counters, code packet.ReasonCode) {
	c.PacketsConnackSent++
	c.ClientConnack++
	if code.Failed() {
		c.PacketsConnackError++
	}
	if code == packet.NotAuthorized || code == packet.BadUserNameOrPassword {
		c.PacketsConnackAuthError++
	}
}

// countAuth counts how a login has ended; one that goes on is counted later.
func countAuth(c *metrics.Counters, e *hook.AuthEvent) {
	switch e.Verdict {
	case hook.Allow:
		c.ClientAuthSuccess++
		if e.Anonymous {
			c.ClientAuthSuccessAnonymous++
		}
	case hook.Deny:
		c.ClientAuthFailure++
	}
}

// countACL counts decided checks; those that nobody made are none.
func countACL(c *metrics.Counters, p *access.Policy, es []hook.ACLEvent) {
	if !p.EnableACL || len(es) > 0 && es[0].Client.Superuser {
		return
	}
	for i := range es {
		if es[i].Cached {
			c.ClientACLCacheHit++
		} else {
			c.ClientCheckACL++
		}
		if es[i].Verdict == hook.Deny {
			c.ClientACLDeny++
		} else {
			c.ClientACLAllow++
		}
	}
}
