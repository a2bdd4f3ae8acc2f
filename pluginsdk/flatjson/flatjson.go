// Package flatjson reads one JSON object member by member and writes JSON
// strings, without reflection: in a WASM guest, encoding/json would cost
// 1.4 MB of module. It is meant for a plugin's configuration and for events. It
// refuses to be a general decoder: nested values are handed over as they are.
package flatjson

import (
	"errors"
	"strconv"
	"unicode/utf8"
)

// ErrSyntax is returned for bytes that are not one JSON object.
var ErrSyntax = errors.New("flatjson: not a JSON object")

// maxDepth bounds nesting, so that hostile input cannot exhaust the stack.
const maxDepth = 64

// Value is one JSON value in its text form.
type Value []byte

// Object calls fn for each member of the object in b, in order, with the
// unescaped key. It stops at the first error, fn's or ErrSyntax.
func Object(b []byte, fn func(key string, v Value) error) error {
	s := scanner{b: b}
	s.space()
	if !s.take('{') {
		return ErrSyntax
	}
	s.space()
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return ErrSyntax
		}
		s.space()
		key, ok := s.value(0)
		if !ok {
			return ErrSyntax
		}
		name, ok := key.String()
		s.space()
		if !ok || !s.take(':') {
			return ErrSyntax
		}
		s.space()
		v, ok := s.value(0)
		if !ok {
			return ErrSyntax
		}
		if err := fn(name, v); err != nil {
			return err
		}
		s.space()
	}
	s.space()
	if s.at != len(s.b) {
		return ErrSyntax
	}
	return nil
}

// Array calls fn for each element of the array v. It stops at the first error.
func (v Value) Array(fn func(v Value) error) error {
	s := scanner{b: v}
	if !s.take('[') {
		return ErrSyntax
	}
	s.space()
	for first := true; !s.take(']'); first = false {
		if !first && !s.take(',') {
			return ErrSyntax
		}
		s.space()
		e, ok := s.value(0)
		if !ok {
			return ErrSyntax
		}
		if err := fn(e); err != nil {
			return err
		}
		s.space()
	}
	return nil
}

// Int is the value as a whole number; ok is false if it is none.
func (v Value) Int() (n int64, ok bool) {
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil
}

// Bool is the value as true or false; ok is false if it is neither.
func (v Value) Bool() (b, ok bool) {
	return string(v) == "true", string(v) == "true" || string(v) == "false"
}

// String is the value as an unescaped string; ok is false if it is none.
func (v Value) String() (text string, ok bool) {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return "", false
	}
	in := v[1 : len(v)-1]
	out := make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		if in[i] != '\\' {
			out = append(out, in[i])
			continue
		}
		i++
		if i == len(in) {
			return "", false
		}
		if in[i] != 'u' {
			c := unescape(in[i])
			if c == 0 {
				return "", false
			}
			out = append(out, c)
			continue
		}
		r, n := escapedRune(in[i-1:])
		if n == 0 {
			return "", false
		}
		out = utf8.AppendRune(out, r)
		i += n - 2
	}
	return string(out), utf8.Valid(out)
}

func unescape(c byte) byte {
	switch c {
	case '"', '\\', '/':
		return c
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// escapedRune reads \uXXXX, or two of them for a surrogate pair, and tells how
// many bytes that were; 0 for a malformed escape.
func escapedRune(b []byte) (r rune, n int) {
	hi, ok := hex4(b)
	if !ok {
		return 0, 0
	}
	if hi < 0xD800 || hi > 0xDFFF {
		return hi, 6
	}
	lo, ok := hex4(b[6:])
	if hi > 0xDBFF || !ok || lo < 0xDC00 || lo > 0xDFFF {
		return utf8.RuneError, 6
	}
	return (hi-0xD800)<<10 + (lo - 0xDC00) + 0x10000, 12
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD. It allocates only what dst needs.
func AppendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}
