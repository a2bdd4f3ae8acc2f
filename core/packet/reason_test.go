package packet

import (
	"fmt"
	"testing"
)

// codesOf is 5.0 §2.4 by hand: the codes of each packet and sender.
var codesOf = []struct {
	name  string
	d     Decoder
	build func(code int) []byte
	codes []int
}{
	{"CONNACK", to5, func(c int) []byte { return pk(0x20, 0, c, 0) }, []int{
		0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
	}}, // [MQTT-3.2.2-8]
	{"PUBACK", from5, func(c int) []byte { return pk(0x40, 0, 1, c) }, []int{0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}},    // [MQTT-3.4.2-1]
	{"PUBREC", from5, func(c int) []byte { return pk(0x50, 0, 1, c, 0) }, []int{0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}}, // [MQTT-3.5.2-1]
	{"PUBREL", from5, func(c int) []byte { return pk(0x62, 0, 1, c) }, []int{0, 0x92}},                                              // [MQTT-3.6.2-1]
	{"PUBCOMP", from5, func(c int) []byte { return pk(0x70, 0, 1, c) }, []int{0, 0x92}},                                             // [MQTT-3.7.2-1]
	{"SUBACK", to5, func(c int) []byte { return pk(0x90, 0, 1, 0, c) }, []int{
		0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2,
	}}, // [MQTT-3.9.3-2]
	{"SUBACK 3.1.1", to311, func(c int) []byte { return pk(0x90, 0, 1, c) }, []int{0, 1, 2, 0x80}},                      // 3.1.1 [MQTT-3.9.3-2]
	{"UNSUBACK", to5, func(c int) []byte { return pk(0xb0, 0, 1, 0, c) }, []int{0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91}}, // [MQTT-3.11.3-2]
	{"DISCONNECT of a client", from5, func(c int) []byte { return pk(0xe0, c) }, []int{
		0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
	}}, // [MQTT-3.14.2-1]
	{"DISCONNECT of a server", to5, func(c int) []byte { return pk(0xe0, c) }, []int{
		0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
		0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
	}}, // [MQTT-3.14.2-1]
	{"AUTH of a client", from5, func(c int) []byte { return pk(0xf0, c, AppendStringProp(nil, PropAuthMethod, "m")) }, []int{0x18, 0x19}}, // [MQTT-3.15.2-1]
	{"AUTH of a server", to5, func(c int) []byte { return pk(0xf0, c, AppendStringProp(nil, PropAuthMethod, "m")) }, []int{0, 0x18}},      // [MQTT-3.15.2-1]
}

// TestReasonCodes puts every value into every packet that has a reason code.
func TestReasonCodes(t *testing.T) {
	for _, tt := range codesOf {
		t.Run(tt.name, func(t *testing.T) {
			allowed := map[int]bool{}
			for _, c := range tt.codes {
				allowed[c] = true
			}
			for c := range 256 {
				d := tt.d
				if b := tt.build(c); allowed[c] {
					accept[Packet](t, d, b)
				} else {
					refuse(t, &d, b, ProtocolError)
				}
			}
		})
	}
}

func TestReasonCodeNames(t *testing.T) {
	for code, want := range map[ReasonCode]string{
		Success: "Success", GrantedQoS2: "Granted QoS 2", NoSubscriptionExisted: "No subscription existed",
		MalformedPacket: "Malformed Packet", SessionTakenOver: "Session taken over",
		WildcardSubscriptionsNotSupported: "Wildcard Subscriptions not supported", 0x7f: "reason code 0x7f", 0xff: "reason code 0xff",
	} {
		if got := code.String(); got != want {
			t.Errorf("0x%02x is %q, want %q", byte(code), got, want)
		}
	}
	if Success.Failed() || ReAuthenticate.Failed() || !UnspecifiedError.Failed() {
		t.Error("failures do not begin at 0x80")
	}
}

