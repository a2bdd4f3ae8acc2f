package sql

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxText is the most bytes of a string that a function makes.
const MaxText = 4 << 20

func tooLong(n int) error {
	return errorf("the result has %d bytes, at most %d are allowed", n, MaxText)
}

var stringFunctions = map[string]function{
	"lower":   onText(func(s string) Value { return StringOf(strings.ToLower(s)) }),
	"upper":   onText(func(s string) Value { return StringOf(strings.ToUpper(s)) }),
	"trim":    onText(func(s string) Value { return StringOf(strings.TrimSpace(s)) }),
	"ltrim":   onText(func(s string) Value { return StringOf(strings.TrimLeftFunc(s, unicode.IsSpace)) }),
	"rtrim":   onText(func(s string) Value { return StringOf(strings.TrimRightFunc(s, unicode.IsSpace)) }),
	"reverse": onText(func(s string) Value { return StringOf(reversed(s)) }),
	"strlen":  onText(func(s string) Value { return IntOf(int64(utf8.RuneCountInString(s))) }),
	"ascii": pure(1, 1, func(args []Value) (Value, error) {
		s, err := text(args, 0)
		if err != nil || s == "" {
			return Value{}, errorf("argument 1 is a string of at least one character")
		}
		r, _ := utf8.DecodeRuneInString(s)
		return IntOf(int64(r)), nil
	}),
	"substr": pure(2, 3, substr),
	"split":  pure(2, 3, split),
	"tokens": pure(2, 3, tokens),
	"concat": pure(1, maxArgs, func(args []Value) (Value, error) { return joined(args, "") }),
	"join_to_string": pure(1, 2, func(args []Value) (Value, error) {
		sep := ", "
		if len(args) == 2 {
			sep, args = args[0].Text(), args[1:]
		}
		if args[0].kind != Array {
			return Value{}, errorf("an array is wanted, not %s", args[0].kind)
		}
		return joined(args[0].Items(), sep)
	}),
	"sprintf":       pure(1, maxArgs, sprintf),
	"pad":           pure(2, 4, pad),
	"replace":       pure(3, 4, replace),
	"find":          pure(2, 3, find),
	"regex_match":   {min: 2, max: 2, call: regexMatch},
	"regex_replace": {min: 3, max: 3, call: regexReplace},
}

func reversed(s string) string {
	runes := []rune(s)
	for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
		runes[i], runes[j] = runes[j], runes[i]
	}
	return string(runes)
}

func joined(items []Value, sep string) (Value, error) {
	var b strings.Builder
	for i, item := range items {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(item.Text())
		if b.Len() > MaxText {
			return Value{}, tooLong(b.Len())
		}
	}
	return StringOf(b.String()), nil
}

// substr is substr(s, start[, length]) in characters; start counts from 0, from
// the end if negative.
func substr(args []Value) (Value, error) {
	s, err := text(args, 0)
	if err != nil {
		return Value{}, err
	}
	start, err := whole(args, 1)
	if err != nil {
		return Value{}, err
	}
	runes := []rune(s)
	n := int64(len(runes))
	if start < 0 {
		start = max(0, n+start)
	}
	start = min(start, n)
	end := n
	if len(args) == 3 {
		length, err := whole(args, 2)
		if err != nil {
			return Value{}, err
		}
		end = min(n, start+max(0, min(length, n)))
	}
	return StringOf(string(runes[start:end])), nil
}

// split is split(s, separator[, mode]): all, leading or trailing, each with
// "notrim" keeping empty parts.
func split(args []Value) (Value, error) {
	s, err := text(args, 0)
	if err != nil {
		return Value{}, err
	}
	sep, err := text(args, 1)
	if err != nil {
		return Value{}, err
	}
	mode := word(args, 2, "trim")
	keep := strings.HasSuffix(mode, "notrim")
	var parts []string
	switch strings.TrimSuffix(strings.TrimSuffix(mode, "notrim"), "_") {
	case "", "trim":
		parts = cut(s, sep)
	case "leading":
		if i := strings.Index(s, sep); i >= 0 && sep != "" {
			parts = []string{s[:i], s[i+len(sep):]}
		} else {
			parts = []string{s}
		}
	case "trailing":
		if i := strings.LastIndex(s, sep); i >= 0 && sep != "" {
			parts = []string{s[:i], s[i+len(sep):]}
		} else {
			parts = []string{s}
		}
	default:
		return Value{}, errorf("the mode is leading, trailing, notrim, leading_notrim or trailing_notrim, not %s", clip(mode))
	}
	return texts(parts, keep), nil
}

