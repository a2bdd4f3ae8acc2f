package packet

import (
	"reflect"
	"testing"
)

func sub(v Version, filter string, options int) []byte {
	if v == V50 {
		return pk(0x82, uint16(1), 0, filter, options)
	}
	return pk(0x82, uint16(1), filter, options)
}

// 5.0: [MQTT-3.8.3-2] [MQTT-3.8.3-4] [MQTT-3.8.3-5] [MQTT-3.10.3-2]; 3.1.1:
// [MQTT-3.8.3-3] [MQTT-3-8.3-4] [MQTT-3.10.3-2]
func TestSubscribe(t *testing.T) {
	refuseAll(t, []refusal{
		{"no filter 3.1.1", from311, pk(0x82, uint16(1)), ProtocolError},
		{"no filter 5.0", from5, pk(0x82, uint16(1), 0), ProtocolError},
		{"no properties 5.0", from5, pk(0x82, uint16(1)), MalformedPacket},
		{"QoS 3 3.1", from31, sub(V31, "t", 3), ProtocolError},
		{"QoS 3 3.1.1", from311, sub(V311, "t", 3), ProtocolError},
		{"QoS 3 5.0", from5, sub(V50, "t", 3), ProtocolError},
		{"reserved bit 2 3.1.1", from311, sub(V311, "t", 0x04), MalformedPacket},
		{"reserved bit 7 3.1.1", from311, sub(V311, "t", 0x81), MalformedPacket},
		{"reserved bit 6 5.0", from5, sub(V50, "t", 0x40), MalformedPacket},
		{"reserved bit 7 5.0", from5, sub(V50, "t", 0x80), MalformedPacket},
		{"retain handling 3", from5, sub(V50, "t", 0x30), ProtocolError},
		{"no local on a shared subscription", from5, sub(V50, "$share/g/t", 0x04), ProtocolError},
		{"second filter", from5, pk(0x82, uint16(1), 0, "t", 0, "u", 0x40), MalformedPacket},
		{"second filter cut", from5, pk(0x82, uint16(1), 0, "t", 0, "u"), MalformedPacket},
		{"unsubscribe no filter 3.1.1", from311, pk(0xa2, uint16(1)), ProtocolError},
		{"unsubscribe no filter 5.0", from5, pk(0xa2, uint16(1), 0), ProtocolError},
		{"unsubscribe filter cut", from5, pk(0xa2, uint16(1), 0, "t", 0), MalformedPacket},
	})
	t.Run("all options", func(t *testing.T) {
		for options := range 0x30 {
			if options&3 == 3 {
				continue
			}
			want := Filter{
				Filter: "t", QoS: byte(options & 3), NoLocal: options&4 != 0, RetainAsPublished: options&8 != 0, RetainHandling: byte(options >> 4),
			}
			if p := accept[*Subscribe](t, from5, sub(V50, "t", options)); !reflect.DeepEqual(p.Filters, []Filter{want}) {
				t.Errorf("options %x: %+v", options, p.Filters)
			}
		}
	})
	t.Run("no local on a filter that only looks shared", func(t *testing.T) {
		accept[*Subscribe](t, from5, sub(V50, "$shared/g/t", 0x04))
	})
	t.Run("3.1 does not use the upper bits", func(t *testing.T) {
		if p := accept[*Subscribe](t, from31, sub(V31, "t", 0xf9)); p.Filters[0] != (Filter{Filter: "t", QoS: 1}) {
			t.Errorf("%+v", p.Filters)
		}
	})
	t.Run("options of 5.0 are not sent before", func(t *testing.T) {
		b := Append(nil, V311, &Subscribe{PacketID: 1, Filters: []Filter{{Filter: "t", QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}}})
		if string(b) != string(sub(V311, "t", 1)) {
			t.Errorf("% x", b)
		}
	})
	t.Run("the filter's own grammar is not checked here", func(t *testing.T) {
		accept[*Subscribe](t, from5, sub(V50, "", 0))
		accept[*Subscribe](t, from5, sub(V50, "a#", 0))
		accept[*Unsubscribe](t, from5, pk(0xa2, uint16(1), 0, "a+b"))
	})
}

// 5.0: [MQTT-3.9.3-1] [MQTT-3.11.3-1]; 3.1.1: [MQTT-3.9.3-1] [MQTT-3.9.3-2]
func TestSuback(t *testing.T) {
	codes := []ReasonCode{GrantedQoS2, NotAuthorized, GrantedQoS0, QuotaExceeded}
	for _, tt := range []struct {
		name string
		v    Version
		p    Packet
		want []byte
	}{
		{"3.1", V31, &Suback{PacketID: 7, Codes: codes}, pk(0x90, uint16(7), 2, 0x80, 0, 0x80)},
		{"3.1.1", V311, &Suback{PacketID: 7, Codes: codes}, pk(0x90, uint16(7), 2, 0x80, 0, 0x80)},
		{"5.0", V50, &Suback{PacketID: 7, Codes: codes}, pk(0x90, uint16(7), 0, 2, 0x87, 0, 0x97)},
		{"unsubscribe 3.1.1", V311, &Unsuback{PacketID: 7, Codes: codes}, pk(0xb0, uint16(7))},
		{"unsubscribe 5.0", V50, &Unsuback{PacketID: 7, Codes: []ReasonCode{0x11, 0}}, pk(0xb0, uint16(7), 0, 0x11, 0)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Append(nil, tt.v, tt.p); string(got) != string(tt.want) {
				t.Errorf("got % x, want % x", got, tt.want)
			}
		})
	}
	refuseAll(t, []refusal{
		{"no code 3.1.1", to311, pk(0x90, uint16(7)), ProtocolError},
		{"no code 5.0", to5, pk(0x90, uint16(7), 0), ProtocolError},
		{"unsubscribe no code 5.0", to5, pk(0xb0, uint16(7), 0), ProtocolError},
		{"unsubscribe code 3.1.1", to311, pk(0xb0, uint16(7), 0), MalformedPacket},
	})
}
