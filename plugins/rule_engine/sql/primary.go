package sql

import (
	"strconv"
	"strings"
)

// primary reads a literal, a name, a call, a list, CASE or what is in
// parentheses.
func (p *parser) primary() (expr, error) {
	t := p.peek()
	switch t.kind {
	case tokInt, tokFloat:
		p.take()
		return numberOf(t)
	case tokString:
		p.take()
		return &literal{at: t, val: StringOf(t.text)}, nil
	case tokQuoted:
		p.take()
		return &path{at: t, root: t.text}, nil
	case tokName:
		p.take()
		return p.named(t)
	case tokKeyword:
		if p.keyword("CASE") {
			return p.choice(t)
		}
	case tokSymbol:
		switch {
		case p.symbol("("):
			x, err := p.expression(0)
			if err == nil && !p.symbol(")") {
				err = p.unexpected(")")
			}
			return x, err
		case p.is(tokSymbol, "["):
			if r, ok, err := p.rangeAfter(); ok || err != nil {
				return &span{at: t, from: r[0], to: r[1]}, err
			}
			p.take()
			items, err := p.arguments("]")
			return &list{at: t, items: items}, err
		}
	}
	return nil, p.unexpected("a value")
}

func numberOf(t token) (expr, error) {
	if t.kind == tokInt {
		n, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil {
			return nil, faultAt(t, "%s does not fit in 64 bits", t.text)
		}
		return &literal{at: t, val: IntOf(n)}, nil
	}
	f, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		return nil, faultAt(t, "%s is too large for a float", t.text)
	}
	return &literal{at: t, val: FloatOf(f)}, nil
}

// named is what begins with a name: true, false, a call, a path.
func (p *parser) named(t token) (expr, error) {
	if p.symbol("(") {
		args, err := p.arguments(")")
		return &call{at: t, name: strings.ToLower(t.text), args: args}, err
	}
	switch strings.ToLower(t.text) {
	case "true", "false":
		return &literal{at: t, val: BoolOf(strings.EqualFold(t.text, "true"))}, nil
	}
	return &path{at: t, root: t.text}, nil
}

func (p *parser) choice(t token) (expr, error) {
	c := &choice{at: t}
	var err error
	if !p.is(tokKeyword, "WHEN") {
		if c.on, err = p.expression(0); err != nil {
			return nil, err
		}
	}
	for p.keyword("WHEN") {
		var w when
		if w.cond, err = p.expression(0); err != nil {
			return nil, err
		}
		if !p.keyword("THEN") {
			return nil, p.unexpected("THEN")
		}
		if w.then, err = p.expression(0); err != nil {
			return nil, err
		}
		c.whens = append(c.whens, w)
	}
	if c.whens == nil {
		return nil, p.unexpected("WHEN")
	}
	if p.keyword("ELSE") {
		if c.orElse, err = p.expression(0); err != nil {
			return nil, err
		}
	}
	if !p.keyword("END") {
		return nil, p.unexpected("WHEN, ELSE or END")
	}
	return c, nil
}
