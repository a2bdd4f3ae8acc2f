package topicstore

import (
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
)

// How much one call of Next does at most.
const (
	readSteps = 256  // topics looked at under one lock
	nextSteps = 2048 // topics looked at in one call
)

// Cursor yields the messages whose topics match a filter, in the byte order of
// the topics. It holds nothing but the topic it has come to: no lock, no copy
// of what is to come. A topic that is in the store during the whole walk is
// yielded exactly once, with the message that it has then.
//
// A cursor belongs to one goroutine at a time.
type Cursor struct {
	s *Store
	w walk
}

var _ hook.Source = (*Cursor)(nil)

// Open returns a cursor for filter, which is valid and has no share prefix.
func (s *Store) Open(filter string) *Cursor { return &Cursor{s: s, w: newWalk(filter)} }

// Next appends at most n messages that have not expired at now. It looks at a
// bounded number of topics: no message and not done means that it has to be
// called again, at the caller's next turn.
func (c *Cursor) Next(now int64, n int, dst []*message.Message) (msgs []*message.Message, done bool) {
	if n <= 0 {
		return dst, c.w.done
	}
	left := n
	for steps := 0; steps < nextSteps && left > 0 && !c.w.done; steps += readSteps {
		c.s.read(&c.w, func(m *message.Message) bool {
			if !m.Expired(now) {
				dst = append(dst, m)
				left--
			}
			return left > 0
		})
	}
	return dst, c.w.done
}

// Close ends the walk. Idempotent.
func (c *Cursor) Close() { c.w = walk{done: true} }
