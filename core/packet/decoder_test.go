package packet

import (
	"bytes"
	"testing"
)

// [MQTT-3.1.0-1] [MQTT-3.1.0-2]
func TestFirstPacket(t *testing.T) {
	for kind := TypeConnack; kind <= TypeAuth; kind++ {
		t.Run("not CONNECT but "+kind.String(), func(t *testing.T) {
			d := Decoder{}
			refuse(t, &d, []byte{byte(kind) << 4}, ProtocolError) // as soon as one byte is there
		})
	}
	for name, d := range versions {
		t.Run("second CONNECT "+name, func(t *testing.T) { refuse(t, &d, []byte{0x10}, ProtocolError) })
	}
	t.Run("CONNECT sets the version", func(t *testing.T) {
		for _, v := range []Version{V31, V311, V50} {
			var d Decoder
			b := Append(nil, v, &Connect{ClientID: "c"})
			if _, _, err := d.Next(b); err != nil || d.Version != v {
				t.Fatalf("version is %d (%v), want %d", d.Version, err, v)
			}
			refuse(t, &d, b, ProtocolError)
		}
	})
	t.Run("client before its version is known", func(t *testing.T) {
		refuse(t, &Decoder{FromServer: true}, []byte{0x20}, ProtocolError)
	})
}

// flagsOf is what the flags of a type have to be (5.0 §2.1.3).
var flagsOf = map[Type]byte{
	TypeConnack: 0, TypePuback: 0, TypePubrec: 0, TypePubrel: 2, TypePubcomp: 0, TypeSubscribe: 2, TypeSuback: 0,
	TypeUnsubscribe: 2, TypeUnsuback: 0, TypePingreq: 0, TypePingresp: 0, TypeDisconnect: 0, TypeAuth: 0,
}

func sentBy(t Type, fromServer bool) bool {
	switch t {
	case TypeConnack, TypeSuback, TypeUnsuback, TypePingresp:
		return fromServer
	case TypeSubscribe, TypeUnsubscribe, TypePingreq:
		return !fromServer
	default:
		return true
	}
}

// [MQTT-2.1.3-1] [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.14.1-1]
// [MQTT-3.15.1-1]; 3.1.1: [MQTT-2.2.2-1] [MQTT-2.2.2-2]
func TestReservedFlags(t *testing.T) {
	for _, d := range []Decoder{from311, from5, to311, to5} {
		for kind, want := range flagsOf {
			if !sentBy(kind, d.FromServer) || d.Version == V311 && (kind == TypeAuth || kind == TypeDisconnect && d.FromServer) {
				continue
			}
			name := d.Version.String() + " " + kind.String()
			if d.FromServer {
				name += " from a server"
			}
			t.Run(name, func(t *testing.T) {
				for flags := range byte(16) {
					d := d
					first := byte(kind)<<4 | flags
					if flags != want {
						refuse(t, &d, []byte{first}, MalformedPacket)
					} else if _, n, err := d.Next([]byte{first}); n != 0 || err != nil {
						t.Errorf("flags %x: %v", flags, err)
					}
				}
			})
		}
	}
	t.Run("CONNECT", func(t *testing.T) {
		for flags := byte(1); flags < 16; flags++ {
			d := Decoder{}
			refuse(t, &d, []byte{0x10 | flags}, MalformedPacket)
		}
	})
	t.Run("3.1 sends DUP", func(t *testing.T) {
		for _, first := range []byte{0x6a, 0x8a, 0xaa} {
			d := from31
			if _, _, err := d.Next([]byte{first}); err != nil {
				t.Errorf("%x: %v", first, err)
			}
		}
		accept[*Pingreq](t, from31, []byte{0xc1, 0}) // "not used"
	})
	t.Run("3.1 needs QoS 1", func(t *testing.T) {
		for _, first := range []byte{0x60, 0x80, 0xa4} {
			d := from31
			refuse(t, &d, []byte{first}, MalformedPacket)
		}
	})
}

