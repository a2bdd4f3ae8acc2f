// Package packet turns bytes into MQTT 3.1, 3.1.1 and 5.0 control packets and
// back. It knows nothing of sessions, policy or sockets. One file a packet.
//
// Decoding borrows: see [Decoder]. Encoding appends to a caller's slice.
package packet

// Type is the MQTT control packet type, the high nibble of the first byte
// (MQTT-2.1.2).
type Type byte

// The control packet types.
const (
	TypeConnect     Type = 1
	TypeConnack     Type = 2
	TypePublish     Type = 3
	TypePuback      Type = 4
	TypePubrec      Type = 5
	TypePubrel      Type = 6
	TypePubcomp     Type = 7
	TypeSubscribe   Type = 8
	TypeSuback      Type = 9
	TypeUnsubscribe Type = 10
	TypeUnsuback    Type = 11
	TypePingreq     Type = 12
	TypePingresp    Type = 13
	TypeDisconnect  Type = 14
	TypeAuth        Type = 15
)

var typeNames = [16]string{
	"reserved", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
}

// String is the standard's name of the type.
func (t Type) String() string { return typeNames[t&0x0f] }

// Version is the protocol level of a CONNECT.
type Version byte

// The protocol levels.
const (
	V31  Version = 3 // protocol name MQIsdp
	V311 Version = 4
	V50  Version = 5
)

// String is the version as people write it: "3.1", "3.1.1" or "5.0".
func (v Version) String() string {
	switch v {
	case V31:
		return "3.1"
	case V311:
		return "3.1.1"
	case V50:
		return "5.0"
	default:
		return "unknown"
	}
}

// Packet is one control packet.
type Packet interface {
	Type() Type
	// appendTo appends the whole packet, fixed header included.
	appendTo(dst []byte, v Version) []byte
}

// Append encodes p for protocol version v at the end of dst. The caller
// guarantees that strings are at most 65,535 bytes; longer ones are a
// programming error and panic.
func Append(dst []byte, v Version, p Packet) []byte { return p.appendTo(dst, v) }
