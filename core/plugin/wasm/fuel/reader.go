package fuel

import "fmt"

// reader walks over a module. On a fault it panics with an *Error, which
// Rewrite catches: parsing has a fault at every second line, and none of them
// is handled anywhere but at the top. It never reads past its end.
type reader struct {
	b   []byte
	pos int
	// base is where b starts in the module, for offsets in errors.
	base int
}

func (r *reader) failf(at int, format string, args ...any) {
	panic(&Error{Offset: r.base + at, Msg: fmt.Sprintf(format, args...)})
}

func (r *reader) more() bool   { return r.pos < len(r.b) }
func (r *reader) rest() []byte { return r.b[r.pos:] }

func (r *reader) byte() byte {
	if r.pos >= len(r.b) {
		r.failf(r.pos, "unexpected end")
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

// zero reads a reserved byte.
func (r *reader) zero() {
	if c := r.byte(); c != 0 {
		r.failf(r.pos-1, "reserved byte is %#x, not 0", c)
	}
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b)-r.pos {
		r.failf(r.pos, "%d bytes announced, %d left", n, len(r.b)-r.pos)
	}
	r.pos += n
	return r.b[r.pos-n : r.pos]
}

// sub returns a reader of the next n bytes and steps over them.
func (r *reader) sub(n int) reader {
	at := r.pos
	return reader{b: r.bytes(n), base: r.base + at}
}

// u32 reads an unsigned LEB128 number of at most 5 bytes. Padding is legal.
func (r *reader) u32() uint32 {
	at, v := r.pos, uint32(0)
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		if shift == 28 && c > 0x0f {
			break
		}
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.failf(at, "number of more than 32 bits")
	return 0
}

// signed reads a signed LEB128 number of at most size bytes and tells its value;
// bits beyond 64 are lost, which the engine refuses.
func (r *reader) signed(size int) int64 {
	at, v := r.pos, int64(0)
	for i := 0; i < size; i++ {
		c := r.byte()
		v |= int64(c&0x7f) << (7 * i)
		if c < 0x80 {
			if s := 7 * (i + 1); s < 64 && c&0x40 != 0 {
				v |= -1 << s
			}
			return v
		}
	}
	r.failf(at, "number is too long")
	return 0
}

// count reads the length of a vector whose elements take at least size bytes
// each, and so bounds it by the bytes that are there.
func (r *reader) count(size int) int {
	at := r.pos
	n := r.u32()
	if uint64(n)*uint64(size) > uint64(len(r.b)-r.pos) {
		r.failf(at, "vector of %d in %d bytes", n, len(r.b)-r.pos)
	}
	return int(n)
}

func (r *reader) name() string { return string(r.bytes(r.count(1))) }

// header reads the magic number and the version.
func (r *reader) header() {
	if string(r.bytes(8)) != "\x00asm\x01\x00\x00\x00" {
		r.failf(0, "not a core WASM module of version 1")
	}
}

// end fails unless everything was read.
func (r *reader) end(what string) {
	if r.more() {
		r.failf(r.pos, "%d bytes too many in %s", len(r.b)-r.pos, what)
	}
}

// Value types of WASM 2.0.
const (
	typeI32       = 0x7f
	typeI64       = 0x7e
	typeFuncref   = 0x70
	typeExternref = 0x6f
)

// valtype reads a value type: numbers, v128 and the two reference types.
func (r *reader) valtype() byte {
	c := r.byte()
	if (c < 0x7b || c > 0x7f) && c != typeFuncref && c != typeExternref {
		r.failf(r.pos-1, "unknown value type %#x", c)
	}
	return c
}

func (r *reader) reftype() byte {
	c := r.byte()
	if c != typeFuncref && c != typeExternref {
		r.failf(r.pos-1, "unknown reference type %#x", c)
	}
	return c
}

// limits reads the limits of a table or a memory. Shared memories and 64-bit
// indices are refused.
func (r *reader) limits() (low, high uint32, bounded bool) {
	flag := r.byte()
	if flag > 1 {
		r.failf(r.pos-1, "limits of kind %#x", flag)
	}
	low = r.u32()
	if flag == 1 {
		high = r.u32()
	}
	return low, high, flag == 1
}

func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func appendS64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if (v == 0 && c&0x40 == 0) || (v == -1 && c&0x40 != 0) {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