func TestPacketType(t *testing.T) {
	for name, d := range versions {
		t.Run("type 0 "+name, func(t *testing.T) { refuse(t, &d, []byte{0x00}, MalformedPacket) })
	}
	refuseAll(t, []refusal{
		{"AUTH before 5.0", from311, []byte{0xf0}, MalformedPacket},
		{"AUTH before 5.0 from a server", to31, []byte{0xf0}, MalformedPacket},
		{"CONNACK from a client", from5, []byte{0x20}, ProtocolError},
		{"SUBACK from a client", from311, []byte{0x90}, ProtocolError},
		{"UNSUBACK from a client", from5, []byte{0xb0}, ProtocolError},
		{"PINGRESP from a client", from5, []byte{0xd0}, ProtocolError},
		{"CONNECT from a server", to5, []byte{0x10}, ProtocolError},
		{"SUBSCRIBE from a server", to5, []byte{0x82}, ProtocolError},
		{"UNSUBSCRIBE from a server", to311, []byte{0xa2}, ProtocolError},
		{"PINGREQ from a server", to5, []byte{0xc0}, ProtocolError},
		{"DISCONNECT from a server before 5.0", to311, []byte{0xe0}, ProtocolError},
	})
}

// [MQTT-1.5.5-1]
func TestRemainingLength(t *testing.T) {
	refuseAll(t, []refusal{
		{"fifth byte 3.1", from31, []byte{0x30, 0x80, 0x80, 0x80, 0x80}, MalformedPacket},
		{"fifth byte 3.1.1", from311, []byte{0x30, 0x80, 0x80, 0x80, 0x80}, MalformedPacket},
		{"fifth byte 5.0", from5, []byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x7f}, MalformedPacket},
		{"fifth byte CONNECT", fresh, []byte{0x10, 0xff, 0xff, 0xff, 0x80}, MalformedPacket},
		{"two bytes for 0", from5, []byte{0xc0, 0x80, 0x00}, MalformedPacket},
		{"two bytes for 127", from5, []byte{0x30, 0xff, 0x00}, MalformedPacket},
		{"four bytes for 5", from5, []byte{0x30, 0x85, 0x80, 0x80, 0x00}, MalformedPacket},
	})
	t.Run("non-minimal CONNECT", func(t *testing.T) {
		for _, v := range []Version{V311, V50} {
			b := Append(nil, v, &Connect{ClientID: "c"})
			b = append([]byte{b[0], b[1] | 0x80, 0}, b[2:]...)
			if v == V50 {
				refuse(t, &Decoder{}, b, MalformedPacket)
			} else { // 3.1.1 does not forbid it, and clients exist
				accept[*Connect](t, fresh, b)
			}
		}
	})
	t.Run("non-minimal 3.1.1", func(t *testing.T) {
		accept[*Pingreq](t, from311, []byte{0xc0, 0x80, 0x80, 0x80, 0x00})
	})
	t.Run("all sizes", func(t *testing.T) {
		for _, n := range []int{127, 128, 16_383, 16_384, 2_097_151, 2_097_152} {
			b := Append(nil, V311, &Publish{Topic: "t", Payload: make([]byte, n-3)})
			if want := 1 + sizeVarint(n) + n; len(b) != want {
				t.Fatalf("%d bytes, want %d", len(b), want)
			}
			if p := accept[*Publish](t, from311, b); len(p.Payload) != n-3 {
				t.Fatalf("payload of %d bytes, want %d", len(p.Payload), n-3)
			}
		}
	})
	t.Run("not yet complete", func(t *testing.T) {
		d := from5
		for _, b := range [][]byte{{}, {0x30}, {0x30, 0x80}, {0x30, 0x80, 0x80, 0x80}, {0x30, 0x03, 0, 1}} {
			if p, n, err := d.Next(b); p != nil || n != 0 || err != nil {
				t.Errorf("Next(% x) = %v, %d, %v", b, p, n, err)
			}
		}
	})
}

