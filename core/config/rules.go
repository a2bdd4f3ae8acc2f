package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dunlinmq/dunlin/core/listener"
)

// setBind reads an address or the path of a socket file.
func setBind(l *lconf, v value) error {
	if path, ok := listener.IsSocketFile(v.text); ok {
		if path == "" {
			return fmt.Errorf("%q names no file", v.text)
		}
		l.Bind = v.text
		return nil
	}
	a, err := parseBind(v.text)
	if err == nil {
		l.Bind = a
	}
	return err
}

// foldRules makes one list of listener.<protocol>.<name>.access.<number>, EMQ X
// 4's way to write rules, in the order of the numbers. The last layer that has a
// number counts.
func (r *reader) foldRules() {
	type numbered struct {
		n int
		leaf
	}
	found := map[string][]numbered{}
	rest := r.leaves[:0:0]
	for _, l := range r.leaves {
		if len(l.path) != 5 || l.path[0] != "listener" || l.path[3] != "access" {
			rest = append(rest, l)
			continue
		}
		n, err := strconv.Atoi(l.path[4])
		if err != nil {
			r.faultOf(l, "access rules have numbers, for example access.1")
			continue
		}
		id := joinPath(l.path[:4])
		found[id] = slices.DeleteFunc(found[id], func(o numbered) bool { return o.n == n })
		found[id] = append(found[id], numbered{n, l})
	}
	for _, rules := range found {
		slices.SortFunc(rules, func(a, b numbered) int { return cmp.Compare(a.n, b.n) })
		all := rules[0].leaf
		all.path, all.value = all.path[:4:4], value{}
		for _, rule := range rules {
			all.list = append(all.list, rule.text)
		}
		all.text = strings.Join(all.list, ",")
		rest = append(rest, all)
	}
	r.leaves = rest
}
