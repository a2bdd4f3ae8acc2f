// Package template fills texts like "repub/to/${clientid}" with the fields that a
// rule has selected (emqx4 §7.4). It owns the syntax of ${a.b[1]}. It refuses to
// know where the text goes; Prepare leaves the values out, for whoever has
// placeholders of its own.
package template

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
)

// Template is a parsed text. It is immutable.
type Template struct {
	parts []part
}

// part is a text or a path.
type part struct {
	text string
	path *Path // nil: text
}

// Path is a place in the fields: a.b[1]. Elements of arrays count from 1, from
// the end with -1.
type Path struct {
	source string
	keys   []key
}

type key struct {
	name  string
	index int // 0: name
}

// Parse reads a template. "${}" and "${.}" are all fields as JSON; "$${" is a
// plain "${".
func Parse(s string) (*Template, error) {
	t := &Template{}
	for at := 0; s != ""; {
		i := strings.Index(s, "${")
		if i < 0 {
			t.text(s)
			break
		}
		if i > 0 && s[i-1] == '$' {
			t.text(s[:i-1] + "${")
			s, at = s[i+2:], at+i+2
			continue
		}
		t.text(s[:i])
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			return nil, fmt.Errorf("character %d: ${ is opened and never closed", at+i+1)
		}
		p, err := ParsePath(s[i+2 : i+end])
		if err != nil {
			return nil, fmt.Errorf("character %d: %w", at+i+1, err)
		}
		t.parts = append(t.parts, part{path: p})
		s, at = s[i+end+1:], at+i+end+1
	}
	return t, nil
}

func (t *Template) text(s string) {
	if n := len(t.parts); n > 0 && t.parts[n-1].path == nil {
		t.parts[n-1].text += s
		return
	}
	if s != "" {
		t.parts = append(t.parts, part{text: s})
	}
}

// ParsePath reads a.b[1].
func ParsePath(s string) (*Path, error) {
	p := &Path{source: s}
	if s = strings.TrimSpace(s); s == "" || s == "." {
		return p, nil
	}
	for name := range strings.SplitSeq(s, ".") {
		name, rest, indexed := strings.Cut(name, "[")
		if name == "" {
			return nil, fmt.Errorf("${%s}: a name is empty", p.source)
		}
		p.keys = append(p.keys, key{name: name})
		for indexed {
			var num string
			var closed bool
			num, rest, closed = strings.Cut(rest, "]")
			n, err := strconv.Atoi(num)
			if !closed || err != nil || n == 0 {
				return nil, fmt.Errorf("${%s}: an index is a number in brackets, from 1, or from the end with -1", p.source)
			}
			p.keys = append(p.keys, key{index: n})
			if rest == "" {
				break
			}
			if rest[0] != '[' {
				return nil, fmt.Errorf("${%s}: %q stands behind an index", p.source, rest)
			}
			rest = rest[1:]
		}
	}
	return p, nil
}

// Get is what lies there; undefined if there is nothing.
func (p *Path) Get(row *sql.Map) sql.Value {
	if len(p.keys) == 0 {
		return sql.ObjectOf(row)
	}
	v := row.Get(p.keys[0].name) // a path begins with a name
	for _, k := range p.keys[1:] {
		if k.index == 0 {
			m := v.Map()
			if m == nil {
				return sql.Value{}
			}
			v = m.Get(k.name)
			continue
		}
		items := v.Items()
		i := k.index - 1
		if k.index < 0 {
			i = len(items) + k.index
		}
		if i < 0 || i >= len(items) {
			return sql.Value{}
		}
		v = items[i]
	}
	return v
}

// String is the path as it was written.
func (p *Path) String() string { return p.source }

// Append appends the text with its values: strings as they are, numbers in
// decimal, maps and arrays as JSON, what is not there as "undefined", as EMQ X
// writes it.
func (t *Template) Append(dst []byte, row *sql.Map) []byte {
	for _, p := range t.parts {
		if p.path == nil {
			dst = append(dst, p.text...)
			continue
		}
		dst = p.path.Get(row).AppendText(dst)
	}
	return dst
}

// Text is Append as a string.
func (t *Template) Text(row *sql.Map) string {
	if len(t.parts) == 1 && t.parts[0].path == nil {
		return t.parts[0].text
	}
	return string(t.Append(nil, row))
}

// Constant tells whether the text has no values.
func (t *Template) Constant() bool {
	return len(t.parts) == 0 || len(t.parts) == 1 && t.parts[0].path == nil
}

// Prepare is the text with mark(1), mark(2), ... in place of the values, and the
// paths of the values: what a database prepares, so that no value is ever part
// of a statement. Quotes around a value, '${a}', are left out.
func (t *Template) Prepare(mark func(n int) string) (text string, paths []*Path) {
	var b strings.Builder
	quoted := false
	for i, p := range t.parts {
		if p.path == nil {
			s := p.text
			if quoted {
				s = s[1:]
			}
			quoted = i+1 < len(t.parts) && strings.HasSuffix(s, "'") && i+2 < len(t.parts) && strings.HasPrefix(t.parts[i+2].text, "'")
			if quoted {
				s = s[:len(s)-1]
			}
			b.WriteString(s)
			continue
		}
		paths = append(paths, p.path)
		b.WriteString(mark(len(paths)))
	}
	return b.String(), paths
}
