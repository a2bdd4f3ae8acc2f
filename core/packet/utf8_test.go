package packet

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// texts are byte strings and whether MQTT allows them.
var texts = []struct {
	name, in string
	ok       bool
}{
	{"empty", "", true},
	{"ASCII", "sport/tennis/player1", true},
	{"three bytes", "テニス", true},
	{"four bytes", "A\U0002A6D4", true},                  // 5.0 §1.5.4.1
	{"largest code point", "\U0010FFFF", true},           // also a non-character
	{"non-character", "\uFFFF\uFDD0", true},              // SHOULD NOT
	{"control characters", "\x01\x1f\x7f\u0085", true},   // SHOULD NOT
	{"zero width no-break space", "\xef\xbb\xbfa", true}, // [MQTT-1.5.4-3]
	{"null character", "a\x00b", false},                  // [MQTT-1.5.4-2]
	{"null character alone", "\x00", false},
	{"null character far away", strings.Repeat("a", 29) + "\x00", false},
	{"null character after non-ASCII", "ääääääää\x00", false},
	{"null character in two bytes", "\xc0\x80", false}, // overlong
	{"surrogate D800", "\xed\xa0\x80", false},          // [MQTT-1.5.4-1]
	{"surrogate DFFF", "\xed\xbf\xbf", false},
	{"surrogate pair", "\xed\xa1\xa9\xed\xbb\x94", false},
	{"overlong slash", "a\xc0\xaf", false},
	{"beyond the last code point", "\xf4\x90\x80\x80", false},
	{"lone continuation", "a\x80", false},
	{"cut sequence", "a\xe3\x83", false},
	{"cut sequence far away", strings.Repeat("a", 16) + "\xe3", false},
	{"Latin-1", "caf\xe9 au lait", false},
	{"byte FF", "\xff", false},
}

// places are the strings of packets, each with a hole.
var places = []struct {
	name  string
	d     Decoder
	build func(s string) []byte
}{
	{"topic name", from311, func(s string) []byte { return pk(0x30, s+"x") }},            // [MQTT-3.3.2-1]
	{"topic name 5.0", from5, func(s string) []byte { return pk(0x30, s+"x", 0) }},       // [MQTT-3.3.2-1]
	{"client identifier", fresh, func(s string) []byte { return connectPk(V311, 2, s) }}, // [MQTT-3.1.3-4]
	{"client identifier 5.0", fresh, func(s string) []byte { return connectPk(V50, 2, 0, s) }},
	{"user name", fresh, func(s string) []byte { return connectPk(V311, 0x82, "c", s) }},       // [MQTT-3.1.3-11]
	{"user name 5.0", fresh, func(s string) []byte { return connectPk(V50, 0x82, 0, "c", s) }}, // [MQTT-3.1.3-12]
	{"will topic", fresh, func(s string) []byte { return connectPk(V311, 6, "c", s+"x", "") }}, // [MQTT-3.1.3-10]
	{"will topic 5.0", fresh, func(s string) []byte { return connectPk(V50, 6, 0, "c", 0, s+"x", "") }},
	{"filter", from311, func(s string) []byte { return pk(0x82, uint16(1), s, 0) }}, // [MQTT-3.8.3-1]
	{"filter 5.0", from5, func(s string) []byte { return pk(0x82, uint16(1), 0, s, 0) }},
	{"unsubscribe filter", from311, func(s string) []byte { return pk(0xa2, uint16(1), s) }}, // [MQTT-3.10.3-1]
	{"unsubscribe filter 5.0", from5, func(s string) []byte { return pk(0xa2, uint16(1), 0, s) }},
	{"response topic", from5, func(s string) []byte { return publishPk("t", AppendStringProp(nil, PropResponseTopic, s+"x")) }}, // [MQTT-3.3.2-13]
	{"content type", from5, func(s string) []byte { return publishPk("t", AppendStringProp(nil, PropContentType, s)) }},         // [MQTT-3.3.2-19]
	{"user property key", from5, func(s string) []byte { return publishPk("t", AppendUserProp(nil, s, "v")) }},                  // [MQTT-1.5.7-1]
	{"user property value", from5, func(s string) []byte { return publishPk("t", AppendUserProp(nil, "k", s)) }},                // [MQTT-1.5.7-1]
	{"authentication method", fresh, func(s string) []byte {
		return connectPk(V50, 2, AppendStringProp(nil, PropAuthMethod, s), "c")
	}},
	{"reason string", from5, func(s string) []byte { return pk(0xe0, 0, AppendStringProp(nil, PropReasonString, s)) }},
}

// [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.4-3]; 3.1.1: [MQTT-1.5.3-1]
// [MQTT-1.5.3-2] [MQTT-1.5.3-3]
func TestUTF8(t *testing.T) {
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			for _, text := range texts {
				d := place.d
				b := place.build(text.in)
				if !text.ok {
					refuse(t, &d, b, MalformedPacket)
				} else if _, n, err := d.Next(b); n != len(b) || err != nil {
					t.Errorf("%s: %v", text.name, err)
				}
			}
		})
	}
	t.Run("kept as it is", func(t *testing.T) { // [MQTT-1.5.4-3]
		if p := accept[*Publish](t, from5, publishPk("\xef\xbb\xbfa", nil)); p.Topic != "\ufeffa" {
			t.Errorf("topic is %q", p.Topic)
		}
	})
	t.Run("binary data is no text", func(t *testing.T) {
		p := AppendBytesProp(nil, PropCorrelationData, []byte{0, 0xff})
		accept[*Publish](t, from5, publishPk("t", p, []byte{0, 0xff}))
		accept[*Connect](t, fresh, connectPk(V311, 0xc2, "c", "u", "\x00\xff"))
	})
}

func TestValidString(t *testing.T) {
	for _, text := range texts {
		if ValidString(text.in) != text.ok {
			t.Errorf("%s: ValidString(%q) is not %v", text.name, text.in, text.ok)
		}
	}
	if long := strings.Repeat("a", 65536); ValidString(long) || !ValidString(long[1:]) {
		t.Error("the limit is not 65,535")
	}
}

// TestWordwise compares with the definition at each offset and length around
// the word size.
func TestWordwise(t *testing.T) {
	for n := range 40 {
		for at := range n {
			for _, c := range []byte{0, 1, '#', '+', ',', '$', 0x7f, 0x80, 0xc3, 0xff} {
				b := []byte(strings.Repeat("a", n))
				b[at] = c
				want := utf8.Valid(b) && c != 0
				valid, wild := validName(b)
				if validUTF8(b) != want || valid != want || wild != (c == '#' || c == '+') {
					t.Fatal(fmt.Sprintf("%q", b), validUTF8(b), valid, wild)
				}
			}
		}
	}
}
