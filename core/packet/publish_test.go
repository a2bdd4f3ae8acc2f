package packet

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// [MQTT-3.3.1-2] [MQTT-3.3.1-4] [MQTT-4.3.1-1]
func TestPublishFlags(t *testing.T) {
	var tests []refusal
	for name, d := range versions {
		for flags, what := range map[byte]string{6: "QoS 3", 7: "QoS 3 retain", 14: "QoS 3 dup", 15: "QoS 3 dup retain", 8: "DUP with QoS 0", 9: "DUP with QoS 0 retain"} {
			tests = append(tests, refusal{what + " " + name, d, []byte{0x30 | flags}, MalformedPacket})
		}
	}
	refuseAll(t, tests)
	t.Run("all others", func(t *testing.T) {
		for _, flags := range []byte{0, 1, 2, 3, 4, 5, 10, 11, 12, 13} {
			b := pk(0x30|flags, "t")
			if flags&6 != 0 {
				b = pk(0x30|flags, "t", uint16(7))
			}
			p := accept[*Publish](t, from311, b)
			want := Publish{Topic: "t", QoS: flags & 6 >> 1, Retain: flags&1 != 0, Dup: flags&8 != 0}
			if want.QoS > 0 {
				want.PacketID = 7
			}
			if !reflect.DeepEqual(*p, want) {
				t.Errorf("flags %x: got %+v, want %+v", flags, *p, want)
			}
		}
	})
	t.Run("encoded QoS 0 has no DUP", func(t *testing.T) {
		if b := AppendPublish(nil, V311, &PublishOut{Topic: "t", Dup: true}); b[0] != 0x30 {
			t.Errorf("first byte is %x", b[0])
		}
	})
}

// [MQTT-3.3.2-2] [MQTT-4.7.0-1] [MQTT-4.7.3-1]
func TestTopicName(t *testing.T) {
	refuseAll(t, []refusal{
		{"plus", from5, publishPk("a/+", nil), TopicNameInvalid},
		{"number sign", from5, publishPk("#", nil), TopicNameInvalid},
		{"wildcard within a level", from5, publishPk("a+b", nil), TopicNameInvalid},
		{"wildcard at the end of a long name", from5, publishPk("a long name/#", nil), TopicNameInvalid},
		{"wildcard 3.1.1", from311, pk(0x30, "a/+"), TopicNameInvalid},
		{"wildcard 3.1", from31, pk(0x30, "a/+"), TopicNameInvalid},
		{"wildcard from a server", to5, publishPk("a/+", nil), TopicNameInvalid},
		{"empty 3.1.1", from311, pk(0x30, ""), ProtocolError},
		{"empty 3.1", from31, pk(0x30, ""), ProtocolError},
		{"empty without alias", from5, publishPk("", nil), ProtocolError},
		{"empty with other properties", from5, publishPk("", AppendByteProp(nil, PropPayloadFormat, 1)), ProtocolError},
	})
	t.Run("empty with alias", func(t *testing.T) {
		p := accept[*Publish](t, from5, publishPk("", AppendUint16Prop(nil, PropTopicAlias, 9)))
		if alias, ok := p.TopicAlias(); alias != 9 || !ok {
			t.Errorf("alias %d, %v", alias, ok)
		}
	})
	t.Run("without alias", func(t *testing.T) {
		if alias, ok := accept[*Publish](t, from5, publishPk("t", nil)).TopicAlias(); alias != 0 || ok {
			t.Errorf("alias %d, %v", alias, ok)
		}
	})
	t.Run("65535 bytes", func(t *testing.T) { // [MQTT-4.7.3-3]
		long := strings.Repeat("/", 65535)
		if p := accept[*Publish](t, from311, pk(0x30, long)); p.Topic != long {
			t.Error("another topic")
		}
	})
}

