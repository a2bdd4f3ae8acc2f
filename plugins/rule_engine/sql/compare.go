package sql

import (
	"strconv"
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/topic"
)

// toNumber reads a number from text, as a comparison of a number with a string
// does.
func toNumber(s string) (Value, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return IntOf(n), nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && numeral(s) {
		return FloatOf(f), nil
	}
	return Value{}, errorf("%s is not a number", clip(s))
}

// numeral leaves out what ParseFloat reads and EMQ X does not: inf, nan, hex.
func numeral(s string) bool {
	return strings.Trim(s, "0123456789+-.eE") == ""
}

// alike makes both sides of a comparison one type: text that meets a number is
// read as one, an atom that meets text is its word.
func alike(l, r Value) (Value, Value, error) {
	var err error
	switch {
	case l.number() && r.kind == String:
		r, err = toNumber(r.str)
	case l.kind == String && r.number():
		l, err = toNumber(l.str)
	case l.atom() && r.kind == String:
		l = StringOf(l.atomText())
	case l.kind == String && r.atom():
		r = StringOf(r.atomText())
	}
	return l, r, err
}

// equal is = of two values of whatever kinds.
func equal(l, r Value) (bool, error) {
	if l.kind == Undefined || r.kind == Undefined {
		return l.kind == r.kind, nil
	}
	l, r, err := alike(l, r)
	return err == nil && order(l, r) == 0, err
}

// compare is one of = != <> < > <= >= =~.
func compare(op string, l, r Value) (bool, error) {
	switch op {
	case "=":
		return equal(l, r)
	case "!=", "<>":
		is, err := equal(l, r)
		return !is && err == nil, err
	case "=~":
		return matches(l, r)
	}
	if l.kind == Undefined || r.kind == Undefined {
		return false, nil
	}
	l, r, err := alike(l, r)
	if err != nil {
		return false, err
	}
	switch c := order(l, r); op {
	case "<":
		return c < 0, nil
	case ">":
		return c > 0, nil
	case "<=":
		return c <= 0, nil
	default:
		return c >= 0, nil
	}
}

// matches is =~: does the topic on the left match the filter on the right?
func matches(l, r Value) (bool, error) {
	if l.kind == Undefined || r.kind == Undefined {
		return l.kind == r.kind, nil
	}
	if l.kind != String || r.kind != String {
		return false, errorf("=~ compares a topic with a filter, not %s with %s", l.kind, r.kind)
	}
	return topic.Match(r.str, l.str), nil
}

// order compares as Erlang orders terms: -1, 0, 1.
func order(l, r Value) int {
	if l.number() && r.number() {
		return orderNumbers(l, r)
	}
	if a, b := rank(l), rank(r); a != b {
		return sign(a - b)
	}
	switch l.kind {
	case String:
		return strings.Compare(l.str, r.str)
	case Array:
		return orderItems(l.ref.items, r.ref.items)
	case Object:
		return orderMaps(l.ref.m, r.ref.m)
	}
	return strings.Compare(l.atomText(), r.atomText())
}

func rank(v Value) int {
	switch v.kind {
	case Int, Float:
		return 0
	case Object:
		return 2
	case Array:
		return 3
	case String:
		return 4
	}
	return 1
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func orderNumbers(l, r Value) int {
	if l.kind == Int && r.kind == Int {
		switch {
		case l.num < r.num:
			return -1
		case l.num > r.num:
			return 1
		}
		return 0
	}
	a, b := l.Float(), r.Float()
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func orderItems(l, r []Value) int {
	for i := range min(len(l), len(r)) {
		if c := order(l[i], r[i]); c != 0 {
			return c
		}
	}
	return sign(len(l) - len(r))
}

// orderMaps compares the number of keys, then, for equal keys, the values; maps
// with other keys are ordered by their text, which is enough to tell them apart.
func orderMaps(l, r *Map) int {
	if c := sign(l.Len() - r.Len()); c != 0 {
		return c
	}
	for i := range l.keys {
		if !r.Has(l.keys[i]) {
			return strings.Compare(string(l.AppendJSON(nil)), string(r.AppendJSON(nil)))
		}
		if c := order(l.vals[i], r.Get(l.keys[i])); c != 0 {
			return c
		}
	}
	return 0
}

// truth is a condition's answer. What is neither a boolean nor reads as one is a
// fault of the rule.
func truth(v Value) (bool, error) {
	switch v.kind {
	case Bool:
		return v.num == 1, nil
	case Int:
		if v.num == 0 || v.num == 1 {
			return v.num == 1, nil
		}
	case Float:
		if f := v.Float(); f == 0 || f == 1 {
			return f == 1, nil
		}
	case String:
		switch v.str {
		case "true", "false":
			return v.str == "true", nil
		}
	}
	return false, errorf("a condition is true or false, not %s %s", v.kind, clip(v.Text()))
}