func cut(s, sep string) []string {
	if sep == "" {
		return []string{s}
	}
	return strings.Split(s, sep)
}

func texts(parts []string, keepEmpty bool) Value {
	items := make([]Value, 0, len(parts))
	for _, part := range parts {
		if part != "" || keepEmpty {
			items = append(items, StringOf(part))
		}
	}
	return ArrayOf(items)
}

// tokens is tokens(s, separators[, 'nocrlf']): any of the characters separates,
// with nocrlf line ends too.
func tokens(args []Value) (Value, error) {
	s, err := text(args, 0)
	if err != nil {
		return Value{}, err
	}
	seps, err := text(args, 1)
	if err != nil {
		return Value{}, err
	}
	switch mode := word(args, 2, ""); mode {
	case "":
	case "nocrlf":
		seps += "\r\n"
	default:
		return Value{}, errorf("the mode is nocrlf, not %s", clip(mode))
	}
	return texts(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(seps, r) }), false), nil
}

// pad is pad(s, length[, side[, fill]]); side is trailing, leading or both.
func pad(args []Value) (Value, error) {
	s, err := text(args, 0)
	if err != nil {
		return Value{}, err
	}
	n, err := whole(args, 1)
	if err != nil {
		return Value{}, err
	}
	fill := " "
	if len(args) == 4 {
		if fill, err = text(args, 3); err != nil {
			return Value{}, err
		}
	}
	lack := int(min(max(0, n-int64(utf8.RuneCountInString(s))), MaxText+1))
	if size := len(s) + lack*len(fill); size > MaxText {
		return Value{}, tooLong(size)
	}
	switch side := word(args, 2, "trailing"); side {
	case "trailing":
		return StringOf(s + strings.Repeat(fill, lack)), nil
	case "leading":
		return StringOf(strings.Repeat(fill, lack) + s), nil
	case "both":
		return StringOf(strings.Repeat(fill, lack/2) + s + strings.Repeat(fill, lack-lack/2)), nil
	default:
		return Value{}, errorf("the side is trailing, leading or both, not %s", clip(side))
	}
}

// replace is replace(s, what, with[, where]); where is all, leading or trailing.
func replace(args []Value) (Value, error) {
	var parts [3]string
	for i := range parts {
		var err error
		if parts[i], err = text(args, i); err != nil {
			return Value{}, err
		}
	}
	s, old, with := parts[0], parts[1], parts[2]
	if old == "" {
		return StringOf(s), nil
	}
	n := 1
	switch where := word(args, 3, "all"); where {
	case "all":
		n = -1
		if size := len(s) + strings.Count(s, old)*(len(with)-len(old)); size > MaxText {
			return Value{}, tooLong(size)
		}
	case "leading":
	case "trailing":
		if at := strings.LastIndex(s, old); at >= 0 {
			return StringOf(s[:at] + with + s[at+len(old):]), nil
		}
	default:
		return Value{}, errorf("where is all, leading or trailing, not %s", clip(where))
	}
	return StringOf(strings.Replace(s, old, with, n)), nil
}

// find is find(s, what[, from]): the string from where it is found on, "" if it
// is not; from is leading or trailing.
func find(args []Value) (Value, error) {
	s, err := text(args, 0)
	if err != nil {
		return Value{}, err
	}
	what, err := text(args, 1)
	if err != nil {
		return Value{}, err
	}
	var i int
	switch from := word(args, 2, "leading"); from {
	case "leading":
		i = strings.Index(s, what)
	case "trailing":
		i = strings.LastIndex(s, what)
	default:
		return Value{}, errorf("the direction is leading or trailing, not %s", clip(from))
	}
	if i < 0 {
		return StringOf(""), nil
	}
	return StringOf(s[i:]), nil
}
