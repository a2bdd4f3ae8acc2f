package channel

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
)

// departure words are EMQ X 4's reasons of client.disconnected.
const (
	wentNormal   = "normal"
	wentByPeer   = "tcp_closed"
	wentByServer = "server_shutdown"
)

// fail ends the connection because of something the client or the server did: a
// 5.0 client is told the code [MQTT-4.13.1-1], others are closed on.
func (c *Channel) fail(io *IO, f *fault) {
	if c.state == closed {
		return
	}
	c.env.Log.Debug("connection ended", zap.String("clientid", c.client.ID), zap.Stringer("peer", c.client.Peer),
		zap.Stringer("reason", f.code), zap.String("detail", f.text))
	if c.state != connected {
		c.refuse(io, f)
		return
	}
	if c.version == packet.V50 {
		code := f.code.For(packet.TypeDisconnect)
		if d := (packet.Disconnect{Code: code, Props: c.reasonString(f)}); c.takes(&d) {
			io.Out = packet.Append(io.Out, c.version, &d)
		} else { // [MQTT-3.14.2-3]
			io.Out = packet.Append(io.Out, c.version, &packet.Disconnect{Code: code})
		}
		io.Batch.Count.PacketsDisconnectSent++
	}
	c.depart(io, f.code, wordFor(f.code), true)
	c.close(io)
}

// malformed ends the connection because of bytes that are no packet. Before the
// CONNECT is understood an answer is sent only where the standard has one: noise
// on the port gets none [MQTT-3.1.0-1], nor do 3.x clients but for a code that
// 3.x knows [MQTT-3.1.4-1].
func (c *Channel) malformed(io *IO, err error) {
	f := &fault{packet.MalformedPacket, err.Error()}
	var e *packet.Error
	if errors.As(err, &e) {
		f.code = e.Code
	}
	silent := c.version != packet.V50 && f.code != packet.UnsupportedProtocolVersion && f.code != packet.ClientIdentifierNotValid
	if c.state == awaitConnect && silent {
		c.close(io)
		return
	}
	c.fail(io, f)
}

// close asks for the end of the connection; a connected channel has departed.
func (c *Channel) close(io *IO) {
	c.abandon(io.Batch)
	c.state = closed
	io.Close = true
}

// Lost is the last call: the connection is gone.
func (c *Channel) Lost(io *IO, err error) {
	defer c.tally(io)
	switch c.state {
	case connected:
		word := wentByPeer
		if errors.Is(err, ErrServerShutdown) {
			word = wentByServer
		}
		c.depart(io, packet.UnspecifiedError, word, true)
	case closed:
		return
	default:
		if c.wait.on() && c.pending != nil && c.pending.auth != nil && !errors.Is(err, ErrServerShutdown) {
			c.env.Access.Abandoned(&c.zone.Access, c.client, io.Batch.Now)
		}
	}
	c.abandon(io.Batch)
	c.state = closed
}

// ErrServerShutdown as the error of Lost says that the server has stopped.
var ErrServerShutdown = errors.New("server is shutting down")

// abandon makes sure that a claim that is answered later is given back, and gives
// up what waits for plugins.
func (c *Channel) abandon(b *router.Batch) {
	c.forgo()
	c.mail.mu.Lock()
	claim := c.mail.claim
	c.mail.claim, c.mail.lost = nil, true
	c.mail.mu.Unlock()
	if claim != nil {
		c.giveBack(b, claim)
	}
	if c.begun != nil {
		c.begun = nil
		c.giveBack(b, &registry.Claim{Client: c.owner})
	}
	c.promises = nil
}

// giveBack releases a session that came for a connection that is gone.
func (c *Channel) giveBack(b *router.Batch, claim *registry.Claim) {
	if claim.Client == nil {
		return
	}
	c.env.Registry.Release(b, claim.Client, registry.Departure{Info: c.client, Expiry: c.expiry})
}

// halfway tells that a call has left something undone: a panic is on its way
// through it.
func (t *turn) halfway() bool {
	return !t.effects.Empty() || len(t.pubs)+len(t.taken) > 0
}

