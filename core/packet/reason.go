package packet

import "strconv"

// ReasonCode is the outcome of an operation as MQTT 5.0 writes it (5.0 §2.4).
// Codes from 0x80 are failures.
type ReasonCode byte

// The reason codes of MQTT 5.0. Three of them share the value 0.
const (
	Success             ReasonCode = 0x00
	NormalDisconnection ReasonCode = 0x00
	GrantedQoS0         ReasonCode = 0x00

	GrantedQoS1            ReasonCode = 0x01
	GrantedQoS2            ReasonCode = 0x02
	DisconnectWithWill     ReasonCode = 0x04
	NoMatchingSubscribers  ReasonCode = 0x10
	NoSubscriptionExisted  ReasonCode = 0x11
	ContinueAuthentication ReasonCode = 0x18
	ReAuthenticate         ReasonCode = 0x19

	UnspecifiedError                    ReasonCode = 0x80
	MalformedPacket                     ReasonCode = 0x81
	ProtocolError                       ReasonCode = 0x82
	ImplementationSpecificError         ReasonCode = 0x83
	UnsupportedProtocolVersion          ReasonCode = 0x84
	ClientIdentifierNotValid            ReasonCode = 0x85
	BadUserNameOrPassword               ReasonCode = 0x86
	NotAuthorized                       ReasonCode = 0x87
	ServerUnavailable                   ReasonCode = 0x88
	ServerBusy                          ReasonCode = 0x89
	Banned                              ReasonCode = 0x8A
	ServerShuttingDown                  ReasonCode = 0x8B
	BadAuthenticationMethod             ReasonCode = 0x8C
	KeepAliveTimeout                    ReasonCode = 0x8D
	SessionTakenOver                    ReasonCode = 0x8E
	TopicFilterInvalid                  ReasonCode = 0x8F
	TopicNameInvalid                    ReasonCode = 0x90
	PacketIdentifierInUse               ReasonCode = 0x91
	PacketIdentifierNotFound            ReasonCode = 0x92
	ReceiveMaximumExceeded              ReasonCode = 0x93
	TopicAliasInvalid                   ReasonCode = 0x94
	PacketTooLarge                      ReasonCode = 0x95
	MessageRateTooHigh                  ReasonCode = 0x96
	QuotaExceeded                       ReasonCode = 0x97
	AdministrativeAction                ReasonCode = 0x98
	PayloadFormatInvalid                ReasonCode = 0x99
	RetainNotSupported                  ReasonCode = 0x9A
	QoSNotSupported                     ReasonCode = 0x9B
	UseAnotherServer                    ReasonCode = 0x9C
	ServerMoved                         ReasonCode = 0x9D
	SharedSubscriptionsNotSupported     ReasonCode = 0x9E
	ConnectionRateExceeded              ReasonCode = 0x9F
	MaximumConnectTime                  ReasonCode = 0xA0
	SubscriptionIdentifiersNotSupported ReasonCode = 0xA1
	WildcardSubscriptionsNotSupported   ReasonCode = 0xA2
)

// reason is one row of the table: the standard's name and the packets that may
// carry the code, one bit a Type; clientOnly and serverOnly restrict DISCONNECT
// and AUTH to one direction.
type reason struct {
	name       string
	in         uint16
	clientOnly uint16
	serverOnly uint16
}

const (
	inConnack    = 1 << TypeConnack
	inPuback     = 1<<TypePuback | 1<<TypePubrec
	inPubrel     = 1<<TypePubrel | 1<<TypePubcomp
	inSuback     = 1 << TypeSuback
	inUnsuback   = 1 << TypeUnsuback
	inDisconnect = 1 << TypeDisconnect
	inAuth       = 1 << TypeAuth
)

