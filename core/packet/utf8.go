package packet

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"
)

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// zeroByte is not 0 if and only if a byte of w is 0.
func zeroByte(w uint64) uint64 { return (w - lowBits) &^ w & highBits }

// validUTF8 tells whether b is well-formed UTF-8, so without surrogates
// [MQTT-1.5.4-1], and has no U+0000 [MQTT-1.5.4-2]. Non-characters and control
// characters are allowed. ASCII is checked a word at a time.
func validUTF8(b []byte) bool {
	if len(b) >= 8 {
		last := binary.LittleEndian.Uint64(b[len(b)-8:])
		bad := last&highBits | zeroByte(last)
		for i := 0; i+8 <= len(b); i += 8 {
			w := binary.LittleEndian.Uint64(b[i:])
			bad |= w&highBits | zeroByte(w)
		}
		if bad == 0 {
			return true
		}
		return slowValid(b)
	}
	for _, c := range b {
		if c-1 >= 0x7f {
			return slowValid(b)
		}
	}
	return true
}

// validName is validUTF8 for a topic name; wild tells whether the name contains
// a wildcard [MQTT-3.3.2-2].
func validName(b []byte) (valid, wild bool) {
	if len(b) >= 8 {
		last := binary.LittleEndian.Uint64(b[len(b)-8:])
		bad, hit := last&highBits|zeroByte(last), zeroByte(last^'+'*lowBits)|zeroByte(last^'#'*lowBits)
		for i := 0; i+8 <= len(b); i += 8 {
			w := binary.LittleEndian.Uint64(b[i:])
			bad |= w&highBits | zeroByte(w)
			hit |= zeroByte(w^'+'*lowBits) | zeroByte(w^'#'*lowBits)
		}
		return bad == 0 || slowValid(b), hit != 0
	}
	ascii := true
	for _, c := range b {
		ascii = ascii && c-1 < 0x7f
		wild = wild || c == '+' || c == '#'
	}
	return ascii || slowValid(b), wild
}

func slowValid(b []byte) bool {
	for _, c := range b {
		if c == 0 {
			return false
		}
	}
	return utf8.Valid(b)
}

// borrow makes a string that shares b's memory.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// ValidString tells whether s may be sent as a UTF-8 Encoded String: well-formed
// without U+0000, at most 65,535 bytes. Decoded strings are; it is for those
// that plugins, administrators and configuration bring.
func ValidString(s string) bool {
	return len(s) <= 65535 && validUTF8(unsafe.Slice(unsafe.StringData(s), len(s)))
}
