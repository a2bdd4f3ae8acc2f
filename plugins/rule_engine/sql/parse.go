package sql

import (
	"fmt"
	"strconv"
	"strings"
)

// The limits of a statement.
const (
	// MaxLength is the most bytes of a statement.
	MaxLength = 64 << 10
	// maxNesting bounds parentheses, CASEs and calls within each other.
	maxNesting = 100
)

// parser reads a statement from its tokens: recursive descent, and by
// precedence within expressions.
type parser struct {
	toks  []token
	pos   int
	depth int
}

// parse reads a statement.
func parse(src string) (*statement, error) {
	if len(src) > MaxLength {
		return nil, errorf("the statement has %d bytes, at most %d are allowed", len(src), MaxLength)
	}
	toks, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{toks: toks}
	return p.statement()
}

func (p *parser) peek() token { return p.toks[p.pos] }

func (p *parser) take() token {
	t := p.toks[p.pos]
	if t.kind != tokEnd {
		p.pos++
	}
	return t
}

func (p *parser) is(kind tokenKind, text string) bool {
	t := p.peek()
	return t.kind == kind && t.text == text
}

func (p *parser) keyword(word string) bool { return p.accept(tokKeyword, word) }
func (p *parser) symbol(s string) bool     { return p.accept(tokSymbol, s) }

func (p *parser) accept(kind tokenKind, text string) bool {
	if !p.is(kind, text) {
		return false
	}
	p.pos++
	return true
}

func faultAt(t token, format string, args ...any) *Error {
	return &Error{Line: t.line, Column: t.column, Msg: fmt.Sprintf(format, args...)}
}

// unexpected says what was found instead of what was wanted.
func (p *parser) unexpected(wanted string) *Error {
	t := p.peek()
	if t.kind == tokEnd {
		return faultAt(t, "the statement ends where %s is wanted", wanted)
	}
	found := t.text
	if t.kind == tokString {
		found = "'" + found + "'"
	}
	return faultAt(t, "%s is wanted, not %q", wanted, found)
}

// The strength of operators, from weak to strong (emqx4 §7.1).
const (
	weakOr = iota + 1
	weakAnd
	weakNot
	weakCompare
	weakSum
	weakProduct
	weakUnary
)

func strength(t token) int {
	switch t.kind {
	case tokKeyword:
		switch t.text {
		case "OR":
			return weakOr
		case "AND":
			return weakAnd
		case "IN", "NOT":
			return weakCompare
		case "DIV":
			return weakProduct
		}
	case tokSymbol:
		switch t.text {
		case "=", "=~", "!=", "<>", "<", ">", "<=", ">=":
			return weakCompare
		case "+", "-":
			return weakSum
		case "*", "/":
			return weakProduct
		}
	}
	return 0
}

// expression reads operators that are stronger than weak.
func (p *parser) expression(weak int) (expr, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, faultAt(p.peek(), "nested deeper than %d levels", maxNesting)
	}
	defer func() { p.depth-- }()
	l, err := p.prefix()
	if err != nil {
		return nil, err
	}
	for {
		t := p.peek()
		s := strength(t)
		if s == 0 || s <= weak {
			return l, nil
		}
		p.take()
		switch {
		case t.kind == tokKeyword && (t.text == "IN" || t.text == "NOT"):
			l, err = p.member(t, l)
		default:
			var r expr
			if r, err = p.expression(s); err == nil {
				l = &binary{at: t, op: strings.ToLower(t.text), l: l, r: r}
			}
		}
		if err != nil {
			return nil, err
		}
		if s == weakCompare && strength(p.peek()) == weakCompare {
			e := p.unexpected("AND or OR")
			e.Hint = "comparisons do not chain: write a < b AND b < c"
			return nil, e
		}
	}
}

func (p *parser) member(t token, x expr) (expr, error) {
	m := &member{x: x, not: t.text == "NOT"}
	if m.not && !p.keyword("IN") {
		return nil, p.unexpected("IN")
	}
	if !p.symbol("(") {
		return nil, p.unexpected("(")
	}
	var err error
	m.items, err = p.arguments(")")
	return m, err
}

