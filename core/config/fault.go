package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	File string // or the variable of the environment, or the flag
	Line int    // 0: no line is to blame (a key is missing)
	Key  string // the key path; "" when the text itself is broken
	Text string // what is wrong, and what to write

	layer int // where it stands in the order of faults
}

// Error is "file:line: key: what is wrong".
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(cmp.Or(f.File, "configuration"))
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Text)
	return b.String()
}

// Faults is every fault of a configuration, by layer and line. It is the error of [Load].
type Faults []Fault

// Error is one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted orders by layer and line; faults of what is missing come last.
func (fs Faults) sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		missing := func(f Fault) bool { return f.Line == 0 && f.layer == 0 }
		if missing(a) != missing(b) {
			return cmp.Compare(b.Line+b.layer, a.Line+a.layer)
		}
		return cmp.Or(cmp.Compare(a.layer, b.layer), cmp.Compare(a.Line, b.Line), cmp.Compare(a.File, b.File))
	})
	return fs
}
