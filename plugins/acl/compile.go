package main

import (
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/placeholder"
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
				filter, ok := placeholder.Filter(t.filter, r.allow, placeholder.Client{ID: c.id, Username: c.username, Named: c.named})
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
