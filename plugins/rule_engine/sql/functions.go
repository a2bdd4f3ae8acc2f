package sql

import (
	"fmt"
	"sort"
	"strings"
)

// function is a built-in (emqx4 §7.3). args are valid for the call only; their
// number has been checked.
type function struct {
	min, max int
	effect   bool // it changes something
	call     func(e *env, args []Value) (Value, error)
}

// arity is how many arguments it takes, in words.
func (f *function) arity() string {
	switch {
	case f.min == f.max && f.min == 1:
		return "1 argument"
	case f.min == f.max:
		return fmt.Sprintf("%d arguments", f.min)
	}
	return fmt.Sprintf("%d to %d arguments", f.min, f.max)
}

// maxArgs bounds functions that take any number of arguments.
const maxArgs = 64

// functions are all built-ins by name.
var functions = gather(messageFunctions, mathFunctions, bitFunctions, typeFunctions, stringFunctions,
	mapFunctions, codecFunctions, storeFunctions, dateFunctions)

func gather(families ...map[string]function) map[string]*function {
	all := map[string]*function{}
	for _, family := range families {
		for name, f := range family {
			all[name] = &f
		}
	}
	return all
}

// Functions are the names of all built-ins in their order.
func Functions() []string {
	names := make([]string, 0, len(functions))
	for name := range functions {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// nearest is the function whose name is at most two letters from the given one.
func nearest(name string) string {
	best, least := "", 3
	for _, known := range Functions() {
		if d := distance(name, known); d < least {
			best, least = known, d
		}
	}
	return best
}

// distance counts the letters to change, add or leave out, up to a handful.
func distance(a, b string) int {
	if d := len(a) - len(b); d > 3 || d < -3 || len(a) > 64 {
		return 4
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}

// pure is a function of its arguments alone.
func pure(least, most int, call func(args []Value) (Value, error)) function {
	return function{min: least, max: most, call: func(_ *env, args []Value) (Value, error) { return call(args) }}
}

// text is the i-th argument, which has to be a string.
func text(args []Value, i int) (string, error) {
	if args[i].kind != String {
		return "", errorf("argument %d is a string, not %s", i+1, args[i].kind)
	}
	return args[i].str, nil
}

// whole is the i-th argument, which has to be a whole number.
func whole(args []Value, i int) (int64, error) {
	if args[i].kind != Int {
		return 0, errorf("argument %d is a whole number, not %s", i+1, args[i].kind)
	}
	return args[i].num, nil
}

// word is the i-th argument in lower case if there is one: a mode.
func word(args []Value, i int, otherwise string) string {
	if i >= len(args) {
		return otherwise
	}
	return strings.ToLower(args[i].Text())
}

// onText is a function of one string.
func onText(f func(string) Value) function {
	return pure(1, 1, func(args []Value) (Value, error) {
		s, err := text(args, 0)
		if err != nil {
			return Value{}, err
		}
		return f(s), nil
	})
}
