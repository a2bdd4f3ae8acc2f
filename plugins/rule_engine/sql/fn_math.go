package sql

import (
	"math"
	"math/rand/v2"
)

// onFloat is a function of one number that yields a float.
func onFloat(f func(float64) float64) function {
	return pure(1, 1, func(args []Value) (Value, error) {
		if !args[0].number() {
			return Value{}, errorf("argument 1 is a number, not %s", args[0].kind)
		}
		return checked(f(args[0].Float()))
	})
}

// onFloats is a function of two numbers that yields a float.
func onFloats(f func(a, b float64) float64) function {
	return pure(2, 2, func(args []Value) (Value, error) {
		if !args[0].number() || !args[1].number() {
			return Value{}, errorf("both arguments are numbers, not %s and %s", args[0].kind, args[1].kind)
		}
		return checked(f(args[0].Float(), args[1].Float()))
	})
}

func checked(f float64) (Value, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{}, errorf("the result is no number")
	}
	return FloatOf(f), nil
}

// toWhole is a function of one number that yields a whole one.
func toWhole(f func(float64) float64) function {
	return pure(1, 1, func(args []Value) (Value, error) {
		switch args[0].kind {
		case Int:
			return args[0], nil
		case Float:
			return truncated(f(args[0].Float()))
		}
		return Value{}, errorf("argument 1 is a number, not %s", args[0].kind)
	})
}

// truncated is the whole part of f, if 64 bits hold it.
func truncated(f float64) (Value, error) {
	if f = math.Trunc(f); f >= -(1<<63) && f < 1<<63 {
		return IntOf(int64(f)), nil
	}
	return Value{}, errorf("%v does not fit in 64 bits", f)
}

var mathFunctions = map[string]function{
	"acos": onFloat(math.Acos), "acosh": onFloat(math.Acosh), "asin": onFloat(math.Asin), "asinh": onFloat(math.Asinh),
	"atan": onFloat(math.Atan), "atanh": onFloat(math.Atanh), "cos": onFloat(math.Cos), "cosh": onFloat(math.Cosh),
	"sin": onFloat(math.Sin), "sinh": onFloat(math.Sinh), "tan": onFloat(math.Tan), "tanh": onFloat(math.Tanh),
	"exp": onFloat(math.Exp), "log": onFloat(math.Log), "log10": onFloat(math.Log10), "log2": onFloat(math.Log2),
	"sqrt": onFloat(math.Sqrt), "fmod": onFloats(math.Mod), "power": onFloats(math.Pow),
	"ceil": toWhole(math.Ceil), "floor": toWhole(math.Floor), "round": toWhole(math.Round),
	"abs": pure(1, 1, func(args []Value) (Value, error) {
		if args[0].kind == Float || args[0].kind == Int && args[0].num >= 0 {
			return unsigned(args[0]), nil
		}
		return negative(args[0])
	}),
	"mod": pure(2, 2, func(args []Value) (Value, error) { return arithmetic("mod", args[0], args[1]) }),
	"eq":  pure(2, 2, func(args []Value) (Value, error) { return BoolOf(order(args[0], args[1]) == 0), nil }),
	"random": {call: func(*env, []Value) (Value, error) {
		return FloatOf(rand.Float64()), nil
	}},
}

// unsigned is a float without its sign, any other value as it is.
func unsigned(v Value) Value {
	if v.kind == Float {
		return FloatOf(math.Abs(v.Float()))
	}
	return v
}
