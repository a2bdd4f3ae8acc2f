package flatjson

import "bytes"

// scanner finds where values end.
type scanner struct {
	b  []byte
	at int
}

func (s *scanner) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

// value takes one value, at which the scanner stands, and returns its text.
func (s *scanner) value(depth int) (v Value, ok bool) {
	start := s.at
	if s.at == len(s.b) || depth > maxDepth {
		return nil, false
	}
	switch c := s.b[s.at]; {
	case c == '"':
		ok = s.str()
	case c == '{':
		ok = s.group('}', true, depth)
	case c == '[':
		ok = s.group(']', false, depth)
	case c == '-' || c >= '0' && c <= '9':
		ok = s.number()
	default:
		ok = s.word("true") || s.word("false") || s.word("null")
	}
	if !ok {
		return nil, false
	}
	return Value(s.b[start:s.at]), true
}

// str takes a string. What its escapes mean is checked when it is read.
func (s *scanner) str() bool {
	for s.at++; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; {
		case c == '"':
			s.at++
			return true
		case c == '\\':
			s.at++
		case c < 0x20:
			return false
		}
	}
	return false
}

// group takes an object or array.
func (s *scanner) group(end byte, members bool, depth int) bool {
	s.at++
	s.space()
	for first := true; !s.take(end); first = false {
		if !first && !s.take(',') {
			return false
		}
		s.space()
		if members {
			if s.at == len(s.b) || s.b[s.at] != '"' || !s.str() {
				return false
			}
			s.space()
			if !s.take(':') {
				return false
			}
			s.space()
		}
		if _, ok := s.value(depth + 1); !ok {
			return false
		}
		s.space()
	}
	return true
}

// number takes -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?.
func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.b) && s.b[s.at] >= '0' && s.b[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

func (s *scanner) word(w string) bool {
	if !bytes.HasPrefix(s.b[s.at:], []byte(w)) {
		return false
	}
	s.at += len(w)
	return true
}