// 5.0: [MQTT-2.2.1-2] [MQTT-2.2.1-3]; 3.1.1: [MQTT-2.3.1-1] [MQTT-2.3.1-5]
func TestPacketID(t *testing.T) {
	refuseAll(t, []refusal{
		{"PUBLISH QoS 1", from311, pk(0x32, "t", uint16(0)), ProtocolError},
		{"PUBLISH QoS 2", from5, pk(0x34, "t", uint16(0), 0), ProtocolError},
		{"PUBLISH without", from311, pk(0x32, "t"), MalformedPacket},
		{"PUBACK", from311, pk(0x40, uint16(0)), ProtocolError},
		{"PUBREC", from5, pk(0x50, uint16(0)), ProtocolError},
		{"PUBREL", from5, pk(0x62, uint16(0)), ProtocolError},
		{"PUBCOMP", from5, pk(0x70, uint16(0)), ProtocolError},
		{"SUBSCRIBE", from311, pk(0x82, uint16(0), "t", 0), ProtocolError},
		{"SUBSCRIBE 5.0", from5, pk(0x82, uint16(0), 0, "t", 0), ProtocolError},
		{"UNSUBSCRIBE", from311, pk(0xa2, uint16(0), "t"), ProtocolError},
		{"UNSUBSCRIBE 5.0", from5, pk(0xa2, uint16(0), 0, "t"), ProtocolError},
		{"SUBACK", to5, pk(0x90, uint16(0), 0, 0), ProtocolError},
		{"UNSUBACK", to311, pk(0xb0, uint16(0)), ProtocolError},
	})
	t.Run("QoS 0 has none", func(t *testing.T) { // [MQTT-2.2.1-2]
		p := accept[*Publish](t, from311, pk(0x30, "t", uint16(7)))
		if p.PacketID != 0 || !bytes.Equal(p.Payload, []byte{0, 7}) {
			t.Errorf("%+v", p)
		}
		if b := AppendPublish(nil, V311, &PublishOut{Topic: "t", PacketID: 7}); !bytes.Equal(b, pk(0x30, "t")) {
			t.Errorf("% x", b)
		}
	})
	t.Run("not left over", func(t *testing.T) {
		d := from5
		for _, b := range [][]byte{
			pk(0x35, "t", uint16(7), AppendByteProp(nil, PropPayloadFormat, 1), "payload"),
			publishPk("u", nil),
		} {
			p, _, err := d.Next(b)
			if err != nil {
				t.Fatal(err)
			}
			if q := p.(*Publish); b[0] == 0x30 && !reflect.DeepEqual(*q, Publish{Topic: "u"}) {
				t.Errorf("%+v", q)
			}
		}
	})
}

