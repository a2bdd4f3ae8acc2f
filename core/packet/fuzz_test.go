package packet

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

func seed(f *testing.F) {
	for _, v := range []Version{V31, V311, V50} {
		for _, fromServer := range []bool{false, true} {
			for _, p := range samples(v, fromServer) {
				f.Add(Append(nil, v, p), byte(v), fromServer)
			}
		}
		for _, p := range connects(v) {
			f.Add(Append(nil, v, p), byte(0), false)
		}
	}
}

// FuzzDecode: nothing panics or is read beyond its length, every error is an
// *Error with a reason code that may be sent, and what is decoded is encoded to
// something that is decoded to the same.
func FuzzDecode(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte, version byte, fromServer bool) {
		d := Decoder{Version: Version(version % 6), FromServer: fromServer}
		if d.Version != 0 && d.Version < V31 {
			return
		}
		start := d
		p, n, err := d.Next(b)
		switch {
		case err != nil:
			var e *Error
			if !errors.As(err, &e) || e.Code < MalformedPacket || p != nil || n != 0 {
				t.Fatalf("%v, %d, %v", p, n, err)
			}
			return
		case p == nil:
			if n != 0 {
				t.Fatalf("%d bytes of nothing", n)
			}
			return
		case n < 2 || n > len(b) || d.Version == 0:
			t.Fatalf("%+v is %d of %d bytes of version %d", p, n, len(b), d.Version)
		}
		checkStable(t, start, d.Version, p)
	})
}

func checkStable(t *testing.T, d Decoder, v Version, p Packet) {
	t.Helper()
	if pub, ok := p.(*Publish); ok {
		checkForward(t, pub)
		pub.kept = nil
	}
	once := Append(nil, v, p)
	first := d
	again, n, err := first.Next(once)
	if err != nil || n != len(once) {
		t.Fatalf("%+v is encoded as % x: %d, %v", p, once, n, err)
	}
	if !reflect.DeepEqual(again, p) {
		t.Fatalf("%+v is encoded to %+v", p, again)
	}
	if twice := Append(nil, v, again); !bytes.Equal(once, twice) {
		t.Fatalf("% x becomes % x", once, twice)
	}
}

// checkForward compares Forward with its definition.
func checkForward(t *testing.T, p *Publish) {
	t.Helper()
	var want Props
	p.Props.Each(func(id PropID, value []byte) bool {
		if id != PropTopicAlias && id != PropMessageExpiry && id != PropSubscriptionID {
			want = append(append(want, byte(id)), value...)
		}
		return true
	})
	if got, _, has := p.Forward(); !bytes.Equal(got, want) || has != p.Props.Has(PropMessageExpiry) {
		t.Fatalf("forwards % x of % x", got, p.Props)
	}
}

// FuzzStream: a stream that is cut anywhere gives the same packets.
func FuzzStream(f *testing.F) {
	var all []byte
	for _, p := range samples(V50, false) {
		all = Append(all, V50, p)
	}
	f.Add(all, 3)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		if cut < 0 || cut > len(b) {
			return
		}
		whole, cutd := Decoder{MaxSize: 1000}, Decoder{MaxSize: 1000}
		n, err := decodeAll(&whole, b)
		m, errCut := decodeAll(&cutd, b[:cut])
		if errCut == nil {
			var more int
			more, errCut = decodeAll(&cutd, b[m:])
			m += more
		}
		if n != m || !reflect.DeepEqual(err, errCut) {
			t.Errorf("%d bytes, %v; cut at %d: %d bytes, %v", n, err, cut, m, errCut)
		}
	})
}

func decodeAll(d *Decoder, b []byte) (int, error) {
	for at := 0; ; {
		_, n, err := d.Next(b[at:])
		if n == 0 || err != nil {
			return at, err
		}
		at += n
	}
}

// FuzzProps: no bytes make a reader of properties panic, and a block that is
// valid somewhere is one whole row of properties.
func FuzzProps(f *testing.F) {
	for _, h := range holders {
		f.Add([]byte(allProps(h.where)))
	}
	f.Add([]byte{38, 0, 1, 'k', 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		p := Props(b)
		size, pairs := 0, 0
		p.Each(func(id PropID, value []byte) bool {
			size += 1 + len(value)
			if id == PropUserProperty {
				pairs++
			}
			p.Byte(id)
			p.Uint16(id)
			p.Uint32(id)
			p.Varint(id)
			p.Bytes(id)
			p.String(id)
			return true
		})
		if n := len(p.UserProperties()); n != pairs || size > len(b) {
			t.Errorf("%d user properties, want %d; %d of %d bytes", n, pairs, size, len(b))
		}
		for place, h := range holders {
			if checkProps(b, h.where) == nil && size != len(b) {
				t.Errorf("valid in %s, but only %d of %d bytes are properties", place, size, len(b))
			}
		}
	})
}

// TestEncodeLimits: what cannot be encoded panics with the values instead of
// writing a lie.
func TestEncodeLimits(t *testing.T) {
	long := strings.Repeat("a", math.MaxUint16+1)
	for name, fn := range map[string]func(){
		"topic":      func() { AppendPublish(nil, V311, &PublishOut{Topic: long}) },
		"client id":  func() { Append(nil, V311, &Connect{ClientID: long}) },
		"property":   func() { AppendStringProp(nil, PropReasonString, long) },
		"identifier": func() { AppendVarintProp(nil, PropSubscriptionID, maxVarint+1) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("does not panic")
				}
			}()
			fn()
		})
	}
}
