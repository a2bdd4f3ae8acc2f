package event

import (
	"strings"
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/topic"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Wanted are the topic filters that a plugin gives a registration which the
// manifest calls dynamic. There are none before the first Set. Readers take no
// lock, and a topic costs what its levels cost, not what the filters are.
type Wanted struct {
	set atomic.Pointer[filterSet] // nil: no event
}

// filterSet is a tree of filter levels. Immutable once built.
type filterSet struct {
	root filterNode
	list []string
}

type filterNode struct {
	next map[string]*filterNode
	here bool // a filter ends here
	deep bool // a filter ends here with #
}

// maxWantedLevels bounds the tree of the filters, some 60 MB: levels that filters have
// in common at their beginning count once.
const maxWantedLevels = 1 << 18

// Set replaces the filters; with none the hook is off. ErrnoQuota: they are too
// many, or have too many levels; ErrnoInvalid: one is none. What is in force stays on
// an error.
func (w *Wanted) Set(filters []string) error {
	if len(filters) > contract.MaxWanted {
		return contract.ErrnoQuota
	}
	for _, f := range filters {
		if topic.ValidateFilter(f) != nil {
			return contract.ErrnoInvalid
		}
		if _, _, shared := topic.ParseShare(f); shared {
			return contract.ErrnoInvalid
		}
	}
	if len(filters) == 0 {
		w.set.Store(nil)
		return nil
	}
	s := &filterSet{list: filters}
	levels := 0
	for _, f := range filters {
		if levels += s.root.add(f, maxWantedLevels-levels); levels > maxWantedLevels {
			return contract.ErrnoQuota
		}
	}
	w.set.Store(s)
	return nil
}

// add enters a filter and tells how many levels are new; it gives up behind room.
func (n *filterNode) add(filter string, room int) (fresh int) {
	for level := range strings.SplitSeq(filter, "/") {
		if level == "#" {
			n.deep = true
			return fresh
		}
		if n.next == nil {
			n.next = map[string]*filterNode{}
		}
		child := n.next[level]
		if child == nil {
			if fresh++; fresh > room {
				return fresh
			}
			child = &filterNode{}
			n.next[level] = child
		}
		n = child
	}
	n.here = true
	return fresh
}

// any tells whether the plugin wants any event at all.
func (w *Wanted) any() bool { return w.set.Load() != nil }

// topic tells whether a filter matches a topic name.
func (w *Wanted) topic(name string) bool {
	s := w.set.Load()
	return s != nil && s.root.match(name, dollar(name))
}

// match goes down the levels of rest. A leading $ is matched by no wildcard in
// the first level [MQTT-4.7.2-1].
func (n *filterNode) match(rest string, special bool) bool {
	if n.deep && !special {
		return true
	}
	level, rest, more := strings.Cut(rest, "/")
	for _, key := range [2]string{level, "+"} {
		child := n.next[key]
		switch {
		case child == nil || key == "+" && special:
		case more:
			if child.match(rest, false) {
				return true
			}
		case child.here || child.deep: // "a/#" matches "a" too
			return true
		}
	}
	return false
}

// filter tells whether some topic name matches both one of the filters and f.
func (w *Wanted) filter(f string) bool {
	s := w.set.Load()
	if s == nil {
		return false
	}
	for _, have := range s.list {
		if overlap(have, f) {
			return true
		}
	}
	return false
}
