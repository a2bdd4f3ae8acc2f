package packet

import (
	"encoding/binary"
	"fmt"
	"math"
)

// maxVarint is the largest Variable Byte Integer: four bytes of seven bits.
const maxVarint = 268_435_455

// reader takes the fields of one packet's body in turn. The first error sticks
// and every later read gives a zero value, so a decoder checks once.
type reader struct {
	b   []byte
	err *Error
}

func (r *reader) fail(e *Error) {
	if r.err == nil {
		r.err = e
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) < 1 {
		r.fail(malformed("packet ends within a field"))
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uint16() uint16 {
	if len(r.b) < 2 {
		r.fail(malformed("packet ends within a field"))
		return 0
	}
	v := binary.BigEndian.Uint16(r.b)
	r.b = r.b[2:]
	return v
}

// packetID reads a packet identifier, which is never 0 [MQTT-2.2.1-3].
func (r *reader) packetID() uint16 {
	v := r.uint16()
	if v == 0 && r.err == nil {
		r.fail(protocolError("packet identifier is 0 [MQTT-2.2.1-3]"))
	}
	return v
}

// bytes reads Binary Data; the result borrows.
func (r *reader) bytes() []byte {
	n := int(r.uint16())
	if n > len(r.b) {
		r.fail(malformed("length goes beyond the packet"))
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// utf8 reads a UTF-8 Encoded String; the result borrows [MQTT-1.5.4-1].
func (r *reader) utf8() []byte {
	v := r.bytes()
	if !validUTF8(v) {
		r.fail(malformed("ill-formed UTF-8 or U+0000 [MQTT-1.5.4-1] [MQTT-1.5.4-2]"))
		return nil
	}
	return v
}

// string reads a UTF-8 Encoded String into a string of its own.
func (r *reader) string() string { return string(r.utf8()) }

// props reads a property block of a packet, valid for where; the result borrows.
func (r *reader) props(where propSet) Props {
	n, size, ok := varint(r.b)
	if !ok {
		if r.err == nil {
			r.fail(malformed("property length is no variable byte integer [MQTT-1.5.5-1]"))
		}
		return nil
	}
	r.b = r.b[size:]
	if int(n) > len(r.b) {
		r.fail(malformed("property length goes beyond the packet"))
		return nil
	}
	if n == 0 {
		return nil
	}
	p := r.b[:n:n]
	if err := checkProps(p, where); err != nil {
		r.fail(err)
		return nil
	}
	r.b = r.b[n:]
	return Props(p)
}

// end fails unless everything is read.
func (r *reader) end() *Error {
	if r.err == nil && len(r.b) > 0 {
		r.err = malformed("bytes after the last field")
	}
	return r.err
}

// varint reads a complete, minimal Variable Byte Integer [MQTT-1.5.5-1].
func varint(b []byte) (v uint32, size int, ok bool) {
	for i := 0; i < len(b) && i < 4; i++ {
		v |= uint32(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, i + 1, i == 0 || b[i] != 0
		}
	}
	return 0, 0, false
}

// sizeVarint is how many bytes v takes.
func sizeVarint(v int) int {
	switch {
	case v < 1<<7:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<21:
		return 3
	default:
		return 4
	}
}

func appendVarint(dst []byte, v int) []byte {
	if uint(v) > maxVarint {
		panic(fmt.Sprintf("packet: %d does not fit a variable byte integer", v))
	}
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

func appendUint16(dst []byte, v uint16) []byte { return append(dst, byte(v>>8), byte(v)) }

// appendString appends a length and the bytes of a string or Binary Data.
func appendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	if len(s) > math.MaxUint16 {
		panic(fmt.Sprintf("packet: string of %d bytes, limit 65535", len(s)))
	}
	return append(append(dst, byte(len(s)>>8), byte(len(s))), s...)
}

// appendProps appends a property block with its length.
func appendProps(dst []byte, p Props) []byte {
	return append(appendVarint(dst, len(p)), p...)
}

// begin appends a fixed header whose length finish writes.
func begin(dst []byte, first byte) []byte { return append(dst, first, 0) }

// finish writes the Remaining Length of the packet that begins at start,
// moving the body if the length takes more than one byte.
func finish(dst []byte, start int) []byte {
	n := len(dst) - start - 2
	if extra := sizeVarint(n) - 1; extra > 0 {
		dst = append(dst, make([]byte, extra)...)
		copy(dst[start+2+extra:], dst[start+2:start+2+n])
	}
	appendVarint(dst[:start+1], n)
	return dst
}
