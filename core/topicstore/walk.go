package topicstore

import (
	"strings"
	"unsafe"

	"github.com/dunlinmq/dunlin/core/message"
)

// walk is the state of a read: where it goes on.
type walk struct {
	filter string
	from   string // the smallest topic that is still to be looked at
	done   bool
	target []byte // scratch
}

// newWalk begins at the first topic that could match.
func newWalk(filter string) walk {
	from := filter
	if i := strings.IndexAny(filter, "+#"); i >= 0 {
		from = filter[:i]
		if filter[i] == '#' {
			from = strings.TrimSuffix(from, "/")
		}
	}
	return walk{filter: filter, from: from}
}

// read looks at up to readSteps topics under one lock and yields those that
// match until fn returns false.
func (s *Store) read(w *walk, fn func(*message.Message) bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, ok := s.list.seek(w.from)
	for step := 0; ok; step++ {
		it := &s.list.chunks[p.chunk][p.i]
		if step == readSteps {
			w.from = strings.Clone(it.topic) // a copy: pins no message
			return
		}
		next := advance(w.filter, it.topic)
		if next.match && !fn(it.m) {
			w.from = it.topic + "\x00" // the next topic there can be
			return
		}
		switch {
		case next.over:
			ok = false
		case next.seek:
			w.target = append(append(w.target[:0], it.topic[:next.keep]...), next.add...)
			p, ok = s.list.skip(p, unsafe.String(unsafe.SliceData(w.target), len(w.target)))
		default:
			p, ok = s.list.after(p)
		}
	}
	*w = walk{done: true}
}

// move says what a walk does after a topic.
type move struct {
	match bool
	over  bool // no later topic can match
	// seek: no topic before topic[:keep]+add, which is later, can match.
	seek bool
	keep int
	add  string
}

// advance compares a topic with filter, and finds out how far a walk in byte
// order may go without missing a match. It is linear in the topic.
func advance(filter, topic string) move {
	if topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return move{seek: true, add: "%"} // leading wildcards: not $ [MQTT-4.7.2-1]
	}
	wild := false // a level before at is free
	for at := 0; ; {
		level, rest, more := strings.Cut(filter, "/")
		filter = rest
		if level == "#" {
			return move{match: true}
		}
		end := len(topic)
		if i := strings.IndexByte(topic[at:], '/'); i >= 0 {
			end = at + i
		}
		if level == "+" {
			wild = true
		} else if mv, ok := compare(level, topic, at, end); !ok {
			if mv.over && wild {
				// A larger level before this one may still match: skip all that
				// begins with these levels. '0' follows '/'.
				return move{seek: true, keep: at - 1, add: "0"}
			}
			return mv
		}
		switch {
		case end == len(topic):
			return atEnd(topic, filter, more, level)
		case !more: // topic goes on, filter does not
			return move{seek: true, keep: end, add: "0"}
		}
		at = end + 1
	}
}

// atEnd is the move at a topic that is used up; filter is what follows level.
func atEnd(topic, filter string, more bool, level string) move {
	switch {
	case !more || filter == "#": // "sport/#" matches "sport" [MQTT-4.7.1-2]
		return move{match: true}
	case level == "+":
		return move{} // topics that lengthen this level come before its children
	default:
		return move{seek: true, keep: len(topic), add: "/"}
	}
}

// compare compares a literal level of the filter with the topic's level
// topic[at:end]. ok: they are equal.
func compare(level, topic string, at, end int) (mv move, ok bool) {
	after, found := strings.CutPrefix(topic[at:], level)
	switch {
	case topic[at:end] == level:
		return move{}, true
	case found && after[0] < '/':
		// "a!" for "a": what begins with "a/" comes later.
		return move{seek: true, keep: at + len(level), add: "/"}, false
	case !found && topic[at:] < level:
		return move{seek: true, keep: at, add: level}, false
	default:
		return move{over: true}, false
	}
}
