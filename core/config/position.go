package config

import (
	"strconv"
	"strings"
)

// joinPath writes a key path as TOML does: parts with other characters than
// letters, digits, _ and - are quoted.
func joinPath(parts []string) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte('.')
		}
		if p == "" || strings.ContainsFunc(p, func(r rune) bool { return !bareRune(r) }) {
			b.WriteString(strconv.Quote(p))
		} else {
			b.WriteString(p)
		}
	}
	return b.String()
}

func bareRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}

// positions finds the line of every key and table header of a TOML document
// that is known to be well-formed. The TOML library tells which keys there are
// but not where.
func positions(doc string) map[string]int {
	s := scanner{doc: doc, line: 1, at: map[string]int{}}
	for s.blank(); s.i < len(s.doc); s.blank() {
		line := s.line
		if s.doc[s.i] == '[' {
			for s.i < len(s.doc) && s.doc[s.i] == '[' {
				s.i++
			}
			s.table = s.key()
			s.record(s.table, line)
			s.skipLine()
			continue
		}
		parts := s.key()
		s.record(append(append([]string{}, s.table...), parts...), line)
		s.i++ // =
		s.value()
	}
	return s.at
}

// scanner walks a TOML document by statements.
type scanner struct {
	doc   string
	i     int
	line  int // of doc[i], from 1
	table []string
	at    map[string]int
}

func (s *scanner) record(parts []string, line int) {
	for n := 1; n <= len(parts); n++ {
		path := joinPath(parts[:n])
		if _, seen := s.at[path]; !seen || n == len(parts) {
			s.at[path] = line
		}
	}
}

// blank skips space, line ends and comments between statements.
func (s *scanner) blank() {
	for s.i < len(s.doc) {
		switch s.doc[s.i] {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		case '#':
			s.skipLine()
			continue
		default:
			return
		}
		s.i++
	}
}

// skipLine goes to the line end, which stays.
func (s *scanner) skipLine() {
	for s.i < len(s.doc) && s.doc[s.i] != '\n' {
		s.i++
	}
}

// key reads a dotted key up to = or ], which stays.
func (s *scanner) key() []string {
	var parts []string
	for s.i < len(s.doc) {
		switch c := s.doc[s.i]; c {
		case '=', ']', '\n':
			return parts
		case ' ', '\t', '.':
			s.i++
		case '"', '\'':
			start := s.i
			s.text()
			quoted := s.doc[start:s.i]
			if part, err := strconv.Unquote(quoted); err == nil && c == '"' {
				parts = append(parts, part)
			} else {
				parts = append(parts, strings.Trim(quoted, string(c)))
			}
		default:
			start := s.i
			for s.i < len(s.doc) && !strings.ContainsRune(" \t.=]\n", rune(s.doc[s.i])) {
				s.i++
			}
			parts = append(parts, s.doc[start:s.i])
		}
	}
	return parts
}

// value skips a value: up to the line end outside of any bracket or string.
func (s *scanner) value() {
	for depth := 0; s.i < len(s.doc); {
		switch s.doc[s.i] {
		case '"', '\'':
			s.text()
			continue
		case '#':
			s.skipLine()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '\n':
			if depth <= 0 {
				return
			}
			s.line++
		}
		s.i++
	}
}

// text skips a string of any of TOML's four forms.
func (s *scanner) text() {
	quote := s.doc[s.i : s.i+1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(s.doc[s.i:], long) {
		quote = long
	}
	escapes := quote[0] == '"'
	for s.i += len(quote); s.i < len(s.doc); s.i++ {
		switch {
		case escapes && s.doc[s.i] == '\\':
			s.i++
			if s.i < len(s.doc) && s.doc[s.i] == '\n' {
				s.line++
			}
		case s.doc[s.i] == '\n':
			s.line++
		case strings.HasPrefix(s.doc[s.i:], quote):
			s.i += len(quote)
			for len(quote) == 3 && s.i < len(s.doc) && s.doc[s.i] == quote[0] {
				s.i++ // up to two quotes may stand before the closing three
			}
			return
		}
	}
	s.i = len(s.doc) // an escape at the end
}