// breakOff is the end of a call that a panic ends, and with it the connection. The
// session goes on: what acknowledgements have done to it goes to the journal, and
// a QoS 2 message that was not acknowledged is a new one when it is sent again.
// The scratch is not used again, for another client would get what it holds.
func (c *Channel) breakOff(io *IO, t *turn) {
	if c.sess == nil {
		return
	}
	for _, k := range t.taken {
		if k.qos == 2 && k.event >= 0 {
			c.sess.Release(k.id)
		}
	}
	c.settleMoves(io, t)
}

// handleDisconnect ends the connection as the client wishes.
func (c *Channel) handleDisconnect(io *IO, p *packet.Disconnect) *fault {
	if interval, ok := p.Props.Uint32(packet.PropSessionExpiry); ok {
		if c.expiry == 0 && interval != 0 && c.zone.MaxSessionExpiry != 0 {
			return &fault{packet.ProtocolError, "session expiry interval was 0 in CONNECT"} // 5.0 §3.14.2.2.2
		}
		c.expiry = min(interval, c.zone.MaxSessionExpiry)
	}
	// Only a normal DISCONNECT deletes the will [MQTT-3.14.4-3].
	c.depart(io, p.Code, wentNormal, p.Code != packet.NormalDisconnection)
	c.close(io)
	return nil
}

// depart leaves the session: to a waiting connection, to the registry, or to its
// end. abnormal publishes the will.
func (c *Channel) depart(io *IO, code packet.ReasonCode, word string, abnormal bool) {
	c.forgo()
	c.sess.Detach()
	for _, r := range c.replays {
		r.source.Close()
	}
	c.replays = nil
	d := registry.Departure{Info: c.client, Expiry: c.expiry}
	if abnormal && c.will != nil {
		d.Will = &registry.Will{Client: c.client, Will: c.will, Zone: c.zone}
		d.Delay, _ = c.will.Props.Uint32(packet.PropWillDelay)
	}
	c.state = closed
	io.Batch.Count.ClientDisconnected++
	if chain := c.env.Hooks.ClientDisconnected.Chain(); chain != nil {
		ev := hook.ConnectionEvent{Client: c.client, At: time.Unix(0, io.Batch.Now), Reason: code, Text: word}
		for _, told := range chain {
			told(&ev)
		}
	}
	c.env.Registry.Release(io.Batch, c.owner, d)
}

// wordFor is EMQ X 4's word for a disconnection by the server.
func wordFor(code packet.ReasonCode) string {
	switch code {
	case packet.KeepAliveTimeout:
		return "keepalive_timeout"
	case packet.SessionTakenOver:
		return "takeovered"
	case packet.AdministrativeAction:
		return "kicked"
	case packet.ServerShuttingDown:
		return wentByServer
	case packet.NotAuthorized:
		return "not_authorized"
	}
	return "protocol_error"
}

// takes tells whether p is within the client's Maximum Packet Size
// [MQTT-3.1.2-24]. A client that took its CONNACK, of 5 bytes or more, takes
// every acknowledgement and every DISCONNECT without properties.
func (c *Channel) takes(p packet.Packet) bool {
	return c.limits.maxPacket == 0 || uint32(len(packet.Append(nil, c.version, p))) <= c.limits.maxPacket
}

// tooSmall ends a connection whose client owes itself an answer: it may not be
// sent, and without it the client would wait for ever.
var tooSmall = &fault{packet.PacketTooLarge, "the answer exceeds the client's maximum packet size"}

// answer appends p, which the client waits for, if it takes it.
func (c *Channel) answer(io *IO, p *packet.Auth) *fault {
	if !c.takes(p) {
		return tooSmall
	}
	io.Out = packet.Append(io.Out, c.version, p)
	io.Batch.Count.PacketsAuthSent++
	return nil
}

// reasonString is f's text as a property, if the client wants it.
func (c *Channel) reasonString(f *fault) packet.Props {
	if c.version != packet.V50 || f.text == "" || !c.limits.problemInfo {
		return nil
	}
	return packet.AppendStringProp(nil, packet.PropReasonString, f.text)
}
