package sdk

import (
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Flags of an event that plugins ask for with Has.
const (
	CleanStart = contract.FlagCleanStart
	Reauth     = contract.FlagReauth
	Superuser  = contract.FlagSuperuser
	Bridge     = contract.FlagBridge
)

// Event is what every event tells: which client, where, when. The client's
// methods return nothing when no client is involved.
type Event struct {
	rec   contract.Record
	index int // in the frame
}

// Time is when it happened.
func (e *Event) Time() time.Time { return time.Unix(0, int64(e.rec.Time())) }

// Conn names the connection; unique in the broker's process, 0 if there is none.
func (e *Event) Conn() uint64 { return e.rec.Conn() }

// Index is the event's place in its frame. The events of a deciding hook that
// come in one frame are of one connection.
func (e *Event) Index() int { return e.index }

// Flags are the event's flags, for example e.Flags().Version().
func (e *Event) Flags() contract.Flags { return e.rec.Flags() }

// ClientID is the client identifier.
func (e *Event) ClientID() string { return string(e.ClientIDBytes()) }

// ClientIDBytes is the client identifier, without a copy.
func (e *Event) ClientIDBytes() []byte { return e.rec.Slot(contract.SlotClientID) }

// Username is the user name of the CONNECT.
func (e *Event) Username() string { return string(e.UsernameBytes()) }

// UsernameBytes is the user name, without a copy; nil if the client gave none.
func (e *Event) UsernameBytes() []byte { return e.rec.Slot(contract.SlotUsername) }

// Peer is the client's address and port: "192.0.2.1:51000".
func (e *Event) Peer() string { return string(e.PeerBytes()) }

// PeerBytes is the client's address and port, without a copy.
func (e *Event) PeerBytes() []byte { return e.rec.Slot(contract.SlotPeer) }

// Listener names the listener: "tcp:external".
func (e *Event) Listener() string { return string(e.rec.Slot(contract.SlotListener)) }

// MessageID names a message uniquely: the node, its incarnation, a number. It is empty
// if the field message_id was not asked for, and a view that is valid for the call.
func (e *Event) MessageID() []byte { return e.rec.Slot(contract.SlotMessageID) }

// Record is the record itself, for slots that have no method here.
func (e *Event) Record() contract.Record { return e.rec }

// ClientEvent is about a client and its connection or session.
type ClientEvent struct{ Event }

// Zone names the zone of the client's listener.
func (e *ClientEvent) Zone() string { return string(e.rec.Slot(contract.SlotZone)) }

// Protocol is the protocol name of the CONNECT: "MQTT" or "MQIsdp".
func (e *ClientEvent) Protocol() string { return string(e.ProtocolBytes()) }

// ProtocolBytes is the protocol name, without a copy.
func (e *ClientEvent) ProtocolBytes() []byte { return e.rec.Slot(contract.SlotProtocol) }

// KeepAlive is the keep alive in seconds; 0 with a disconnection.
func (e *ClientEvent) KeepAlive() uint16 {
	if e.rec.Hook() == contract.HookDisconnected {
		return 0
	}
	return uint16(e.rec.Aux())
}

// SessionExpiry is the session expiry interval in seconds; 0xFFFFFFFF: never.
func (e *ClientEvent) SessionExpiry() uint32 {
	v, _ := e.rec.Uint32(contract.SlotSessionExpiry)
	return v
}

// ConnectedAt is when the client connected; the zero time if it has not.
func (e *ClientEvent) ConnectedAt() time.Time {
	ns, ok := e.rec.Uint64(contract.SlotConnectedAt)
	if !ok {
		return time.Time{}
	}
	return time.Unix(0, int64(ns))
}

// PropsBytes are the CONNECT's (auth_continue: the AUTH's) properties in wire
// form, without a copy.
func (e *ClientEvent) PropsBytes() []byte { return e.rec.Slot(contract.SlotConnProps) }

// CommonName is the CN of the TLS client certificate.
func (e *ClientEvent) CommonName() string { return string(e.rec.Slot(contract.SlotCommonName)) }

// DN is the distinguished name of the TLS client certificate.
func (e *ClientEvent) DN() string { return string(e.rec.Slot(contract.SlotDN)) }

// Principal is who authentication says the client is.
func (e *ClientEvent) Principal() string { return string(e.rec.Slot(contract.SlotPrincipal)) }

// Tenant is what authentication says the client belongs to.
func (e *ClientEvent) Tenant() string { return string(e.rec.Slot(contract.SlotTenant)) }

// LocalBytes is the address and port that the client connected to, without a copy.
func (e *ClientEvent) LocalBytes() []byte { return e.rec.Slot(contract.SlotLocal) }

// ConnectEvent is a decoded CONNECT.
type ConnectEvent struct{ ClientEvent }

// WillTopicBytes is the will's topic, without a copy; nil if there is no will.
func (e *ConnectEvent) WillTopicBytes() []byte { return e.rec.Slot(contract.SlotWillTopic) }

// WillPayloadBytes is the will's payload, without a copy.
func (e *ConnectEvent) WillPayloadBytes() []byte { return e.rec.Slot(contract.SlotWillPayload) }

// AuthEvent is a login, or a step of one.
type AuthEvent struct{ ClientEvent }

// Password is the CONNECT's password; ok is false if it had none. No copy is made.
func (e *AuthEvent) Password() (password []byte, ok bool) {
	return e.rec.Lookup(contract.SlotPassword)
}

// Method is the Authentication Method; "" if it is an ordinary login.
func (e *AuthEvent) Method() string { return string(e.rec.Slot(contract.SlotAuthMethod)) }

// DataBytes is the Authentication Data, without a copy.
func (e *AuthEvent) DataBytes() []byte { return e.rec.Slot(contract.SlotAuthData) }

// StateBytes is the Login.State that the plugin answered Continue with, without a copy.
func (e *AuthEvent) StateBytes() []byte { return e.rec.Slot(contract.SlotAuthState) }

// WillTopic is the topic of the CONNECT's will; "" if there is none.
func (e *AuthEvent) WillTopic() string { return string(e.rec.Slot(contract.SlotAuthWill)) }

// DisconnectEvent is the end of a connection.
type DisconnectEvent struct{ ClientEvent }

// ReasonCode is the MQTT reason code.
func (e *DisconnectEvent) ReasonCode() byte { return byte(e.rec.Aux()) }

// Reason is the reason in a word: normal, keepalive_timeout, takeovered ...
func (e *DisconnectEvent) Reason() string { return string(e.ReasonBytes()) }

// ReasonBytes is the reason in a word, without a copy.
func (e *DisconnectEvent) ReasonBytes() []byte { return e.rec.Slot(contract.SlotDisconnectReason) }

// ConnackEvent is the answer to a CONNECT.
type ConnackEvent struct{ ClientEvent }

// ReasonCode is the reason code of 5.0, also for a client of 3.x; 0: connected.
func (e *ConnackEvent) ReasonCode() byte {
	v, _ := e.rec.Uint32(contract.SlotReasonCode)
	return byte(v)
}
