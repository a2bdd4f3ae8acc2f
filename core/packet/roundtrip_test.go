package packet

import (
	"fmt"
	"reflect"
	"testing"
)

// eachSample calls fn with every sample packet and a decoder that expects it.
func eachSample(t *testing.T, fn func(t *testing.T, d Decoder, p Packet)) {
	for _, v := range []Version{V31, V311, V50} {
		for _, fromServer := range []bool{false, true} {
			all := samples(v, fromServer)
			if !fromServer {
				all = append(all, connects(v)...)
			}
			for i, p := range all {
				d := Decoder{Version: v, FromServer: fromServer}
				if p.Type() == TypeConnect {
					d.Version = 0
				}
				t.Run(fmt.Sprintf("%v/%v/%d", v, p.Type(), i), func(t *testing.T) { fn(t, d, p) })
			}
		}
	}
}

func versionOf(d Decoder, p Packet) Version {
	if c, ok := p.(*Connect); ok {
		return c.Version
	}
	return d.Version
}

// TestRoundTrip: what is encoded is decoded to the same, and nothing after it is
// taken.
func TestRoundTrip(t *testing.T) {
	eachSample(t, func(t *testing.T, d Decoder, p Packet) {
		b := Append([]byte("before"), versionOf(d, p), p)[6:]
		if got := accept[Packet](t, d, b); !reflect.DeepEqual(got, p) {
			t.Errorf("got  %+v\nwant %+v", got, p)
		}
		_, n, err := d.Next(append(b, 0xff, 0xff))
		if err != nil || n != len(b) {
			t.Errorf("with more behind: %d, %v", n, err)
		}
	})
}

// TestTruncation: the start of a valid packet asks for more, and never is one.
func TestTruncation(t *testing.T) {
	eachSample(t, func(t *testing.T, d Decoder, p Packet) {
		b := Append(nil, versionOf(d, p), p)
		for i := range b {
			d := d
			if p, n, err := d.Next(b[:i]); p != nil || n != 0 || err != nil {
				t.Fatalf("first %d bytes: %v, %d, %v", i, p, n, err)
			}
		}
	})
}

// TestShortLength: a packet whose Remaining Length was made to end early is
// refused, or is another valid packet that is encoded with that length.
func TestShortLength(t *testing.T) {
	eachSample(t, func(t *testing.T, d Decoder, p Packet) {
		v := versionOf(d, p)
		b := Append(nil, v, p)
		_, head, _ := varint(b[1:])
		body := b[1+head:]
		for i := range body {
			d := d
			short := append(appendVarint([]byte{b[0]}, i), body[:i]...)
			got, n, err := d.Next(short)
			if err == nil && (n != len(short) || !shorter(got, v)) {
				t.Fatalf("% x is %+v, %d bytes", short, got, n)
			}
		}
	})
}

// shorter tells whether a packet may end before its last field.
func shorter(p Packet, v Version) bool {
	switch p := p.(type) {
	case *Publish: // less payload
		return true
	case *Ack, *Disconnect, *Auth: // code and properties may be missing
		return v == V50
	case *Suback: // fewer codes
		return len(p.Codes) > 0
	case *Unsuback:
		return v == V50 && len(p.Codes) > 0
	case *Subscribe: // fewer filters
		return len(p.Filters) > 0
	case *Unsubscribe:
		return len(p.Filters) > 0
	case *Connect: // no credentials (3.1 §3.1)
		return v == V31
	default:
		return false
	}
}

// TestLongLength: bytes after the last field are refused.
func TestLongLength(t *testing.T) {
	eachSample(t, func(t *testing.T, d Decoder, p Packet) {
		v := versionOf(d, p)
		b := Append(nil, v, p)
		_, head, _ := varint(b[1:])
		long := append(appendVarint([]byte{b[0]}, len(b)-head), b[1+head:]...)
		long = append(long, 0x77)
		got, _, err := d.Next(long)
		if pub, ok := got.(*Publish); ok && len(pub.Payload) > 0 && pub.Payload[len(pub.Payload)-1] == 0x77 {
			return // more payload
		}
		if err == nil {
			t.Errorf("% x is %+v", long, got)
		}
	})
}

// TestLyingLength: each two-byte length inside a packet, made too large, is
// refused.
func TestLyingLength(t *testing.T) {
	refuseAll(t, []refusal{
		{"topic name", from311, pk(0x30, uint16(9), []byte("t")), MalformedPacket},
		{"topic name and packet identifier", from311, pk(0x32, "t", 0), MalformedPacket},
		{"no topic name", from5, pk(0x30), MalformedPacket},
		{"half a length", from5, pk(0x30, 0), MalformedPacket},
		{"property length", from5, pk(0x30, "t", 5, 1, 1), MalformedPacket},
		{"property length missing", from5, pk(0x30, "t"), MalformedPacket},
		{"property length not minimal", from5, pk(0x30, "t", 0x80, 0), MalformedPacket},
		{"property length of five bytes", from5, pk(0x30, "t", 0x80, 0x80, 0x80, 0x80, 1), MalformedPacket},
		{"property value", from5, publishPk("t", Props{2, 0, 0}), MalformedPacket},
		{"property string", from5, publishPk("t", Props{3, 0, 5, 'a'}), MalformedPacket},
		{"property string length", from5, publishPk("t", Props{3, 0}), MalformedPacket},
		{"user property key", from5, publishPk("t", Props{38, 0, 5, 'a'}), MalformedPacket},
		{"user property without value", from5, publishPk("t", Props{38, 0, 1, 'a'}), MalformedPacket},
		{"user property value", from5, publishPk("t", Props{38, 0, 1, 'a', 0, 9, 'b'}), MalformedPacket},
		{"subscription identifier", from5, pk(0x82, uint16(1), Props{11, 0x80}, "t", 0), MalformedPacket},
		{"subscription identifier not minimal", from5, pk(0x82, uint16(1), Props{11, 0x81, 0}, "t", 0), MalformedPacket},
		{"filter", from311, pk(0x82, uint16(1), uint16(9), []byte("t"), 0), MalformedPacket},
		{"filter without options", from311, pk(0x82, uint16(1), "t"), MalformedPacket},
		{"unsubscribe filter", from311, pk(0xa2, uint16(1), uint16(9), []byte("t")), MalformedPacket},
		{"client identifier", fresh, connectPk(V311, 2, uint16(9), []byte("c")), MalformedPacket},
		{"password", fresh, connectPk(V311, 0xc2, "c", "u", uint16(9), []byte("p")), MalformedPacket},
		{"protocol name", fresh, pk(0x10, uint16(9), []byte("MQTT"), 4), MalformedPacket},
	})
}