// arguments reads expressions until the closing symbol.
func (p *parser) arguments(end string) (args []expr, err error) {
	if p.symbol(end) {
		return nil, nil
	}
	for {
		x, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		args = append(args, x)
		if p.symbol(end) {
			return args, nil
		}
		if !p.symbol(",") {
			return nil, p.unexpected(", or " + end)
		}
	}
}

func (p *parser) prefix() (expr, error) {
	t := p.peek()
	switch {
	case p.keyword("NOT"):
		x, err := p.expression(weakNot - 1)
		return &unary{at: t, op: "not", x: x}, err
	case p.symbol("-"):
		x, err := p.expression(weakUnary)
		return &unary{at: t, op: "-", x: x}, err
	case p.symbol("+"):
		return p.expression(weakUnary)
	}
	x, err := p.primary()
	if err != nil {
		return nil, err
	}
	return p.postfix(x)
}

// postfix reads [a..b], [i] and .key behind a value.
func (p *parser) postfix(x expr) (expr, error) {
	switch x.(type) {
	case *literal, *list, *span:
		return x, nil
	}
	for {
		at := p.peek()
		if r, ok, err := p.rangeAfter(); err != nil {
			return nil, err
		} else if ok {
			x = &span{at: at, x: x, from: r[0], to: r[1]}
			continue
		}
		steps, err := p.steps()
		if err != nil || steps == nil {
			return x, err
		}
		if v, ok := x.(*path); ok && v.steps == nil {
			v.steps = steps
			continue
		}
		x = &within{x: x, steps: steps}
	}
}

// rangeAfter reads [a..b] if that is what comes.
func (p *parser) rangeAfter() (r [2]int64, ok bool, err error) {
	start := p.pos
	if !p.symbol("[") {
		return r, false, nil
	}
	from, isInt := p.integer()
	if !isInt || !p.symbol("..") {
		p.pos = start
		return r, false, nil
	}
	to, isInt := p.integer()
	if !isInt {
		return r, false, p.unexpected("a number")
	}
	if !p.symbol("]") {
		return r, false, p.unexpected("]")
	}
	return [2]int64{from, to}, true, nil
}

func (p *parser) integer() (int64, bool) {
	start := p.pos
	sign := ""
	if p.symbol("-") {
		sign = "-"
	}
	if t := p.take(); t.kind == tokInt {
		if n, err := strconv.ParseInt(sign+t.text, 10, 64); err == nil {
			return n, true
		}
	}
	p.pos = start
	return 0, false
}

// steps reads .key and [index] as often as they come; nil: none came.
func (p *parser) steps() (steps []step, err error) {
	for {
		start := p.pos
		switch {
		case p.symbol("."):
			more, err := p.keys()
			if err != nil {
				return nil, err
			}
			steps = append(steps, more...)
		case p.symbol("["):
			if _, isInt := p.integer(); isInt && p.is(tokSymbol, "..") {
				p.pos = start
				return steps, nil
			}
			p.pos = start + 1
			x, err := p.expression(0)
			if err != nil {
				return nil, err
			}
			if !p.symbol("]") {
				return nil, p.unexpected("]")
			}
			steps = append(steps, step{index: x})
		default:
			return steps, nil
		}
	}
}

// keys is what stands behind a dot. A float is two keys: a.1.2.
func (p *parser) keys() ([]step, error) {
	t := p.peek()
	switch t.kind {
	case tokName, tokQuoted, tokString, tokInt:
		p.take()
		return []step{{key: t.text}}, nil
	case tokKeyword:
		p.take()
		return []step{{key: t.raw}}, nil
	case tokFloat:
		p.take()
		a, b, _ := strings.Cut(t.text, ".")
		return []step{{key: a}, {key: b}}, nil
	}
	return nil, p.unexpected("a key")
}