// [MQTT-3.2.2-15] seen by the server: refused before it is there.
func TestMaximumPacketSize(t *testing.T) {
	exact := Append(nil, V50, &Publish{Topic: "t", Payload: make([]byte, 200)})
	t.Run("exact", func(t *testing.T) {
		accept[*Publish](t, Decoder{Version: V50, MaxSize: uint32(len(exact))}, exact)
	})
	for _, v := range []Version{V31, V311, V50} {
		t.Run("one byte more "+v.String(), func(t *testing.T) {
			d := Decoder{Version: v, MaxSize: uint32(len(exact)) - 1}
			refuse(t, &d, exact[:3], PacketTooLarge) // the header is enough
		})
	}
	t.Run("CONNECT tells the version to answer in", func(t *testing.T) {
		for _, v := range []Version{V31, V311, V50} {
			d := Decoder{MaxSize: 20}
			b := Append(nil, v, &Connect{ClientID: "a client identifier"})
			refuse(t, &d, b[:12], PacketTooLarge)
			if d.Version != v {
				t.Errorf("version is %d, want %d", d.Version, v)
			}
			d = Decoder{MaxSize: 20}
			refuse(t, &d, b[:2], PacketTooLarge)
			if d.Version != V311 {
				t.Errorf("version is %d, want that of silence", d.Version)
			}
		}
	})
	t.Run("256 MiB", func(t *testing.T) {
		d := from311
		if _, n, err := d.Next([]byte{0x30, 0xff, 0xff, 0xff, 0x7f}); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// TestStream: packets that arrive one byte at a time and packets that arrive
// together are the same packets.
func TestStream(t *testing.T) {
	var b []byte
	var want [][]byte
	for _, p := range samples(V50, false) {
		one := Append(nil, V50, p)
		want, b = append(want, one), append(b, one...)
	}
	t.Run("together", func(t *testing.T) {
		var d Decoder
		for i, rest := 0, b; len(rest) > 0; i++ {
			p, n, err := d.Next(rest)
			if err != nil || n == 0 {
				t.Fatal(n, err)
			}
			if got := Append(nil, V50, p); !bytes.Equal(got, want[i]) {
				t.Errorf("packet %d: got % x, want % x", i, got, want[i])
			}
			rest = rest[n:]
		}
	})
	t.Run("one byte at a time", func(t *testing.T) {
		var d Decoder
		var pending []byte
		i := 0
		for _, c := range b {
			pending = append(pending, c)
			p, n, err := d.Next(pending)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				continue
			}
			if got := Append(nil, V50, p); !bytes.Equal(got, want[i]) || n != len(pending) {
				t.Errorf("packet %d: got % x, want % x", i, got, want[i])
			}
			pending, i = nil, i+1
		}
		if i != len(want) || len(pending) > 0 {
			t.Errorf("%d packets, want %d; %d bytes left", i, len(want), len(pending))
		}
	})
}

// TestBorrow: a PUBLISH shares the buffer, everything rare does not.
func TestBorrow(t *testing.T) {
	props := AppendStringProp(nil, PropContentType, "text")
	b := Append(nil, V50, &Publish{Topic: "topic", Props: props, Payload: []byte("payload")})
	p := accept[*Publish](t, from5, b)
	clear(b)
	if p.Topic != "\x00\x00\x00\x00\x00" || bytes.ContainsFunc(p.Payload, func(r rune) bool { return r != 0 }) {
		t.Errorf("%+v does not borrow", p)
	}
	b = Append(nil, V50, &Subscribe{PacketID: 1, Filters: []Filter{{Filter: "a/b"}}, Props: AppendVarintProp(nil, PropSubscriptionID, 7)})
	s := accept[*Subscribe](t, from5, b)
	clear(b)
	if id, _ := s.Props.Varint(PropSubscriptionID); s.Filters[0].Filter != "a/b" || id != 7 {
		t.Errorf("%+v borrows", s)
	}
	t.Run("release", func(t *testing.T) {
		d := from5
		b := Append(nil, V50, &Publish{Topic: "topic", Payload: []byte("payload")})
		if _, _, err := d.Next(b); err != nil {
			t.Fatal(err)
		}
		d.Release()
		if d.publish.Topic != "" || d.publish.Payload != nil || d.Version != V50 {
			t.Errorf("keeps %+v", d)
		}
	})
}

func TestNames(t *testing.T) {
	if got := TypeUnsuback.String() + " " + Type(0).String(); got != "UNSUBACK reserved" {
		t.Error(got)
	}
	for v, want := range map[Version]string{V31: "3.1", V311: "3.1.1", V50: "5.0", 0: "unknown"} {
		if v.String() != want {
			t.Errorf("version %d is %s", v, v)
		}
	}
}

func TestError(t *testing.T) {
	d := from5
	_, _, err := d.Next([]byte{0x36})
	if want := "Malformed Packet: QoS is 3 [MQTT-3.3.1-4]"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
