package sql

import (
	"math"
	"math/bits"
)

// arithmetic is + - * / div and mod. Whole numbers that do not fit in 64 bits
// are a fault (EMQ X has numbers of any size).
func arithmetic(op string, l, r Value) (Value, error) {
	if op == "+" && (l.kind == String || r.kind == String) {
		return StringOf(l.Text() + r.Text()), nil
	}
	if !l.number() || !r.number() {
		return Value{}, errorf("%s %s %s: only numbers, and with + strings", l.kind, op, r.kind)
	}
	if l.kind == Int && r.kind == Int && op != "/" {
		return wholes(op, l.num, r.num)
	}
	a, b := l.Float(), r.Float()
	switch op {
	case "+":
		return finite(op, a+b)
	case "-":
		return finite(op, a-b)
	case "*":
		return finite(op, a*b)
	case "/":
		if b == 0 {
			return Value{}, errorf("division by zero")
		}
		return finite(op, a/b)
	}
	return Value{}, errorf("%s wants whole numbers", op)
}

func finite(op string, f float64) (Value, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return Value{}, errorf("the result of %s is no number", op)
	}
	return FloatOf(f), nil
}

func wholes(op string, a, b int64) (Value, error) {
	switch op {
	case "+":
		if c := a + b; (c > a) == (b > 0) {
			return IntOf(c), nil
		}
	case "-":
		if c := a - b; (c < a) == (b > 0) {
			return IntOf(c), nil
		}
	case "*":
		if c, ok := product(a, b); ok {
			return IntOf(c), nil
		}
	default:
		if b == 0 {
			return Value{}, errorf("division by zero")
		}
		if op == "mod" {
			if b == -1 {
				return IntOf(0), nil
			}
			return IntOf(a % b), nil
		}
		if a != math.MinInt64 || b != -1 {
			return IntOf(a / b), nil
		}
	}
	return Value{}, errorf("%d %s %d does not fit in 64 bits", a, op, b)
}

func product(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi != 0 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), lo <= 1<<63
	}
	return int64(lo), lo < 1<<63
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return uint64(-n)
	}
	return uint64(n)
}

func negative(v Value) (Value, error) {
	switch v.kind {
	case Int:
		if v.num == math.MinInt64 {
			return Value{}, errorf("%d has no negative in 64 bits", v.num)
		}
		return IntOf(-v.num), nil
	case Float:
		return FloatOf(-v.Float()), nil
	}
	return Value{}, errorf("- wants a number, not %s", v.kind)
}
