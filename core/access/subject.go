package access

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/hook"
)

// Subject tells which topic a PUBLISH to a topic is about in the end: the topic
// itself, or the one that a plugin will publish it under.
type Subject func(topic string) string

// subjects are asked before the rules are, so that nobody reaches by a detour what
// he may not publish to.
type subjects struct {
	list atomic.Pointer[[]*Subject] // nil: none

	mu sync.Mutex // serialises changes
}

// AddSubject has the rules asked about the topic that s returns. Remove ends it.
func (a *Access) AddSubject(s Subject) (remove func()) {
	p := &s
	a.about.change(func(list []*Subject) []*Subject { return append(list, p) })
	return func() {
		a.about.change(func(list []*Subject) []*Subject {
			return slices.DeleteFunc(list, func(q *Subject) bool { return q == p })
		})
	}
}

func (s *subjects) change(fn func([]*Subject) []*Subject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*Subject
	if old := s.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	if list = fn(list); len(list) == 0 {
		s.list.Store(nil)
		return
	}
	s.list.Store(&list)
}

// Subject is the topic that the rules are asked about for a PUBLISH.
func (a *Access) Subject(topic string) string { return a.about.of(topic) }

func (s *subjects) of(topic string) string {
	list := s.list.Load()
	if list == nil || !strings.HasPrefix(topic, "$") {
		return topic
	}
	for _, about := range *list {
		topic = (*about)(topic)
	}
	return topic
}

// rename makes the events about the topics in question.
func (s *subjects) rename(es []hook.ACLEvent) {
	if s.list.Load() == nil {
		return
	}
	for i := range es {
		if e := &es[i]; e.Action == hook.Publish {
			e.Topic = s.of(e.Topic)
		}
	}
}
