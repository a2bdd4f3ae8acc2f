package packet

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// 5.0 §1.5.5, table 1-1 [MQTT-1.5.5-1]
func TestVarint(t *testing.T) {
	for _, tt := range []struct {
		v    int
		wire []byte
	}{
		{0, []byte{0x00}},
		{127, []byte{0x7f}},
		{128, []byte{0x80, 0x01}},
		{16_383, []byte{0xff, 0x7f}},
		{16_384, []byte{0x80, 0x80, 0x01}},
		{2_097_151, []byte{0xff, 0xff, 0x7f}},
		{2_097_152, []byte{0x80, 0x80, 0x80, 0x01}},
		{268_435_455, []byte{0xff, 0xff, 0xff, 0x7f}},
	} {
		if got := appendVarint(nil, tt.v); !bytes.Equal(got, tt.wire) || sizeVarint(tt.v) != len(tt.wire) {
			t.Errorf("%d is % x of size %d, want % x", tt.v, got, sizeVarint(tt.v), tt.wire)
		}
		v, n, ok := varint(append(bytes.Clone(tt.wire), 0xff))
		if int(v) != tt.v || n != len(tt.wire) || !ok {
			t.Errorf("% x is %d of size %d, %v", tt.wire, v, n, ok)
		}
		for i := range tt.wire { // cut
			if _, _, ok := varint(tt.wire[:i]); ok {
				t.Errorf("% x is whole", tt.wire[:i])
			}
		}
	}
	for _, wire := range [][]byte{nil, {0x80, 0}, {0xff, 0}, {0x80, 0x80, 0}, {0xff, 0xff, 0xff, 0}, {0xff, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff, 0x7f}} {
		if v, _, ok := varint(wire); ok {
			t.Errorf("% x is %d", wire, v)
		}
	}
}

// TestReaderSticks: after the first fault nothing is read any more and the
// first fault is the one that is told.
func TestReaderSticks(t *testing.T) {
	r := reader{b: []byte{0, 2, 'a', 'b', 0, 9, 'c', 1, 2, 3}}
	if s := r.string(); s != "ab" || r.err != nil {
		t.Fatalf("%q, %v", s, r.err)
	}
	if b := r.bytes(); b != nil || r.err == nil {
		t.Fatalf("% x, %v", b, r.err)
	}
	first := r.err
	if v, w, s, b, p, id := r.byte(), r.uint16(), r.string(), r.bytes(), r.props(inWill), r.packetID(); v != 0 || w != 0 || s != "" || b != nil || p != nil || id != 0 {
		t.Errorf("%d %d %q % x % x %d after a fault", v, w, s, b, p, id)
	}
	if r.err != first || r.end() != first {
		t.Errorf("fault became %v, want %v", r.err, first)
	}
}

// TestFinish: the body is moved to make room for each size of length.
func TestFinish(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16_383, 16_384, 2_097_152} {
		body := bytes.Repeat([]byte{7}, n)
		got := finish(append(begin([]byte("before"), 0xab), body...), 6)
		want := append(appendVarint([]byte("before\xab"), n), body...)
		if !bytes.Equal(got, want) {
			t.Errorf("body of %d bytes: %d bytes, want %d", n, len(got), len(want))
		}
	}
}

// TestPropertyTruncation cuts each property at each byte, in each place: the
// bytes that are left are never taken for a value, and what follows the
// properties is never taken for one.
func TestPropertyTruncation(t *testing.T) {
	for place, h := range holders {
		t.Run(place, func(t *testing.T) {
			for id := range PropID(len(properties)) {
				if properties[id].in&h.where == 0 || id == PropAuthData {
					continue
				}
				value := valueOf(id)
				for cut := 1; cut < len(value); cut++ {
					b := value[:cut]
					if checkProps(b, h.where) == nil {
						t.Errorf("% x is taken for % x", b, value)
					}
					if place == "AUTH" && id == PropAuthMethod {
						continue // without it the packet is another one
					}
					d := h.d
					if p, _, err := d.Next(h.build(b)); err == nil {
						t.Errorf("% x is taken for % x in %+v", b, value, p)
					}
				}
			}
		})
	}
}

// TestMutation changes each byte of each sample to a few others: what is still
// a packet is encoded to what is decoded to the same, the rest is an *Error.
func TestMutation(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	eachSample(t, func(t *testing.T, d Decoder, p Packet) {
		v := versionOf(d, p)
		b := Append(nil, v, p)
		for i := range b {
			for _, c := range []byte{0, 1, 0x7f, 0x80, 0xff, b[i] ^ 1, b[i] ^ 0x10, byte(rnd.Uint32())} {
				m := bytes.Clone(b)
				m[i] = c
				start := d
				got, n, err := start.Next(m)
				switch {
				case err != nil && (got != nil || n != 0):
					t.Fatalf("byte %d = %x: %+v, %d and %v", i, c, got, n, err)
				case err == nil && got != nil:
					first := d
					checkStable(t, first, start.Version, got)
				}
			}
		}
	})
}

// TestSizePublish: the size is exact where lengths grow by a byte.
func TestSizePublish(t *testing.T) {
	for _, v := range []Version{V31, V311, V50} {
		for _, payload := range []int{0, 1, 100, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 16_360, 16_370, 16_376, 16_377, 16_378, 16_379, 16_380, 16_384} {
			for _, props := range []int{0, 5, 115, 120, 121, 122, 123, 127, 128, 200} {
				p := PublishOut{Topic: "t/u", QoS: byte(payload % 3), PacketID: 9, Payload: make([]byte, payload), Props: make(Props, props)}
				p.HasExpiry, p.TopicAlias, p.SubscriptionID = payload%2 == 0, uint16(payload%5), uint32(props)
				if got, want := SizePublish(v, &p), len(AppendPublish(nil, v, &p)); got != want {
					t.Fatalf("%v payload %d properties %d: %d, want %d", v, payload, props, got, want)
				}
			}
		}
	}
}

// TestAppendKeepsPrefix: encoding never touches what is there, with and without
// room behind it.
func TestAppendKeepsPrefix(t *testing.T) {
	eachSample(t, func(t *testing.T, d Decoder, p Packet) {
		want := Append(nil, versionOf(d, p), p)
		for _, room := range []int{0, 1, len(want) - 1, len(want), 4 * len(want)} {
			dst := make([]byte, 3, 3+room)
			copy(dst, "abc")
			got := Append(dst, versionOf(d, p), p)
			if string(got[:3]) != "abc" || !bytes.Equal(got[3:], want) {
				t.Fatalf("room %d: % x", room, got)
			}
		}
	})
}