func TestForward(t *testing.T) {
	alias := AppendUint16Prop(nil, PropTopicAlias, 3)
	expiry := AppendUint32Prop(nil, PropMessageExpiry, 77)
	subID := AppendVarintProp(nil, PropSubscriptionID, 300)
	user := AppendUserProp(AppendUserProp(nil, "k", "2"), "k", "1") // [MQTT-3.3.2-18]
	text := AppendStringProp(AppendByteProp(nil, PropPayloadFormat, 1), PropContentType, "c")
	join := func(parts ...Props) Props { return bytes.Join(toBytes(parts), nil) }
	tests := []struct {
		name     string
		in, want Props
		expiry   bool
		shares   bool
	}{
		{"nothing", nil, nil, false, false},
		{"all", join(text, user), join(text, user), false, true},
		{"alias alone", alias, nil, false, false},
		{"alias first", join(alias, text), text, false, true},
		{"alias last", join(text, alias), text, false, true},
		{"both ends", join(alias, expiry, text, user, subID), join(text, user), true, true},
		{"in the middle", join(text, expiry, user), join(text, user), true, false},
		{"everywhere", join(alias, text, expiry, user, subID, text), join(text, user, text), true, false},
		{"expiry alone", expiry, nil, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &Publish{Props: tt.in}
			for range 2 { // the second time reuses the buffer
				got, seconds, has := p.Forward()
				if !bytes.Equal(got, tt.want) || has != tt.expiry || has != (seconds == 77) {
					t.Fatalf("got % x, %d, %v; want % x", got, seconds, has, tt.want)
				}
				if shares := len(got) > 0 && inside(tt.in, got); shares != tt.shares {
					t.Errorf("shares memory: %v", shares)
				}
			}
			if n := testing.AllocsPerRun(10, func() { p.Forward() }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
	t.Run("large buffer is not kept", func(t *testing.T) {
		p := &Publish{Props: join(AppendUserProp(nil, "k", strings.Repeat("v", 1000)), alias, user)}
		if props, _, _ := p.Forward(); len(props) != len(p.Props)-len(alias) || p.kept != nil {
			t.Errorf("%d bytes, keeps %d", len(props), cap(p.kept))
		}
	})
}

func toBytes(parts []Props) [][]byte {
	all := make([][]byte, len(parts))
	for i, p := range parts {
		all[i] = p
	}
	return all
}

// inside tells whether part shares whole's memory.
func inside(whole, part Props) bool {
	for i := range whole {
		if &whole[i] == &part[0] {
			return true
		}
	}
	return false
}

func TestAppendPublish(t *testing.T) {
	forwarded := AppendUserProp(nil, "k", "v")
	tests := []struct {
		name string
		v    Version
		p    PublishOut
		want []byte
	}{
		{"QoS 0", V311, PublishOut{Topic: "t", Payload: []byte("x")}, pk(0x30, "t", []byte("x"))},
		{"QoS 1 DUP retain", V311, PublishOut{Topic: "t", QoS: 1, PacketID: 258, Dup: true, Retain: true}, pk(0x3b, "t", 1, 2)},
		{"no properties before 5.0", V311, PublishOut{Topic: "t", TopicAlias: 1, SubscriptionID: 1, HasExpiry: true, Props: forwarded}, pk(0x30, "t")},
		{"5.0", V50, PublishOut{Topic: "t"}, pk(0x30, "t", 0)}, // [MQTT-2.2.2-1]
		{"expiry 0", V50, PublishOut{Topic: "t", HasExpiry: true}, pk(0x30, "t", AppendUint32Prop(nil, PropMessageExpiry, 0))},
		{"alias", V50, PublishOut{TopicAlias: 5}, pk(0x30, "", AppendUint16Prop(nil, PropTopicAlias, 5))},
		{"subscription identifier", V50, PublishOut{Topic: "t", SubscriptionID: 128}, pk(0x30, "t", AppendVarintProp(nil, PropSubscriptionID, 128))},
		{"all", V50, PublishOut{Topic: "t", QoS: 2, PacketID: 1, HasExpiry: true, Expiry: 9, TopicAlias: 5, SubscriptionID: 1, Props: forwarded, Payload: []byte("x")},
			pk(0x34, "t", uint16(1), append(AppendVarintProp(AppendUint16Prop(AppendUint32Prop(nil, PropMessageExpiry, 9), PropTopicAlias, 5), PropSubscriptionID, 1), forwarded...), []byte("x"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := AppendPublish([]byte("before"), tt.v, &tt.p)
			if !bytes.Equal(got[6:], tt.want) {
				t.Errorf("got  % x\nwant % x", got[6:], tt.want)
			}
			if n := SizePublish(tt.v, &tt.p); n != len(tt.want) {
				t.Errorf("SizePublish = %d, want %d", n, len(tt.want))
			}
			accept[*Publish](t, Decoder{Version: tt.v, FromServer: true}, got[6:])
		})
	}
}

func TestSetPacketID(t *testing.T) {
	for _, payload := range []int{0, 200, 20_000} {
		b := AppendPublish(nil, V50, &PublishOut{Topic: "a/b", QoS: 1, Payload: make([]byte, payload)})
		SetPacketID(b, 0xabcd)
		if p := accept[*Publish](t, to5, b); p.PacketID != 0xabcd || len(p.Payload) != payload {
			t.Errorf("%d bytes: id %x", payload, p.PacketID)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("QoS 0 does not panic")
		}
	}()
	SetPacketID(pk(0x30, "t"), 1)
}
