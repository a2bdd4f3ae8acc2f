package schedule

import (
	"errors"
	"fmt"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/store"
)

// Waiting is a message that waits.
type Waiting struct {
	Due     int64  // Unix nanoseconds
	Seq     uint64 // its number
	Message *message.Message
}

// List calls fn with the messages behind (due, seq) in the order in which they are
// due, until it returns false; zeros begin with the first. What was put a moment
// ago may be missing, what was published a moment ago may still be there.
func (q *Queue) List(due int64, seq uint64, fn func(w Waiting) bool) error {
	prefix := prefixOf(q.name)
	from := prefix
	if due > 0 || seq > 0 {
		from = append(appendKey(from[:len(from):len(from)], due, seq), 0)
	}
	var bad error
	err := q.cfg.Journal.Store().Scan(store.Range{From: from, To: store.Prefix(prefix).To}, func(key, value []byte) bool {
		at, n, ok := cutKey(key[len(prefix):])
		m, rest, err := message.CutForm(value)
		if !ok || err != nil || len(rest) > 0 {
			bad = fmt.Errorf("schedule: the message at %x: %w", key, store.ErrCorrupt)
			return false
		}
		return fn(Waiting{Due: at, Seq: n, Message: m})
	})
	return errors.Join(bad, err)
}
