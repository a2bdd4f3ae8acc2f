package main

import (
	"errors"
	"strconv"
	"strings"
)

// kind is what sort of Erlang term a term is.
type kind byte

const (
	atom kind = iota
	text      // "..." or <<"...">>
	list
	tuple
)

// term is one Erlang term of acl.conf with its place.
type term struct {
	kind   kind
	text   string // of an atom or text
	binary bool   // text: it was written <<"...">>
	quoted bool   // atom: it was written in quotes
	items  []term // of a list or tuple
	at     int    // byte offset
}

// is tells whether t is the atom name.
func (t *term) is(name string) bool { return t.kind == atom && t.text == name }

// Bounds of a file.
const (
	maxText  = 1 << 20
	maxDepth = 32 // of nested terms
)

// fault is what is wrong at a place of the text.
type fault struct {
	at   int
	text string
}

// place is "line:column"; both count from 1, columns in bytes.
func place(src string, at int) string {
	at = min(at, len(src))
	line := strings.Count(src[:at], "\n")
	return strconv.Itoa(line+1) + ":" + strconv.Itoa(at-strings.LastIndexByte(src[:at], '\n'))
}

// parser reads terms, each ended by a full stop. The first fault ends it: what
// follows a broken term cannot be told apart from it.
type parser struct {
	src string
	pos int
}

// terms reads all terms of src.
func terms(src string) ([]term, *fault) {
	if len(src) > maxText {
		return nil, &fault{maxText, "the rules are longer than 1 MiB"}
	}
	p := &parser{src: src}
	if strings.HasPrefix(src, "\xef\xbb\xbf") {
		p.pos = 3
	}
	var all []term
	for {
		p.blank()
		if p.pos == len(p.src) {
			return all, nil
		}
		t, f := p.term(0)
		if f != nil {
			return nil, f
		}
		p.blank()
		if p.peek() != '.' {
			return nil, p.want("a full stop after the rule")
		}
		p.pos++
		all = append(all, t)
	}
}

// blank skips white space and comments.
func (p *parser) blank() {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == '%':
			if i := strings.IndexByte(p.src[p.pos:], '\n'); i >= 0 {
				p.pos += i
			} else {
				p.pos = len(p.src)
			}
		case c <= ' ':
			p.pos++
		default:
			return
		}
	}
}

// peek is the next byte; 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

// want is the fault of finding something else than what.
func (p *parser) want(what string) *fault {
	found := "the end of the file"
	if p.pos < len(p.src) {
		found = strconv.QuoteRune([]rune(p.src[p.pos:min(len(p.src), p.pos+4)])[0])
	}
	return &fault{p.pos, "want " + what + ", found " + found}
}

func (p *parser) term(depth int) (term, *fault) {
	if depth > maxDepth {
		return term{}, &fault{p.pos, "terms are nested too deeply"}
	}
	at := p.pos
	switch c := p.peek(); {
	case c == '{':
		items, f := p.items('}', depth)
		return term{kind: tuple, items: items, at: at}, f
	case c == '[':
		items, f := p.items(']', depth)
		return term{kind: list, items: items, at: at}, f
	case c == '"':
		s, f := p.quoted('"')
		return term{kind: text, text: s, at: at}, f
	case c == '\'':
		s, f := p.quoted('\'')
		return term{kind: atom, text: s, quoted: true, at: at}, f
	case strings.HasPrefix(p.src[p.pos:], "<<"):
		return p.binary()
	case c >= 'a' && c <= 'z':
		for c := p.peek(); c == '_' || c == '@' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'; c = p.peek() {
			p.pos++
		}
		return term{kind: atom, text: p.src[at:p.pos], at: at}, nil
	}
	return term{}, p.want("a term")
}

// items reads what stands between brackets, after the opening one.
func (p *parser) items(end byte, depth int) ([]term, *fault) {
	p.pos++
	if p.blank(); p.peek() == end {
		p.pos++
		return nil, nil
	}
	var items []term
	for {
		p.blank()
		t, f := p.term(depth + 1)
		if f != nil {
			return nil, f
		}
		items = append(items, t)
		switch p.blank(); p.peek() {
		case ',':
			p.pos++
		case end:
			p.pos++
			return items, nil
		default:
			return nil, p.want("',' or '" + string(end) + "'")
		}
	}
}

// binary reads <<"...">>, also with /utf8.
func (p *parser) binary() (term, *fault) {
	at := p.pos
	p.pos += 2
	if p.blank(); p.peek() != '"' {
		return term{}, p.want(`a text after <<`)
	}
	s, f := p.quoted('"')
	if f != nil {
		return term{}, f
	}
	if strings.HasPrefix(p.src[p.pos:], "/utf8") {
		p.pos += len("/utf8")
	}
	if p.blank(); !strings.HasPrefix(p.src[p.pos:], ">>") {
		return term{}, p.want("'>>'")
	}
	p.pos += 2
	return term{kind: text, text: s, binary: true, at: at}, nil
}

// escapes of Erlang that stand for one byte.
var escapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 's': ' ', 'b': '\b', 'f': '\f', 'v': '\v', 'e': 0x1b, 'd': 0x7f, '0': 0}

// quoted reads a text or atom in quotes. A line end inside is most likely a
// missing quote, and refused.
func (p *parser) quoted(quote byte) (string, *fault) {
	at := p.pos
	p.pos++
	var b strings.Builder
	for {
		switch c := p.peek(); {
		case p.pos == len(p.src) || c == '\n':
			return "", &fault{at, "the closing " + string(quote) + " is missing"}
		case c == quote:
			p.pos++
			return b.String(), nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", &fault{p.pos, err.Error()}
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
			p.pos++
		}
	}
}

// escape reads what follows a backslash.
func (p *parser) escape() (rune, error) {
	rest := p.src[p.pos+1:]
	switch {
	case strings.HasPrefix(rest, "x{"):
		end := strings.IndexByte(rest, '}')
		n, err := strconv.ParseUint(rest[2:max(end, 2)], 16, 21)
		if err != nil {
			return 0, errors.New(`want \x{...} with a code point`)
		}
		p.pos += 1 + end + 1
		return rune(n), nil
	case rest == "" || rest[0] == '\n':
		return 0, errors.New("a backslash at the end of a line")
	case rest[0] == '0' || rest[0] >= 'a' && rest[0] <= 'z':
		c, ok := escapes[rest[0]]
		if !ok {
			return 0, errors.New("unknown escape \\" + rest[:1])
		}
		p.pos += 2
		return rune(c), nil
	case rest[0] >= 0x80:
		return 0, errors.New("unknown escape")
	}
	p.pos += 2
	return rune(rest[0]), nil
}
