package packet

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// golden are packets written by hand from the figures of the standards, so that
// decoder and encoder cannot agree on a mistake.
var golden = []struct {
	name string
	d    Decoder
	hex  string
	want Packet
}{
	{"3.1 CONNECT", fresh, "10 14  00 06 4d 51 49 73 64 70  03 02 00 0a  00 06 63 6c 69 65 6e 74",
		&Connect{Version: V31, CleanStart: true, KeepAlive: 10, ClientID: "client"}},
	{"3.1.1 CONNECT", fresh, `10 23  00 04 4d 51 54 54  04 ce 00 0a  00 01 63  00 03 77 2f 74  00 04 62 79 65 21
		00 02 6d 65  00 05 00 01 02 fe ff`, // 3.1.1 §3.1.2.3, figure 3.6
		&Connect{
			Version: V311, CleanStart: true, KeepAlive: 10, ClientID: "c", Will: &Will{Topic: "w/t", Payload: []byte("bye!"), QoS: 1},
			HasUsername: true, Username: "me", HasPassword: true, Password: []byte{0, 1, 2, 0xfe, 0xff},
		}},
	{"5.0 CONNECT", fresh, `10 2f  00 04 4d 51 54 54  05 24 ff ff  08  11 00 00 00 0a  21 00 14  00 01 63
		0a  18 00 00 00 3c  01 01  03 00 00  00 01 77  00 09 67 6f 6f 64 20 62 79 65 21`, // 5.0 §3.1.2, figure 3-6, and a will
		&Connect{
			Version: V50, KeepAlive: 65535, ClientID: "c", Props: Props{0x11, 0, 0, 0, 10, 0x21, 0, 20},
			Will: &Will{Topic: "w", Payload: []byte("good bye!"), Retain: true, Props: Props{0x18, 0, 0, 0, 60, 1, 1, 3, 0, 0}},
		}},
	{"3.1.1 CONNACK", to311, "20 02 01 00", &Connack{SessionPresent: true}},
	{"3.1.1 CONNACK refused", to311, "20 02 00 04", &Connack{Code: BadUserNameOrPassword}},
	{"5.0 CONNACK", to5, "20 0b  01 00  08  22 00 0a  27 00 10 00 00",
		&Connack{SessionPresent: true, Props: Props{0x22, 0, 10, 0x27, 0, 0x10, 0, 0}}},
	{"3.1.1 PUBLISH QoS 0", from311, "30 07  00 03 61 2f 62  68 69", &Publish{Topic: "a/b", Payload: []byte("hi")}},
	{"3.1.1 PUBLISH QoS 1", from311, "33 09  00 03 61 2f 62  00 0a  68 69", // 3.1.1 §3.3.2.2, figure 3.11
		&Publish{Topic: "a/b", QoS: 1, PacketID: 10, Retain: true, Payload: []byte("hi")}},
	{"5.0 PUBLISH alias", from5, "30 08  00 00  05  01 01  23 00 07", &Publish{Props: Props{1, 1, 0x23, 0, 7}}},
	{"5.0 PUBLISH QoS 2", from5, "3d 0d  00 03 61 2f 62  00 0a  02  01 01  68 69 21",
		&Publish{Topic: "a/b", QoS: 2, PacketID: 10, Dup: true, Retain: true, Props: Props{1, 1}, Payload: []byte("hi!")}},
	{"3.1.1 PUBACK", from311, "40 02 12 34", &Ack{Kind: TypePuback, PacketID: 0x1234}},
	{"5.0 PUBACK", from5, "40 03 12 34 10", &Ack{Kind: TypePuback, PacketID: 0x1234, Code: NoMatchingSubscribers}},
	{"5.0 PUBREC", from5, "50 08 12 34 87  04 1f 00 01 78",
		&Ack{Kind: TypePubrec, PacketID: 0x1234, Code: NotAuthorized, Props: Props{0x1f, 0, 1, 'x'}}},
	{"3.1.1 PUBREL", from311, "62 02 00 01", &Ack{Kind: TypePubrel, PacketID: 1}},
	{"5.0 PUBREL", from5, "62 03 00 01 92", &Ack{Kind: TypePubrel, PacketID: 1, Code: PacketIdentifierNotFound}},
	{"3.1.1 PUBCOMP", from311, "70 02 ff ff", &Ack{Kind: TypePubcomp, PacketID: 65535}},
	{"3.1.1 SUBSCRIBE", from311, "82 0e  00 0a  00 03 61 2f 62 01  00 03 63 2f 64 02", // 3.1.1 §3.8.3.1, figure 3.23
		&Subscribe{PacketID: 10, Filters: []Filter{{Filter: "a/b", QoS: 1}, {Filter: "c/d", QoS: 2}}}},
	{"5.0 SUBSCRIBE", from5, "82 0c  00 0a  03 0b 80 01  00 03 61 2f 62 2e", // 5.0 §3.8.2
		&Subscribe{PacketID: 10, Props: Props{11, 0x80, 1}, Filters: []Filter{{Filter: "a/b", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}}}},
	{"3.1.1 SUBACK", to311, "90 05 00 0a 00 02 80", // 3.1.1 §3.9.3, figure 3.26
		&Suback{PacketID: 10, Codes: []ReasonCode{GrantedQoS0, GrantedQoS2, UnspecifiedError}}},
	{"5.0 SUBACK", to5, "90 06 00 0a 00 00 01 9e",
		&Suback{PacketID: 10, Codes: []ReasonCode{GrantedQoS0, GrantedQoS1, SharedSubscriptionsNotSupported}}},
	{"3.1.1 UNSUBSCRIBE", from311, "a2 0c  00 0a  00 03 61 2f 62  00 03 63 2f 64", // 3.1.1 §3.10.3, figure 3.30
		&Unsubscribe{PacketID: 10, Filters: []string{"a/b", "c/d"}}},
	{"5.0 UNSUBSCRIBE", from5, "a2 0f  00 0a  07 26 00 01 6b 00 01 76  00 03 61 2f 62",
		&Unsubscribe{PacketID: 10, Props: AppendUserProp(nil, "k", "v"), Filters: []string{"a/b"}}},
	{"3.1.1 UNSUBACK", to311, "b0 02 00 0a", &Unsuback{PacketID: 10}},
	{"5.0 UNSUBACK", to5, "b0 05 00 0a 00 00 11", &Unsuback{PacketID: 10, Codes: []ReasonCode{Success, NoSubscriptionExisted}}},
	{"PINGREQ", from311, "c0 00", &Pingreq{}},
	{"PINGRESP", to5, "d0 00", &Pingresp{}},
	{"3.1.1 DISCONNECT", from311, "e0 00", &Disconnect{}},
	{"5.0 DISCONNECT", from5, "e0 07 04  05 11 00 00 00 3c", &Disconnect{Code: DisconnectWithWill, Props: Props{0x11, 0, 0, 0, 60}}},
	{"5.0 DISCONNECT of a server", to5, "e0 01 8e", &Disconnect{Code: SessionTakenOver}},
	{"5.0 AUTH", from5, "f0 0b 18  09 15 00 01 6d 16 00 02 00 ff",
		&Auth{Code: ContinueAuthentication, Props: AppendBytesProp(AppendStringProp(nil, PropAuthMethod, "m"), PropAuthData, []byte{0, 0xff})}},
}

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGolden(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			b := fromHex(t, tt.hex)
			if got := accept[Packet](t, tt.d, b); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			if got := Append(nil, versionOf(tt.d, tt.want), tt.want); !reflect.DeepEqual(got, b) {
				t.Errorf("encoded % x\nwant    % x", got, b)
			}
		})
	}
}
