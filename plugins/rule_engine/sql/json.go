package sql

import (
	"strconv"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxDepth bounds how deep JSON may be nested.
const maxDepth = 256

// DecodeJSON is the value of a JSON text. Whole numbers that fit in 64 bits are
// integers, all others floats.
func DecodeJSON(s string) (Value, error) {
	if !gjson.Valid(s) {
		return Value{}, errorf("not JSON: %s", clip(s))
	}
	return fromResult(gjson.Parse(s), 0)
}

// fromResult makes a value of what gjson found.
func fromResult(r gjson.Result, depth int) (v Value, err error) {
	if depth > maxDepth {
		return Value{}, errorf("JSON is nested deeper than %d levels", maxDepth)
	}
	switch r.Type {
	case gjson.Null:
		if r.Raw == "" {
			return Value{}, nil
		}
		return NullOf(), nil
	case gjson.False, gjson.True:
		return BoolOf(r.Type == gjson.True), nil
	case gjson.Number:
		if n, ok := wholeNumber(r.Raw); ok {
			return IntOf(n), nil
		}
		return FloatOf(r.Num), nil
	case gjson.String:
		return StringOf(r.Str), nil
	}
	if r.IsArray() {
		items := []Value{}
		r.ForEach(func(_, item gjson.Result) bool {
			if v, err = fromResult(item, depth+1); err == nil {
				items = append(items, v)
			}
			return err == nil
		})
		return ArrayOf(items), err
	}
	m := &Map{}
	r.ForEach(func(key, item gjson.Result) bool {
		if v, err = fromResult(item, depth+1); err == nil {
			m.Set(key.Str, v)
		}
		return err == nil
	})
	return ObjectOf(m), err
}

// wholeNumber is the number of a JSON literal without fraction and exponent.
func wholeNumber(raw string) (int64, bool) {
	for i := 0; i < len(raw); i++ {
		if c := raw[i]; c != '-' && (c < '0' || c > '9') {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(raw, 10, 64)
	return n, err == nil
}

// AppendJSON appends v as JSON. Undefined is written as null, bytes that are not
// UTF-8 as U+FFFD.
func AppendJSON(dst []byte, v Value) []byte {
	switch v.kind {
	case Int:
		return strconv.AppendInt(dst, v.num, 10)
	case Float:
		return appendFloat(dst, v.Float())
	case Bool:
		return append(dst, v.atomText()...)
	case String:
		return appendQuoted(dst, v.str)
	case Array:
		dst = append(dst, '[')
		for i, item := range v.ref.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, item)
		}
		return append(dst, ']')
	case Object:
		return v.ref.m.AppendJSON(dst)
	}
	return append(dst, "null"...)
}

// AppendJSON appends the map as a JSON object, without keys that are undefined.
func (m *Map) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	first := true
	for i, k := range m.keys {
		if m.vals[i].kind == Undefined {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendQuoted(dst, k)
		dst = append(dst, ':')
		dst = AppendJSON(dst, m.vals[i])
	}
	return append(dst, '}')
}

// appendFloat writes the shortest form that reads back the same, with a fraction
// or an exponent, so that it stays a float.
func appendFloat(dst []byte, f float64) []byte {
	if f != f || f > 1.7976931348623157e308 || f < -1.7976931348623157e308 {
		return append(dst, "null"...) // JSON has no such number
	}
	format := byte('f')
	if a := abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	n := len(dst)
	dst = strconv.AppendFloat(dst, f, format, -1, 64)
	for _, c := range dst[n:] {
		if c == '.' || c == 'e' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

func abs(f float64) float64 {
	if f < 0 {
		return -f
	}
	return f
}

const hexDigits = "0123456789abcdef"

// appendQuoted writes a JSON string.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\ufffd"...)
			start = i + 1
		}
		i += n
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// clip is the beginning of s for a message.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return strconv.Quote(s)
	}
	return strconv.Quote(s[:most]) + "..."
}
