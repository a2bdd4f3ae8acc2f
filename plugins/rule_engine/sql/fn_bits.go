package sql

import (
	"math"
	"strings"
)

// onWholes is a function of two whole numbers.
func onWholes(f func(a, b int64) (Value, error)) function {
	return pure(2, 2, func(args []Value) (Value, error) {
		a, err := whole(args, 0)
		if err != nil {
			return Value{}, err
		}
		b, err := whole(args, 1)
		if err != nil {
			return Value{}, err
		}
		return f(a, b)
	})
}

var bitFunctions = map[string]function{
	"bitand": onWholes(func(a, b int64) (Value, error) { return IntOf(a & b), nil }),
	"bitor":  onWholes(func(a, b int64) (Value, error) { return IntOf(a | b), nil }),
	"bitxor": onWholes(func(a, b int64) (Value, error) { return IntOf(a ^ b), nil }),
	"bitsl":  onWholes(shiftLeft),
	"bitsr": onWholes(func(a, b int64) (Value, error) {
		if b < 0 {
			return shiftLeft(a, -b)
		}
		return IntOf(a >> min(uint64(b), 63)), nil
	}),
	"bitnot": pure(1, 1, func(args []Value) (Value, error) {
		n, err := whole(args, 0)
		return IntOf(^n), err
	}),
	"bitsize": onText(func(s string) Value { return IntOf(int64(len(s)) * 8) }),
	"subbits": pure(2, 6, subBits),
}

func shiftLeft(a, b int64) (Value, error) {
	switch {
	case b < 0:
		return IntOf(a >> min(uint64(-b), 63)), nil
	case a == 0:
		return IntOf(0), nil
	case b > 62 || a<<uint(b)>>uint(b) != a:
		return Value{}, errorf("%d shifted left by %d does not fit in 64 bits", a, b)
	}
	return IntOf(a << uint(b)), nil
}

// subBits is subbits(bytes, [start,] length [, type, sign, endian]): start counts
// from 1; type is integer, float or bits.
func subBits(args []Value) (Value, error) {
	s, err := text(args, 0)
	if err != nil {
		return Value{}, err
	}
	start, lenAt := int64(1), 1
	if len(args) > 2 {
		if start, err = whole(args, 1); err != nil {
			return Value{}, err
		}
		lenAt = 2
	}
	n, err := whole(args, lenAt)
	if err != nil {
		return Value{}, err
	}
	kind := word(args, 3, "integer")
	size := int64(len(s)) * 8
	switch {
	case start < 1 || n < 0:
		return Value{}, errorf("bits %d, %d: the start counts from 1, the length from 0", start, n)
	case start > size:
		return Value{}, nil // EMQ X: undefined beyond the end
	case n > size-start+1:
		n = size - start + 1
	}
	if kind == "bits" {
		return StringOf(string(cutBits(s, start-1, n))), nil
	}
	if n > 64 {
		return Value{}, errorf("a number has at most 64 bits, not %d", n)
	}
	return numberOfBits(bitField{
		bits: readBits(s, start-1, n), n: n, float: kind == "float",
		signed: word(args, 4, "unsigned") == "signed", little: strings.HasPrefix(word(args, 5, "big"), "little"),
	})
}

// readBits is n <= 64 bits from the first on, the first one the highest.
func readBits(s string, first, n int64) (v uint64) {
	for i := first; i < first+n; i++ {
		v = v<<1 | uint64(s[i/8]>>(7-i%8)&1)
	}
	return v
}

// cutBits is n bits as bytes; the last byte is filled with zeros.
func cutBits(s string, first, n int64) []byte {
	out := make([]byte, (n+7)/8)
	for i := range n {
		out[i/8] |= s[(first+i)/8] >> (7 - (first+i)%8) & 1 << (7 - i%8)
	}
	return out
}

type bitField struct {
	bits                  uint64
	n                     int64
	float, signed, little bool
}

func numberOfBits(f bitField) (Value, error) {
	v := f.bits
	if f.little {
		if f.n%8 != 0 {
			return Value{}, errorf("little endian wants whole bytes, not %d bits", f.n)
		}
		v = 0
		for i := int64(0); i < f.n; i += 8 {
			v = v<<8 | f.bits>>i&0xFF
		}
	}
	switch {
	case f.float && f.n == 32:
		return checked(float64(math.Float32frombits(uint32(v))))
	case f.float && f.n == 64:
		return checked(math.Float64frombits(v))
	case f.float:
		return Value{}, errorf("a float has 32 or 64 bits, not %d", f.n)
	case f.signed && f.n > 0 && v>>(f.n-1)&1 == 1:
		return IntOf(int64(v | ^uint64(0)<<(f.n-1))), nil
	case v > math.MaxInt64:
		return Value{}, errorf("%d does not fit in 64 bits with a sign", v)
	}
	return IntOf(int64(v)), nil
}
