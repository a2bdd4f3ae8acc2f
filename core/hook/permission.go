package hook

import (
	"slices"

	"github.com/dunlinmq/dunlin/core/topic"
)

// Permission is one line of a permission list.
type Permission struct {
	Filter string // topic filter; compared with a subscribe filter as text unless it covers it
	Action Action
	Allow  bool
	MaxQoS byte // 2: any
	Retain bool // whether retained publishes are covered
	Exact  bool // Filter is compared as text: wildcards in it are not special
	Any    bool // every topic and filter is covered, also those that begin with $
}

// Permitted lets the first line of list that speaks of the event's action and
// topic decide it; false: none does. A publish that an allowing line covers but
// for its QoS or RETAIN is denied.
func Permitted(list []Permission, e *ACLEvent) bool {
	for i := range list {
		l := &list[i]
		if l.Action&e.Action == 0 || !l.covers(e) {
			continue
		}
		e.Verdict = Deny
		if l.Allow && (e.Action != Publish || e.QoS <= l.MaxQoS && (l.Retain || !e.Retain)) {
			e.Verdict = Allow
		}
		return true
	}
	return false
}

// covers tells whether the line speaks of what the event asks for. A line that
// allows must cover all that a subscribe filter can match; one that denies needs
// to cover the filter read as a topic name only, so that "a/+" denies "a/#" too.
func (l *Permission) covers(e *ACLEvent) bool {
	switch {
	case l.Any:
		return true
	case l.Exact:
		return l.Filter == e.Topic
	case e.Action == Subscribe && l.Allow:
		return topic.Covers(l.Filter, e.Topic)
	default:
		return topic.Match(l.Filter, e.Topic)
	}
}

// Lists are the permission lists that acl plugins gave for one connection, so
// that they need not be asked again. Owned by the client's channel; the zero
// Lists is empty.
type Lists struct{ of []given }

type given struct {
	owner, version any // pointers: whose list, and of which version of it
	list           []Permission
}

// Decide tells whether owner has given a list while it was at version, and if so
// lets it decide e; what it does not cover stays undecided.
func (l *Lists) Decide(owner, version any, e *ACLEvent) bool {
	for i := range l.of {
		if g := &l.of[i]; g.owner == owner && g.version == version {
			Permitted(g.list, e)
			return true
		}
	}
	return false
}

// Keep keeps owner's list in place of an older one.
func (l *Lists) Keep(owner, version any, list []Permission) {
	l.of = slices.DeleteFunc(l.of, func(g given) bool { return g.owner == owner })
	l.of = append(l.of, given{owner, version, list})
}

// Clear forgets all lists.
func (l *Lists) Clear() { l.of = nil }
