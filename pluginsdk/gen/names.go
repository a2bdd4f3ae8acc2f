package main

import (
	"fmt"
	"strings"
	"unicode"
)

// snake writes a Go name as client_id.
func snake(name string) string {
	var b strings.Builder
	rs := []rune(name)
	for i, r := range rs {
		if unicode.IsUpper(r) && i > 0 {
			before, after := rs[i-1], rune(0)
			if i+1 < len(rs) {
				after = rs[i+1]
			}
			plural := after == 's' && (i+2 == len(rs) || unicode.IsUpper(rs[i+2])) // IDs
			if unicode.IsLower(before) || unicode.IsLower(after) && !plural && unicode.IsUpper(before) {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	s := strings.ReplaceAll(b.String(), "qo_s", "qos")
	return s
}

// camel writes client_id as clientId.
func camel(name string) string {
	p := pascal(name)
	return strings.ToLower(p[:1]) + p[1:]
}

// pascal writes client_id as ClientId.
func pascal(name string) string {
	var b strings.Builder
	for _, w := range strings.Split(name, "_") {
		if w != "" {
			b.WriteString(strings.ToUpper(w[:1]) + w[1:])
		}
	}
	return b.String()
}

// upper writes client_id as CLIENT_ID.
func upper(name string) string { return strings.ToUpper(name) }

// kindOrder is the order of constants in every language.
var kindOrder = []string{
	"size", "max", "hook", "slot", "flag", "origin", "action", "verdict", "cache", "ext", "reason", "permit", "keep", "no",
	"errno", "log", "metric", "kind", "call", "feature", "schedule",
}

// text collects lines.
type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }
