package channel

import (
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
)

func authData(p packet.Props) []byte {
	b, _ := p.Bytes(packet.PropAuthData)
	return b
}

// authenticate asks who the client is, and goes on with the handshake, with
// another AUTH exchange, or ends it.
func (c *Channel) authenticate(io *IO, t *turn, e *hook.AuthEvent) {
	c.pending.auth = e
	e.Park = c.parking(c.env.Hooks.ClientAuthenticate.Chain() != nil)
	if c.env.Access.Authenticate(&c.zone.Access, e) {
		c.wait.step = func(io *IO, t *turn) { c.authenticate(io, t, e) }
		return
	}
	t.count.ClientAuthenticate++
	c.env.Access.Judged(&c.zone.Access, e, io.Batch.Now)
	countAuth(t.count, e)
	switch {
	case e.Verdict == hook.Allow:
		c.claim(io, t)
	case e.Verdict == hook.Continue && e.Method != "": // else no AUTH [MQTT-4.12.0-6]
		c.state = authenticating
		if p := c.authPacket(packet.ContinueAuthentication, e); c.takes(p) {
			io.Out = packet.Append(io.Out, c.version, p)
			t.count.PacketsAuthSent++
		} else {
			c.refuse(io, tooSmall)
		}
	default:
		c.refuse(io, &fault{denial(e), e.Text})
	}
}

func denial(e *hook.AuthEvent) packet.ReasonCode {
	if e.Reason < packet.UnspecifiedError {
		return packet.NotAuthorized
	}
	return e.Reason
}

func (c *Channel) authPacket(code packet.ReasonCode, e *hook.AuthEvent) *packet.Auth {
	p := packet.AppendStringProp(nil, packet.PropAuthMethod, e.Method) // [MQTT-4.12.0-5]
	if e.Reply != nil {
		p = packet.AppendBytesProp(p, packet.PropAuthData, e.Reply)
	}
	return &packet.Auth{Code: code, Props: p}
}

// handleAuth is an AUTH from the client: the next step of an exchange, or the
// start of a re-authentication.
func (c *Channel) handleAuth(io *IO, t *turn, p *packet.Auth) *fault {
	if method, _ := p.Props.String(packet.PropAuthMethod); c.limits.authMethod == "" || method != c.limits.authMethod {
		return &fault{packet.ProtocolError, "authentication method differs from that of the CONNECT"} // [MQTT-4.12.0-5]
	}
	data := append([]byte(nil), authData(p.Props)...)
	switch {
	case c.state == authenticating && p.Code == packet.ContinueAuthentication:
		last := c.pending.auth
		c.authenticate(io, t, &hook.AuthEvent{Client: c.client, Method: last.Method, Data: data, State: last.State})
		return nil
	case c.state == connected && p.Code == packet.ReAuthenticate && c.reauth == nil:
		return c.reauthenticate(io, &hook.AuthEvent{Method: c.limits.authMethod, Data: data})
	case c.state == connected && p.Code == packet.ContinueAuthentication && c.reauth != nil:
		return c.reauthenticate(io, &hook.AuthEvent{Method: c.limits.authMethod, Data: data, State: c.reauth.State})
	}
	return &fault{packet.ProtocolError, "AUTH out of place"}
}

// reauthenticate carries one exchange of a connected client [MQTT-4.12.1]. Deliveries
// go on meanwhile.
func (c *Channel) reauthenticate(io *IO, e *hook.AuthEvent) *fault {
	if e.Client == nil {
		e.Client, e.Reauth = c.client.Again(), true
		e.Park = c.parking(true)
	}
	if c.env.Access.Authenticate(&c.zone.Access, e) {
		c.wait.step = func(io *IO, _ *turn) {
			if f := c.reauthenticate(io, e); f != nil {
				c.fail(io, f)
			}
		}
		return nil
	}
	io.Batch.Count.ClientAuthenticate++
	countAuth(&io.Batch.Count, e)
	switch e.Verdict {
	case hook.Allow:
		c.client, c.reauth = e.Client, nil
		c.lists.Clear()
		if c.cache != nil {
			c.cache.Clear()
		}
		return c.answer(io, c.authPacket(packet.Success, e))
	case hook.Continue:
		c.reauth = e
		return c.answer(io, c.authPacket(packet.ContinueAuthentication, e))
	}
	return &fault{denial(e), e.Text} // [MQTT-4.12.1-2]
}
