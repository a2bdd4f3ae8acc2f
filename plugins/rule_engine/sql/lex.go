package sql

import (
	"fmt"
	"strings"
)

// Error is a fault of a statement, with its place.
type Error struct {
	Line, Column int // from 1; 0: the fault is of no one place
	Msg          string
	Hint         string // what to do; "" if there is nothing to say
}

// Error is the place, the fault and the hint.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

func errorf(format string, args ...any) error { return &Error{Msg: fmt.Sprintf(format, args...)} }

type tokenKind byte

const (
	tokEnd tokenKind = iota
	tokName
	tokQuoted // "name"
	tokString // 'text'
	tokInt
	tokFloat
	tokSymbol
	tokKeyword
)

// token is a word of the statement. text is a keyword in upper case, a symbol, a
// name or the contents of a string.
type token struct {
	kind         tokenKind
	text         string
	raw          string // as it was written
	line, column int
}

var keywords = map[string]bool{
	"AND": true, "AS": true, "CASE": true, "DO": true, "ELSE": true, "END": true, "FOREACH": true, "FROM": true,
	"IN": true, "INCASE": true, "NOT": true, "OR": true, "SELECT": true, "THEN": true, "WHEN": true, "WHERE": true,
	"DIV": true,
}

// lexer cuts a statement into tokens.
type lexer struct {
	src          string
	pos          int
	line, column int // of pos, from 1
}

// lex returns the tokens, the last of which is tokEnd.
func lex(src string) ([]token, error) {
	l := &lexer{src: src, line: 1, column: 1}
	var toks []token
	for {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		toks = append(toks, t)
		if t.kind == tokEnd {
			return toks, nil
		}
	}
}

func (l *lexer) fault(format string, args ...any) *Error {
	return &Error{Line: l.line, Column: l.column, Msg: fmt.Sprintf(format, args...)}
}

// step goes n bytes on.
func (l *lexer) step(n int) {
	for ; n > 0; n-- {
		switch c := l.src[l.pos]; {
		case c == '\n':
			l.line, l.column = l.line+1, 1
		case c&0xC0 != 0x80: // columns count characters
			l.column++
		}
		l.pos++
	}
}

func (l *lexer) skipBlank() {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			l.step(1)
		case strings.HasPrefix(l.src[l.pos:], "--"):
			for l.pos < len(l.src) && l.src[l.pos] != '\n' {
				l.step(1)
			}
		default:
			return
		}
	}
}

func (l *lexer) next() (token, error) {
	l.skipBlank()
	t := token{line: l.line, column: l.column}
	if l.pos == len(l.src) {
		return t, nil
	}
	switch c := l.src[l.pos]; {
	case letter(c):
		n := 1
		for l.pos+n < len(l.src) && nameByte(l.src[l.pos+n]) {
			n++
		}
		t.kind, t.text = tokName, l.src[l.pos:l.pos+n]
		t.raw = t.text
		l.step(n)
		if upper := strings.ToUpper(t.text); keywords[upper] {
			t.kind, t.text = tokKeyword, upper
		}
		return t, nil
	case digit(c):
		return l.number(t)
	case c == '\'' || c == '"':
		return l.quoted(t, c)
	}
	return l.symbol(t)
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }
func nameByte(c byte) bool {
	return letter(c) || digit(c) || c == '@' || c == '~'
}

func (l *lexer) number(t token) (token, error) {
	rest := l.src[l.pos:]
	n := digits(rest, 0)
	t.kind = tokInt
	if n+1 < len(rest) && rest[n] == '.' && digit(rest[n+1]) {
		t.kind = tokFloat
		n = digits(rest, n+1)
	}
	if n < len(rest) && (rest[n] == 'e' || rest[n] == 'E') {
		k := n + 1
		if k < len(rest) && (rest[k] == '+' || rest[k] == '-') {
			k++
		}
		if k < len(rest) && digit(rest[k]) {
			t.kind = tokFloat
			n = digits(rest, k)
		}
	}
	if n < len(rest) && letter(rest[n]) {
		return t, l.fault("%q is neither a number nor a name", rest[:n+1])
	}
	t.text = rest[:n]
	l.step(n)
	return t, nil
}

// digits is the end of the digits that begin at i.
func digits(s string, i int) int {
	for i < len(s) && digit(s[i]) {
		i++
	}
	return i
}

// quoted reads a string or a quoted name. A doubled quote or one behind a
// backslash is a quote; other backslashes stay as they are.
func (l *lexer) quoted(t token, quote byte) (token, error) {
	t.kind = tokString
	if quote == '"' {
		t.kind = tokQuoted
	}
	var b strings.Builder
	for i := l.pos + 1; i < len(l.src); i++ {
		c := l.src[i]
		next := byte(0)
		if i+1 < len(l.src) {
			next = l.src[i+1]
		}
		switch {
		case c == '\\' && (next == quote || next == '\\'), c == quote && next == quote:
			b.WriteByte(next)
			i++
		case c == quote:
			t.text = b.String()
			l.step(i + 1 - l.pos)
			return t, nil
		default:
			b.WriteByte(c)
		}
	}
	e := l.fault("a %c is opened and never closed", quote)
	e.Hint = "strings are 'quoted' singly, topics in FROM doubly"
	return t, e
}

var symbols = []string{"<>", "!=", "<=", ">=", "=~", "..", "(", ")", "[", "]", ",", ".", "=", "<", ">", "+", "-", "*", "/"}

func (l *lexer) symbol(t token) (token, error) {
	for _, s := range symbols {
		if strings.HasPrefix(l.src[l.pos:], s) {
			t.kind, t.text = tokSymbol, s
			l.step(len(s))
			return t, nil
		}
	}
	r := []rune(l.src[l.pos:min(len(l.src), l.pos+8)])[0]
	e := l.fault("%q has no meaning here", r)
	switch r {
	case ';':
		e.Hint = "a rule is one statement without a semicolon"
	case '%':
		e.Hint = "the remainder is mod(a, b)"
	case '|', '&':
		e.Hint = "write AND, OR"
	case '{':
		e.Hint = "map_new() and map_put() make maps"
	}
	return t, e
}
