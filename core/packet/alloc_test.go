package packet

import "testing"

// hot are the PUBLISHes whose cost matters.
var hot = []struct {
	name string
	v    Version
	out  PublishOut
}{
	{"3.1.1 QoS 0", V311, PublishOut{Topic: "site/42/line/7/temperature", Payload: make([]byte, 64)}},
	{"3.1.1 QoS 1", V311, PublishOut{Topic: "site/42/line/7/temperature", QoS: 1, PacketID: 7, Payload: make([]byte, 64)}},
	{"5.0 QoS 0", V50, PublishOut{Topic: "site/42/line/7/temperature", Payload: make([]byte, 64)}},
	{"5.0 QoS 1 properties", V50, PublishOut{
		Topic: "site/42/line/7/temperature", QoS: 1, PacketID: 7, Payload: make([]byte, 64), TopicAlias: 3, HasExpiry: true, Expiry: 60,
		Props: AppendUserProp(AppendStringProp(nil, PropContentType, "application/json"), "trace", "0123456789abcdef"),
	}},
}

// TestNoAllocation: nothing is allocated per PUBLISH and acknowledgement.
func TestNoAllocation(t *testing.T) {
	for _, tt := range hot {
		t.Run(tt.name, func(t *testing.T) {
			b := AppendPublish(nil, tt.v, &tt.out)
			d := Decoder{Version: tt.v}
			if n := testing.AllocsPerRun(100, func() {
				p, _, err := d.Next(b)
				if err != nil {
					t.Fatal(err)
				}
				p.(*Publish).Forward()
			}); n != 0 {
				t.Errorf("decoding: %v allocations", n)
			}
			buf := make([]byte, 0, 1000)
			if n := testing.AllocsPerRun(100, func() {
				buf = AppendPublish(buf[:0], tt.v, &tt.out)
			}); n != 0 {
				t.Errorf("encoding: %v allocations", n)
			}
		})
	}
	t.Run("acknowledgement", func(t *testing.T) {
		buf := make([]byte, 0, 100)
		d := Decoder{Version: V50}
		if n := testing.AllocsPerRun(100, func() {
			buf = AppendAck(buf[:0], V50, &Ack{Kind: TypePuback, PacketID: 7, Code: NoMatchingSubscribers})
			if _, _, err := d.Next(buf); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
	t.Run("ping", func(t *testing.T) {
		d := Decoder{Version: V311}
		ping := []byte{0xc0, 0}
		if n := testing.AllocsPerRun(100, func() { _, _, _ = d.Next(ping) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func BenchmarkDecodePublish(b *testing.B) {
	for _, tt := range hot {
		b.Run(tt.name, func(b *testing.B) {
			in := AppendPublish(nil, tt.v, &tt.out)
			d := Decoder{Version: tt.v}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := d.Next(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendPublish(b *testing.B) {
	for _, tt := range hot {
		b.Run(tt.name, func(b *testing.B) {
			buf := make([]byte, 0, 1000)
			b.ReportAllocs()
			for b.Loop() {
				buf = AppendPublish(buf[:0], tt.v, &tt.out)
			}
		})
	}
}

func BenchmarkAck(b *testing.B) {
	for _, v := range []Version{V311, V50} {
		d := Decoder{Version: v}
		buf := make([]byte, 0, 100)
		b.Run(v.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = AppendAck(buf[:0], v, &Ack{Kind: TypePuback, PacketID: 7})
				if _, _, err := d.Next(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkForward(b *testing.B) {
	p := Publish{Props: append(AppendUint32Prop(AppendByteProp(nil, PropPayloadFormat, 1), PropMessageExpiry, 9), hot[3].out.Props...)}
	b.ReportAllocs()
	for b.Loop() {
		p.Forward()
	}
}
