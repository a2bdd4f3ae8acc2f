package packet

import (
	"encoding/binary"
	"errors"
	"testing"
)

// pk builds a packet with a correct length from raw bytes, strings and blocks
// of properties, which get their lengths, and integers by their size.
func pk(first byte, parts ...any) []byte {
	var body []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			body = appendString(body, p)
		case Props:
			body = appendProps(body, p)
		case []byte:
			body = append(body, p...)
		case uint16:
			body = binary.BigEndian.AppendUint16(body, p)
		case int:
			body = append(body, byte(p))
		default:
			panic("pk: type")
		}
	}
	return append(appendVarint([]byte{first}, len(body)), body...)
}

// connectPk builds a CONNECT up to its payload, which is given; in 5.0 the
// payload begins with the properties.
func connectPk(v Version, flags int, payload ...any) []byte {
	name := "MQTT"
	if v == V31 {
		name = "MQIsdp"
	}
	return pk(0x10, append([]any{name, int(v), flags, uint16(60)}, payload...)...)
}

// publishPk builds a PUBLISH of QoS 0 in 5.0.
func publishPk(topic string, p Props, payload ...any) []byte {
	return pk(0x30, append([]any{topic, p}, payload...)...)
}

// A refusal is bytes that have to be refused with a code.
type refusal struct {
	name string
	d    Decoder
	in   []byte
	code ReasonCode
}

// Decoders for refusals.
var (
	fresh   = Decoder{}
	from31  = Decoder{Version: V31}
	from311 = Decoder{Version: V311}
	from5   = Decoder{Version: V50}
	to31    = Decoder{Version: V31, FromServer: true}
	to311   = Decoder{Version: V311, FromServer: true}
	to5     = Decoder{Version: V50, FromServer: true}
)

// versions are the decoders of the server for all versions.
var versions = map[string]Decoder{"3.1": from31, "3.1.1": from311, "5.0": from5}

func refuseAll(t *testing.T, tests []refusal) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Helper()
			d := tt.d
			refuse(t, &d, tt.in, tt.code)
		})
	}
}

func refuse(t *testing.T, d *Decoder, in []byte, code ReasonCode) {
	t.Helper()
	p, n, err := d.Next(in)
	var e *Error
	if p != nil || n != 0 || !errors.As(err, &e) {
		t.Fatalf("Next(% x) = %+v, %d, %v; want an *Error", in, p, n, err)
	}
	if e.Code != code {
		t.Fatalf("Next(% x) is refused with %v; want %v", in, e, code)
	}
}

// accept decodes one packet of type P, which takes all of in.
func accept[P Packet](t *testing.T, d Decoder, in []byte) P {
	t.Helper()
	got, n, err := d.Next(in)
	if err != nil || n != len(in) {
		t.Fatalf("Next(% x) = %+v, %d, %v", in, got, n, err)
	}
	p, ok := got.(P)
	if !ok {
		t.Fatalf("Next(% x) is a %T", in, got)
	}
	return p
}