// reasons is the table of 5.0 §2.4.
var reasons = [0xA3]reason{
	0x00: {"Success", inConnack | inPuback | inPubrel | inSuback | inUnsuback | inDisconnect | inAuth, 0, inAuth},
	0x01: {"Granted QoS 1", inSuback, 0, 0},
	0x02: {"Granted QoS 2", inSuback, 0, 0},
	0x04: {"Disconnect with Will Message", inDisconnect, inDisconnect, 0},
	0x10: {"No matching subscribers", inPuback, 0, 0},
	0x11: {"No subscription existed", inUnsuback, 0, 0},
	0x18: {"Continue authentication", inAuth, 0, 0},
	0x19: {"Re-authenticate", inAuth, inAuth, 0},
	0x80: {"Unspecified error", inConnack | inPuback | inSuback | inUnsuback | inDisconnect, 0, 0},
	0x81: {"Malformed Packet", inConnack | inDisconnect, 0, 0},
	0x82: {"Protocol Error", inConnack | inDisconnect, 0, 0},
	0x83: {"Implementation specific error", inConnack | inPuback | inSuback | inUnsuback | inDisconnect, 0, 0},
	0x84: {"Unsupported Protocol Version", inConnack, 0, 0},
	0x85: {"Client Identifier not valid", inConnack, 0, 0},
	0x86: {"Bad User Name or Password", inConnack, 0, 0},
	0x87: {"Not authorized", inConnack | inPuback | inSuback | inUnsuback | inDisconnect, 0, inDisconnect},
	0x88: {"Server unavailable", inConnack, 0, 0},
	0x89: {"Server busy", inConnack | inDisconnect, 0, inDisconnect},
	0x8A: {"Banned", inConnack, 0, 0},
	0x8B: {"Server shutting down", inDisconnect, 0, inDisconnect},
	0x8C: {"Bad authentication method", inConnack | inDisconnect, 0, inDisconnect},
	0x8D: {"Keep Alive timeout", inDisconnect, 0, inDisconnect},
	0x8E: {"Session taken over", inDisconnect, 0, inDisconnect},
	0x8F: {"Topic Filter invalid", inSuback | inUnsuback | inDisconnect, 0, inDisconnect},
	0x90: {"Topic Name invalid", inConnack | inPuback | inDisconnect, 0, 0},
	0x91: {"Packet Identifier in use", inPuback | inSuback | inUnsuback, 0, 0},
	0x92: {"Packet Identifier not found", inPubrel, 0, 0},
	0x93: {"Receive Maximum exceeded", inDisconnect, 0, 0},
	0x94: {"Topic Alias invalid", inDisconnect, 0, 0},
	0x95: {"Packet too large", inConnack | inDisconnect, 0, 0},
	0x96: {"Message rate too high", inDisconnect, 0, 0},
	0x97: {"Quota exceeded", inConnack | inPuback | inSuback | inDisconnect, 0, 0},
	0x98: {"Administrative action", inDisconnect, 0, 0},
	0x99: {"Payload format invalid", inConnack | inPuback | inDisconnect, 0, 0},
	0x9A: {"Retain not supported", inConnack | inDisconnect, 0, inDisconnect},
	0x9B: {"QoS not supported", inConnack | inDisconnect, 0, inDisconnect},
	0x9C: {"Use another server", inConnack | inDisconnect, 0, inDisconnect},
	0x9D: {"Server moved", inConnack | inDisconnect, 0, inDisconnect},
	0x9E: {"Shared Subscriptions not supported", inSuback | inDisconnect, 0, inDisconnect},
	0x9F: {"Connection rate exceeded", inConnack | inDisconnect, 0, inDisconnect},
	0xA0: {"Maximum connect time", inDisconnect, 0, inDisconnect},
	0xA1: {"Subscription Identifiers not supported", inSuback | inDisconnect, 0, inDisconnect},
	0xA2: {"Wildcard Subscriptions not supported", inSuback | inDisconnect, 0, inDisconnect},
}

// String is the standard's name of the code; an unknown code is given in hex.
func (c ReasonCode) String() string {
	if int(c) < len(reasons) && reasons[c].name != "" {
		return reasons[c].name
	}
	return "reason code 0x" + strconv.FormatUint(uint64(c), 16)
}

// Failed tells whether the code reports a failure: 0x80 and above.
func (c ReasonCode) Failed() bool { return c >= 0x80 }

// For is c if a server may put it into a packet of type t, else the code that
// comes nearest: a refusal of the client stays one (NotAuthorized), any other
// failure is UnspecifiedError, the rest Success. So a code that a plugin chose
// never makes a packet that a client must refuse.
func (c ReasonCode) For(t Type) ReasonCode {
	switch {
	case c.allowed(t, true):
		return c
	case !c.Failed():
		return Success
	case (c == BadUserNameOrPassword || c == Banned || c == BadAuthenticationMethod) && NotAuthorized.allowed(t, true):
		return NotAuthorized
	}
	return UnspecifiedError
}

// allowed tells whether the sender on the given side may put c into a packet
// of type t.
func (c ReasonCode) allowed(t Type, fromServer bool) bool {
	if int(c) >= len(reasons) {
		return false
	}
	r, bit := &reasons[c], uint16(1)<<t
	if fromServer {
		return r.in&bit != 0 && r.clientOnly&bit == 0
	}
	return r.in&bit != 0 && r.serverOnly&bit == 0
}

// The CONNACK return codes of MQTT 3.1 and 3.1.1 (3.1.1 §3.2.2.3).
const (
	connackAccepted byte = iota
	connackVersion
	connackIdentifier
	connackUnavailable
	connackCredentials
	connackNotAuthorized
)

// ConnackV3 is the return code that tells a 3.x client what code tells a 5.0
// client. What 3.x has no word for is "server unavailable", the one refusal
// that promises nothing [3.1.1 MQTT-3.2.2-6].
func ConnackV3(code ReasonCode) byte {
	switch code {
	case Success:
		return connackAccepted
	case UnsupportedProtocolVersion:
		return connackVersion
	case ClientIdentifierNotValid:
		return connackIdentifier
	case BadUserNameOrPassword:
		return connackCredentials
	case NotAuthorized, Banned, BadAuthenticationMethod:
		return connackNotAuthorized
	default:
		return connackUnavailable
	}
}

// connackFromV3 is the inverse of ConnackV3 for the codes that exist.
func connackFromV3(b byte) (ReasonCode, bool) {
	switch b {
	case connackAccepted:
		return Success, true
	case connackVersion:
		return UnsupportedProtocolVersion, true
	case connackIdentifier:
		return ClientIdentifierNotValid, true
	case connackUnavailable:
		return ServerUnavailable, true
	case connackCredentials:
		return BadUserNameOrPassword, true
	case connackNotAuthorized:
		return NotAuthorized, true
	default:
		return 0, false
	}
}
