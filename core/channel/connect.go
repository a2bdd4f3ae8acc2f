package channel

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/topic"
)

// handshake is a CONNECT that has not been answered yet.
type handshake struct {
	packet   *packet.Connect
	auth     *hook.AuthEvent
	assigned string          // the client id that the server gave; "": the client's own
	given    []packet.Filter // subscriptions that plugins want made, with placeholders
	props    packet.Props    // of the CONNACK
}

// handleConnect takes the steps up to authentication, in this order:
// room for it, client.connect hooks, client id, will, bans, client facts.
func (c *Channel) handleConnect(io *IO, t *turn, p *packet.Connect) {
	if c.state != awaitConnect {
		c.fail(io, &fault{packet.ProtocolError, "second CONNECT"}) // [MQTT-3.1.0-2]
		return
	}
	c.version = p.Version
	if c.env.Access.Busy() {
		c.refuse(io, &fault{packet.ServerBusy, "the node takes no new clients now"})
		return
	}
	c.describe(p)
	t.count.ClientConnect++
	c.introduce(io, t, &hook.ConnectEvent{Client: c.client, Packet: p, Park: c.parking(c.env.Hooks.ClientConnect.Chain() != nil)})
}

// introduce asks the client.connect hooks and goes on with the steps behind them.
func (c *Channel) introduce(io *IO, t *turn, ev *hook.ConnectEvent) {
	p := ev.Packet
	if c.env.Hooks.ClientConnect.Walk(ev.Park, func(ask hook.Intercept[hook.ConnectEvent]) bool {
		if ev.Reason < packet.UnspecifiedError {
			ask(ev)
		}
		return ev.Reason < packet.UnspecifiedError
	}) {
		c.wait.step = func(io *IO, t *turn) { c.introduce(io, t, ev) }
		return
	}
	if ev.Reason >= packet.UnspecifiedError {
		c.refuse(io, &fault{ev.Reason, ev.Text})
		return
	}
	c.slowDown(io.Batch.Now, ev.Throttle)
	c.pending = &handshake{packet: p, given: ev.Subscribe}
	for _, step := range []func(*packet.Connect) *fault{c.checkClientID, c.checkWill, c.checkMethod} {
		if f := step(p); f != nil {
			c.refuse(io, f)
			return
		}
	}
	if code, text := c.env.Access.Admit(&c.zone.Access, c.client, io.Batch.Now); code != packet.Success {
		c.refuse(io, &fault{code, text})
		return
	}
	c.adopt(p)
	e := &hook.AuthEvent{Client: c.client, Password: p.Password, Method: c.limits.authMethod, Data: authData(p.Props)}
	if p.Will != nil {
		e.Will = p.Will.Topic
	}
	c.authenticate(io, t, e)
}

// describe fills the client's facts from the CONNECT.
func (c *Channel) describe(p *packet.Connect) {
	k := c.client
	k.ID, k.Username, k.HasUsername = p.ClientID, p.Username, p.HasUsername
	if c.peer.CertUsername != "" {
		k.Username, k.HasUsername = c.peer.CertUsername, true
	}
	if c.peer.CertClientID != "" {
		k.ID = c.peer.CertClientID
	}
	k.Protocol, k.CleanStart, k.Bridge, k.KeepAlive = p.Version, p.CleanStart, p.Bridge, p.KeepAlive
	k.ConnectedAt = time.Unix(0, c.lastSeen)
	c.limits.problemInfo = true
	if v, ok := p.Props.Byte(packet.PropRequestProblemInfo); ok {
		c.limits.problemInfo = v == 1
	}
	c.limits.maxPacket, _ = p.Props.Uint32(packet.PropMaximumPacketSize)
	c.limits.authMethod, _ = p.Props.String(packet.PropAuthMethod)
}

// checkClientID settles the client id [MQTT-3.1.3-5 ... -9].
func (c *Channel) checkClientID(p *packet.Connect) *fault {
	k := c.client
	if c.zone.UseUsernameAsClientID {
		k.ID = k.Username
	}
	switch {
	case len(k.ID) > c.zone.MaxClientIDLen:
		return &fault{packet.ClientIdentifierNotValid, "client id is longer than the zone allows"}
	case k.ID != "":
		return nil
	case c.zone.UseUsernameAsClientID, p.Version == packet.V31, p.Version == packet.V311 && !p.CleanStart:
		return &fault{packet.ClientIdentifierNotValid, "empty client id"} // [MQTT-3.1.3-8]
	}
	k.ID = newClientID() // [MQTT-3.1.3-6]
	c.pending.assigned = k.ID
	return nil
}