// 3.1.1 §3.2.2.3
func TestConnackV3(t *testing.T) {
	want := map[ReasonCode]byte{
		Success: 0, UnsupportedProtocolVersion: 1, ClientIdentifierNotValid: 2, ServerUnavailable: 3, ServerBusy: 3,
		BadUserNameOrPassword: 4, NotAuthorized: 5, Banned: 5, BadAuthenticationMethod: 5, QuotaExceeded: 3, UnspecifiedError: 3,
	}
	for code, v3 := range want {
		if got := ConnackV3(code); got != v3 {
			t.Errorf("%v is %d, want %d", code, got, v3)
		}
	}
	for v3 := range byte(6) {
		p := accept[*Connack](t, to311, pk(0x20, 0, int(v3)))
		if ConnackV3(p.Code) != v3 {
			t.Errorf("%d is %v", v3, p.Code)
		}
	}
}

// The short forms of 5.0 §3.4.2.1, §3.14.2.1 and §3.15.2.1, both ways.
func TestShortForms(t *testing.T) {
	for i, tt := range []struct {
		p    Packet
		want []byte
	}{
		{&Ack{Kind: TypePuback, PacketID: 1}, []byte{0x40, 2, 0, 1}},
		{&Ack{Kind: TypePubrel, PacketID: 1}, []byte{0x62, 2, 0, 1}}, // [MQTT-3.6.1-1]
		{&Ack{Kind: TypePubrec, PacketID: 1, Code: QuotaExceeded}, []byte{0x50, 3, 0, 1, 0x97}},
		{&Disconnect{}, []byte{0xe0, 0}},
		{&Disconnect{Code: UnspecifiedError}, []byte{0xe0, 1, 0x80}},
		{&Auth{}, []byte{0xf0, 0}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if got := Append(nil, V50, tt.p); string(got) != string(tt.want) {
				t.Errorf("%+v: got % x, want % x", tt.p, got, tt.want)
			}
		})
	}
	t.Run("no code before 5.0", func(t *testing.T) {
		p := &Ack{Kind: TypePuback, PacketID: 1, Code: QuotaExceeded, Props: AppendStringProp(nil, PropReasonString, "r")}
		if got := Append(nil, V311, p); string(got) != "\x40\x02\x00\x01" {
			t.Errorf("% x", got)
		}
		if got := Append(nil, V311, &Disconnect{Code: UnspecifiedError}); string(got) != "\xe0\x00" {
			t.Errorf("% x", got)
		}
	})
	t.Run("empty property block", func(t *testing.T) {
		accept[*Ack](t, from5, []byte{0x40, 4, 0, 1, 0, 0})
		accept[*Disconnect](t, from5, []byte{0xe0, 2, 4, 0})
	})
	refuseAll(t, []refusal{
		{"code before 5.0", from311, []byte{0x40, 3, 0, 1, 0}, MalformedPacket},
		{"DISCONNECT code before 5.0", from311, []byte{0xe0, 1, 0}, MalformedPacket},
		{"PINGREQ with payload", from5, []byte{0xc0, 1, 0}, MalformedPacket},
		{"AUTH without properties", from5, []byte{0xf0, 1, 0x18}, MalformedPacket},
		{"AUTH without method", from5, []byte{0xf0, 2, 0x18, 0}, ProtocolError},
		{"empty AUTH from a client", from5, []byte{0xf0, 0}, ProtocolError},
		{"bytes after the properties of PUBACK", from5, []byte{0x40, 5, 0, 1, 0, 0, 0}, MalformedPacket},
		{"bytes after the properties of DISCONNECT", from5, []byte{0xe0, 3, 0, 0, 0}, MalformedPacket},
	})
}

// TestReasonCodeFor puts every code into every packet of a server that has one:
// a client takes what comes out [MQTT-3.2.2-8] [MQTT-3.4.2-1] [MQTT-3.9.3-2].
func TestReasonCodeFor(t *testing.T) {
	for _, kind := range []Type{TypeConnack, TypePuback, TypePubrec, TypeSuback, TypeUnsuback, TypeDisconnect} {
		for i := range 256 {
			c := ReasonCode(i)
			got := c.For(kind)
			if !got.allowed(kind, true) || got.Failed() != c.Failed() || c.allowed(kind, true) && got != c {
				t.Errorf("0x%02x becomes 0x%02x in %v", i, byte(got), kind)
			}
		}
	}
	if got := Banned.For(TypeDisconnect); got != NotAuthorized {
		t.Errorf("banned becomes %v", got)
	}
}
