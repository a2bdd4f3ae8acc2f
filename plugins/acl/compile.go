package main

import (
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// compile appends what the rules say of one client as a permission list, in the
// order of the rules. Rules that are about other clients are left out, and so is
// what follows a rule that decides everything.
func compile(dst []contract.Permission, rules []rule, c *client) []contract.Permission {
	for i := range rules {
		r := &rules[i]
		if !r.who.covers(c) {
			continue
		}
		line := contract.Permission{Publish: r.publish, Subscribe: r.subscribe, Allow: r.allow, MaxQoS: 2, Retain: true}
		if r.everything {
			line.Filter, line.Any = "#", true
			return append(dst, line)
		}
		for _, t := range r.topics {
			line.Filter, line.Exact = t.filter, t.exact
			if t.holes {
				filter, ok := fill(t.filter, r.allow, c)
				if !ok {
					continue
				}
				line.Filter = filter
			}
			dst = append(dst, line)
		}
	}
	return dst
}

// fill puts the client's names in place of %c and %u. A client without a user
// name is not meant by %u. A name that is no single level of a topic would widen
// the rule: it allows nothing, and denies as + would.
func fill(filter string, allow bool, c *client) (string, bool) {
	levels := strings.Split(filter, "/")
	for i, l := range levels {
		var name string
		switch {
		case l == "%c":
			name = c.id
		case l == "%u" && c.named:
			name = c.username
		case l == "%u":
			return "", false
		default:
			continue
		}
		if name == "" || strings.ContainsAny(name, "/+#\x00") {
			if allow {
				return "", false
			}
			name = "+"
		}
		levels[i] = name
	}
	out := strings.Join(levels, "/")
	return out, len(out) <= 65535
}