func newClientID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return "auto-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

func (c *Channel) checkWill(p *packet.Connect) *fault {
	w := p.Will
	switch {
	case w == nil:
	case w.QoS > c.zone.MaxQoS:
		return &fault{packet.QoSNotSupported, "will QoS above the maximum"} // [MQTT-3.2.2-12]
	case w.Retain && !c.retainAvailable() && p.Version == packet.V50:
		return &fault{packet.RetainNotSupported, "retained will, and no retainer is loaded"} // [MQTT-3.2.2-13]
	case c.tooDeep(w.Topic):
		return &fault{packet.TopicNameInvalid, "will topic has too many levels"}
	}
	return nil
}

// checkMethod refuses enhanced authentication that nobody provides; a method
// without a name is nobody's.
func (c *Channel) checkMethod(p *packet.Connect) *fault {
	if c.limits.authMethod == "" && p.Props.Has(packet.PropAuthMethod) {
		return &fault{packet.BadAuthenticationMethod, "authentication method is empty"}
	}
	if c.limits.authMethod != "" && c.env.Hooks.ClientAuthenticate.Chain() == nil {
		return &fault{packet.BadAuthenticationMethod, "no plugin provides the authentication method"}
	}
	return nil
}

// adopt keeps what the CONNECT asks for, bounded by the zone.
func (c *Channel) adopt(p *packet.Connect) {
	k := c.client
	switch {
	case p.Version == packet.V50:
		want, _ := p.Props.Uint32(packet.PropSessionExpiry)
		c.expiry = min(want, c.zone.MaxSessionExpiry)
		if c.zone.ServerKeepAlive > 0 {
			k.KeepAlive = c.zone.ServerKeepAlive
		}
	case !p.CleanStart:
		c.expiry = uint32(c.zone.SessionExpiry / time.Second)
	}
	k.Expiry = c.expiry
	c.will = p.Will
	k.HasWill = p.Will != nil
	c.aliveFor = int64(float64(time.Duration(k.KeepAlive)*time.Second) * c.zone.KeepaliveBackoff * 2)
	c.mount = strings.NewReplacer("%c", k.ID, "%u", k.Username).Replace(c.zone.Mountpoint)
	if v, ok := p.Props.Uint16(packet.PropTopicAliasMaximum); ok {
		c.named().maxOut = min(v, maxAliasesOut)
	}
}

// claim asks for the session; the handshake goes on in admit. A client that
// cannot take the CONNACK gets no session.
func (c *Channel) claim(io *IO, t *turn) {
	c.pending.props = c.connackProps(c.pending)
	if !c.takes(&packet.Connack{Props: c.pending.props}) {
		c.refuse(io, tooSmall)
		return
	}
	q := &registry.ClaimRequest{
		ID: c.client.ID, Clean: c.client.CleanStart, Runner: c.wake, Session: c.zone.SessionConfig(c.version),
		Info: c.client,
		Done: c.claimed,
	}
	c.state = claiming
	if answer, done := c.env.Registry.Claim(io.Batch, q); done {
		c.admit(io, t, &answer)
	}
}

// claimed leaves a late answer for the turn. Any goroutine.
func (c *Channel) claimed(b *router.Batch, answer registry.Claim) {
	c.mail.mu.Lock()
	lost := c.mail.lost
	if !lost {
		c.mail.claim = &answer
	}
	c.mail.mu.Unlock()
	if lost {
		c.giveBack(b, &answer)
		return
	}
	c.wake.Wake(b)
}

func (c *Channel) collectClaim(io *IO, t *turn) {
	c.mail.mu.Lock()
	answer := c.mail.claim
	c.mail.claim = nil
	c.mail.mu.Unlock()
	if answer != nil {
		c.admit(io, t, answer)
	}
}

// admit takes the session over.
func (c *Channel) admit(io *IO, t *turn, answer *registry.Claim) {
	if answer.Superseded {
		c.refuse(io, &fault{packet.SessionTakenOver, "a newer connection has the same client id"})
		return
	}
	c.owner, c.sess = answer.Client, answer.Client.Session()
	c.begin(io, t, answer.Present)
}

