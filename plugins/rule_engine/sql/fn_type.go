package sql

import (
	"encoding/hex"
	"math"
	"strings"
)

// is is a check of a value's kind.
func is(check func(Value) bool) function {
	return pure(1, 1, func(args []Value) (Value, error) { return BoolOf(check(args[0])), nil })
}

func onValue(f func(Value) (Value, error)) function {
	return pure(1, 1, func(args []Value) (Value, error) { return f(args[0]) })
}

func toText(v Value) (Value, error) { return StringOf(v.Text()), nil }

var typeFunctions = map[string]function{
	"is_null":         is(func(v Value) bool { return v.kind == Undefined }),
	"is_not_null":     is(func(v Value) bool { return v.kind != Undefined }),
	"is_null_var":     is(func(v Value) bool { return v.kind == Undefined || v.kind == Null }),
	"is_not_null_var": is(func(v Value) bool { return v.kind != Undefined && v.kind != Null }),
	"is_str":          is(func(v Value) bool { return v.kind == String }),
	"is_bool":         is(func(v Value) bool { return v.kind == Bool }),
	"is_int":          is(func(v Value) bool { return v.kind == Int }),
	"is_float":        is(func(v Value) bool { return v.kind == Float }),
	"is_num":          is(Value.number),
	"is_map":          is(func(v Value) bool { return v.kind == Object }),
	"is_array":        is(func(v Value) bool { return v.kind == Array }),

	"str": onValue(toText), "str_utf8": onValue(toText), "int": onValue(toInt), "float": onValue(toFloat),
	"map": onValue(toMap),
	"bool": onValue(func(v Value) (Value, error) {
		b, err := truth(v)
		return BoolOf(b), err
	}),
	"float2str":  pure(2, 2, floatText),
	"bin2hexstr": onText(func(s string) Value { return StringOf(strings.ToUpper(hex.EncodeToString([]byte(s)))) }),
	"hexstr2bin": pure(1, 1, func(args []Value) (Value, error) {
		s, err := text(args, 0)
		if err != nil {
			return Value{}, err
		}
		b, err := hex.DecodeString(s)
		if err != nil {
			return Value{}, errorf("%s is not hexadecimal", clip(s))
		}
		return StringOf(string(b)), nil
	}),
}

// toInt is the whole number of a number, of text that reads as one, or of a
// boolean.
func toInt(v Value) (Value, error) {
	if v.kind == String {
		var err error
		if v, err = toNumber(strings.TrimSpace(v.str)); err != nil {
			return Value{}, err
		}
	}
	switch v.kind {
	case Int:
		return v, nil
	case Float:
		return truncated(math.Floor(v.Float()))
	case Bool:
		return IntOf(v.num), nil
	}
	return Value{}, errorf("%s is no number", v.kind)
}

func toFloat(v Value) (Value, error) {
	if v.kind == String {
		var err error
		if v, err = toNumber(strings.TrimSpace(v.str)); err != nil {
			return Value{}, err
		}
	}
	if !v.number() {
		return Value{}, errorf("%s is no number", v.kind)
	}
	return FloatOf(v.Float()), nil
}

func toMap(v Value) (Value, error) {
	if v.kind == String {
		var err error
		if v, err = DecodeJSON(v.str); err != nil {
			return Value{}, err
		}
	}
	if v.kind != Object {
		return Value{}, errorf("%s is no map", v.kind)
	}
	return v, nil
}

func floatText(args []Value) (Value, error) {
	n, err := whole(args, 1)
	switch {
	case err != nil:
		return Value{}, err
	case !args[0].number():
		return Value{}, errorf("argument 1 is a number, not %s", args[0].kind)
	case n < 0 || n > 253:
		return Value{}, errorf("decimals are 0 to 253, not %d", n)
	}
	return StringOf(FormatFloat(args[0].Float(), int(n))), nil
}
