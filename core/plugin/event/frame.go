package event

import (
	"encoding/binary"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Encoder writes events as the contract's records. It is owned by one
// goroutine and keeps its memory.
type Encoder struct {
	contract.Writer
	scratch    []byte
	Now        int64  // of the frame, Unix nanoseconds
	maxPayload uint32 // 0: no limit
	Hops       uint8  // highest of the messages
}

// Start begins a frame for hook h.
func (w *Encoder) Start(h *Binding, now int64) {
	w.Reset(nil)
	w.Now, w.Hops = now, 0
	w.Use(h)
}

// Use sets what hook h wants of the records that follow.
func (w *Encoder) Use(h *Binding) {
	w.Fields, w.maxPayload = h.Fields, h.MaxPayload
}

// head fills the header fields that a client gives.
func (w *Encoder) head(k contract.Hook, c *hook.Client) contract.Header {
	h := contract.Header{Hook: k, Time: uint64(w.Now)}
	if c != nil {
		h.Conn = c.Conn
		h.Flags = h.Flags.WithVersion(byte(c.Protocol))
		if c.Superuser {
			h.Flags |= contract.FlagSuperuser
		}
		if c.CleanStart {
			h.Flags |= contract.FlagCleanStart
		}
		if c.Bridge {
			h.Flags |= contract.FlagBridge
		}
	}
	return h
}

// who fills the four slots of every record about a client.
func (w *Encoder) who(c *hook.Client) {
	if c == nil {
		return
	}
	w.String(contract.SlotClientID, c.ID)
	if c.HasUsername || c.Username != "" {
		w.String(contract.SlotUsername, c.Username)
	}
	if w.Wants(contract.SlotPeer) && c.Peer.IsValid() {
		w.scratch = c.Peer.AppendTo(w.scratch[:0])
		w.Bytes(contract.SlotPeer, w.scratch)
	}
	w.String(contract.SlotListener, c.Listener)
}

// client fills the slots of connect, authenticate, connected and session hooks.
func (w *Encoder) client(c *hook.Client, props packet.Props) {
	w.who(c)
	if c == nil {
		return
	}
	w.String(contract.SlotZone, c.Zone)
	switch c.Protocol {
	case packet.V31:
		w.String(contract.SlotProtocol, "MQIsdp")
	case packet.V311, packet.V50:
		w.String(contract.SlotProtocol, "MQTT")
	}
	if props != nil {
		w.Bytes(contract.SlotConnProps, props)
	}
	w.Uint32(contract.SlotSessionExpiry, c.Expiry)
	if !c.ConnectedAt.IsZero() {
		w.Uint64(contract.SlotConnectedAt, uint64(c.ConnectedAt.UnixNano()))
	}
	w.optional(contract.SlotCommonName, c.CommonName)
	w.optional(contract.SlotDN, c.DN)
	w.optional(contract.SlotPrincipal, c.Principal)
	w.optional(contract.SlotTenant, c.Tenant)
	w.local(contract.SlotLocal, c)
}

// local fills a slot with the address that the client connected to.
func (w *Encoder) local(s contract.Slot, c *hook.Client) {
	if w.Wants(s) && c.Local.IsValid() {
		w.scratch = c.Local.AppendTo(w.scratch[:0])
		w.Bytes(s, w.scratch)
	}
}

// optional fills a slot that is absent when v is empty.
func (w *Encoder) optional(s contract.Slot, v string) {
	if v != "" {
		w.String(s, v)
	}
}

// message writes a whole record about m and the client that the hook is about.
func (w *Encoder) message(k contract.Hook, c *hook.Client, m *message.Message) {
	w.openMessage(k, c, m, m.QoS)
	w.who(c)
	w.messageSlots(m)
	w.End()
}

// openMessage begins a record about m.
func (w *Encoder) openMessage(k contract.Hook, c *hook.Client, m *message.Message, qos byte) {
	h := w.head(k, c)
	if m.Time != 0 {
		h.Time = uint64(m.Time)
	}
	h.Flags = h.Flags.WithQoS(qos).WithOrigin(contract.Origin(m.Origin)).WithHops(min(m.Hops, 15))
	if m.Retain {
		h.Flags |= contract.FlagRetain
	}
	if m.Retained {
		h.Flags |= contract.FlagRetained
	}
	if w.cut(m.Payload) {
		h.Flags |= contract.FlagPayloadCut
	}
	h.Aux = uint32(len(m.Payload))
	w.Hops = max(w.Hops, m.Hops)
	w.Begin(h)
}

// cut tells whether payload is longer than the plugin wants it.
func (w *Encoder) cut(payload []byte) bool {
	return w.maxPayload != 0 && uint64(len(payload)) > uint64(w.maxPayload)
}

// messageSlots fills what describes m.
func (w *Encoder) messageSlots(m *message.Message) {
	w.String(contract.SlotTopic, m.Topic)
	payload := m.Payload
	if w.cut(payload) {
		payload = payload[:w.maxPayload]
	}
	w.Bytes(contract.SlotPayload, payload)
	if len(m.Props) > 0 {
		w.Bytes(contract.SlotProps, m.Props)
	}
	if left, ok := m.ExpiryLeft(w.Now); ok {
		w.Uint32(contract.SlotExpiry, left)
	}
	w.String(contract.SlotFrom, m.From)
	if w.Wants(contract.SlotMessageID) {
		b := binary.LittleEndian.AppendUint32(w.scratch[:0], m.ID.Node)
		b = binary.LittleEndian.AppendUint32(b, m.ID.Incarnation)
		w.scratch = binary.LittleEndian.AppendUint64(b, m.ID.Seq)
		w.Bytes(contract.SlotMessageID, w.scratch)
	}
}

// subscription writes a record of subscribed, unsubscribed or retained_read.
func (w *Encoder) subscription(k contract.Hook, e *hook.SubscriptionEvent) {
	h := w.head(k, e.Client)
	h.Flags = h.Flags.WithQoS(e.Opts.QoS)
	if e.New {
		h.Flags |= contract.FlagNew
	}
	h.Aux = uint32(optionsByte(e.Opts))
	w.Begin(h)
	w.who(e.Client)
	w.String(contract.SlotFilter, e.Filter)
	if e.Opts.ID != 0 {
		w.Uint32(contract.SlotSubID, e.Opts.ID)
	}
	w.End()
}

// optionsByte is the subscription options byte [MQTT-3.8.3.1].
func optionsByte(o message.SubOptions) byte {
	b := o.QoS&3 | o.RetainHandling&3<<4
	if o.NoLocal {
		b |= 1 << 2
	}
	if o.RetainAsPublished {
		b |= 1 << 3
	}
	return b
}

// rewritten is m as the verdict changed it: a copy, since messages are immutable.
func rewritten(m *message.Message, v contract.Verdict, now int64) *message.Message {
	c := *m
	if b, ok := v.Ext(contract.ExtTopic); ok {
		c.Topic = string(b)
	}
	if b, ok := v.Ext(contract.ExtPayload); ok {
		c.Payload = append([]byte(nil), b...)
	}
	if b, ok := v.Ext(contract.ExtProps); ok {
		c.Props = append(packet.Props(nil), b...)
	}
	if sec, ok := v.Uint32(contract.ExtExpiry); ok {
		c.Expiry = expiry(sec, now)
	}
	var f contract.Flags
	f = f.WithQoS(m.QoS)
	if m.Retain {
		f |= contract.FlagRetain
	}
	f = v.NewFlags(f)
	c.QoS, c.Retain = f.QoS(), f.Has(contract.FlagRetain)
	return &c
}

// expiry turns an expiry interval into a point in time; contract.NoExpiry: never.
func expiry(seconds uint32, now int64) int64 {
	if seconds == contract.NoExpiry {
		return 0
	}
	return now + int64(seconds)*int64(time.Second)
}

// Cause is what a plugin's message comes of.
type Cause struct {
	From string // the plugin
	Hops uint8  // of what it answers
	Now  int64  // Unix nanoseconds
}

// Publication makes a message of a publish record that contract.CheckPublish
// accepted. s is where it is made together with others; nil: alone.
func Publication(s *message.Slab, r contract.Record, c Cause) *message.Message {
	topic, payload, props := r.Slot(contract.SlotTopic), r.Slot(contract.SlotPayload), packet.Props(r.Slot(contract.SlotProps))
	var m *message.Message
	if s == nil {
		m = (&message.Message{Topic: string(topic), Payload: payload, Props: props}).Detach()
	} else {
		m = s.New(string(topic), payload, props)
	}
	m.QoS, m.Retain = r.Flags().QoS(), r.Flags().Has(contract.FlagRetain)
	m.From, m.Origin, m.Hops, m.Time = c.From, message.OriginPlugin, c.Hops+1, c.Now
	if sec, ok := r.Uint32(contract.SlotExpiry); ok {
		m.Expiry = expiry(sec, c.Now)
	}
	return m
}
