package rules

import "strings"

// index finds the rules of a topic: a tree of filter levels. It is immutable
// once built, so that readers take no lock.
type index struct {
	root   node
	events map[string][]*Rule // by $events/... name
}

type node struct {
	next map[string]*node
	here []*Rule // filters that end here
	deep []*Rule // filters that end here with #
}

// eventPrefix begins the names of events other than messages (emqx4 §7.2).
const eventPrefix = "$events/"

func newIndex(rules []*Rule) *index {
	x := &index{events: map[string][]*Rule{}}
	for _, r := range rules {
		if !r.spec.Enabled {
			continue
		}
		for _, filter := range r.query.Topics {
			if strings.HasPrefix(filter, eventPrefix) {
				x.events[filter] = append(x.events[filter], r)
				continue
			}
			x.add(filter, r)
		}
	}
	return x
}

func (x *index) add(filter string, r *Rule) {
	n := &x.root
	for level := range strings.SplitSeq(filter, "/") {
		if level == "#" {
			n.deep = append(n.deep, r)
			return
		}
		if n.next == nil {
			n.next = map[string]*node{}
		}
		child := n.next[level]
		if child == nil {
			child = &node{}
			n.next[level] = child
		}
		n = child
	}
	n.here = append(n.here, r)
}

// match appends the rules of a topic name, each once.
func (x *index) match(topic string, dst []*Rule) []*Rule {
	start := len(dst)
	dst = x.root.match(topic, strings.HasPrefix(topic, "$"), dst)
	return once(dst, start)
}

// match goes down the levels of rest. A leading $ is not matched by a wildcard
// in the first level [MQTT-4.7.2-1].
func (n *node) match(rest string, special bool, dst []*Rule) []*Rule {
	if !special {
		dst = append(dst, n.deep...)
	}
	level, rest, more := strings.Cut(rest, "/")
	for _, key := range [2]string{level, "+"} {
		if key == "+" && special {
			continue
		}
		child := n.next[key]
		switch {
		case child == nil:
		case more:
			dst = child.match(rest, false, dst)
		default:
			dst = append(append(dst, child.here...), child.deep...)
		}
		if level == "+" {
			break // not a name; would count twice
		}
	}
	return dst
}

// once leaves out rules that more than one filter has found.
func once(rules []*Rule, start int) []*Rule {
	kept := rules[:start]
	for _, r := range rules[start:] {
		if !contains(kept[start:], r) {
			kept = append(kept, r)
		}
	}
	return kept
}

func contains(rules []*Rule, r *Rule) bool {
	for _, other := range rules {
		if other == r {
			return true
		}
	}
	return false
}

// any tells whether a rule has the topic name.
func (x *index) any(topic string) bool { return x.root.any(topic, strings.HasPrefix(topic, "$")) }

func (n *node) any(rest string, special bool) bool {
	if !special && n.deep != nil {
		return true
	}
	level, rest, more := strings.Cut(rest, "/")
	for _, key := range [2]string{level, "+"} {
		child := n.next[key]
		switch {
		case child == nil || key == "+" && special:
		case more:
			if child.any(rest, false) {
				return true
			}
		case child.here != nil || child.deep != nil:
			return true
		}
	}
	return false
}