// welcome answers the CONNECT with success and starts the session's traffic.
func (c *Channel) welcome(io *IO, t *turn, present bool) {
	h := c.pending
	c.pending, c.peer = nil, nil
	c.state = connected
	c.cache, c.rates = access.NewCache(c.zone.ACLCacheSize), c.zone.newRates(io.Batch.Now)
	t.count.ClientConnected++
	countConnack(t.count, packet.Success)
	io.Out = packet.Append(io.Out, c.version, &packet.Connack{
		SessionPresent: present, Props: h.props,
	})
	c.tellConnack(io, packet.Success)
	c.tellConnected(io, present)
	window := uint16(65535)
	if v, ok := h.packet.Props.Uint16(packet.PropReceiveMaximum); ok {
		window = v
	}
	t.effects.Reset()
	c.sess.Configure(c.zone.SessionConfig(c.version)) // the client may have come through another zone
	c.sess.Attach(io.Batch.Now, window, c.version != packet.V50, &t.effects)
	c.emit(io, t)
	c.subscribeGiven(io.Batch, h.given)
	if c.env.Access.Banned(&c.zone.Access, c.client, io.Batch.Now) {
		c.owner.Evict(packet.AdministrativeAction) // the ban came while the session was claimed
	}
	c.drain(io, t)
}

// terms are how the connection wants its session kept.
func (c *Channel) terms() registry.Terms {
	t := registry.Terms{
		Level: c.zone.Durability, Expiry: c.expiry, Upgrade: c.zone.Session.UpgradeQoS, Zone: c.zone.Name,
	}
	if c.will != nil {
		t.Will = &registry.Will{Client: c.client, Will: c.will, Zone: c.zone}
		t.Delay, _ = c.will.Props.Uint32(packet.PropWillDelay)
	}
	return t
}

func (c *Channel) tellConnected(io *IO, present bool) {
	at := time.Unix(0, io.Batch.Now)
	p, n := &c.env.Hooks.SessionCreated, &io.Batch.Count.SessionCreated
	if present {
		p, n = &c.env.Hooks.SessionResumed, &io.Batch.Count.SessionResumed
	}
	*n++
	for _, told := range p.Chain() {
		told(&hook.SessionEvent{ClientID: c.client.ID, Client: c.client, At: at})
	}
	for _, told := range c.env.Hooks.ClientConnected.Chain() {
		told(&hook.ConnectionEvent{Client: c.client, At: at})
	}
}

func (c *Channel) tellConnack(io *IO, code packet.ReasonCode) {
	for _, told := range c.env.Hooks.ClientConnack.Chain() {
		told(&hook.ConnackEvent{Client: c.client, At: time.Unix(0, io.Batch.Now), Code: code})
	}
}

// refuse answers a CONNECT with a code >= 0x80 and closes. The will is never
// published. Before 5.0 a code without a word there closes without an answer
// [3.1.1 MQTT-3.2.2-6].
func (c *Channel) refuse(io *IO, f *fault) {
	c.will = nil
	code := f.code.For(packet.TypeConnack)
	k := packet.Connack{Code: code, Props: c.reasonString(f)}
	if !c.takes(&k) {
		k.Props = nil // [MQTT-3.2.2-19]
	}
	if c.takes(&k) && (c.version == packet.V50 || sayable(code)) {
		io.Out = packet.Append(io.Out, c.version, &k)
		countConnack(&io.Batch.Count, code)
		c.tellConnack(io, code)
	}
	c.close(io)
}

// sayable tells whether the return codes of 3.x say what code says.
func sayable(code packet.ReasonCode) bool {
	switch code {
	case packet.ServerUnavailable, packet.ServerBusy, packet.QuotaExceeded, packet.ConnectionRateExceeded,
		packet.UseAnotherServer, packet.ServerMoved:
		return true
	}
	return packet.ConnackV3(code) != packet.ConnackV3(packet.ServerUnavailable)
}

// retainAvailable tells whether a provider keeps retained messages.
func (c *Channel) retainAvailable() bool {
	return c.zone.RetainAvailable && c.env.Hooks.RetainedStore.Chain() != nil
}

func (c *Channel) tooDeep(name string) bool {
	return c.zone.MaxTopicLevels > 0 && topic.Levels(name) > c.zone.MaxTopicLevels
}
