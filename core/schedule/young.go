package schedule

import (
	"sync"

	"github.com/dunlinmq/dunlin/core/message"
)

// young are messages that readers of the disk do not see yet.
type young struct {
	mu       sync.Mutex
	messages map[uint64]*message.Message // guarded by mu
}

func (y *young) add(seq uint64, m *message.Message) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.messages == nil {
		y.messages = map[uint64]*message.Message{}
	}
	y.messages[seq] = m
}

func (y *young) remove(seq uint64) {
	y.mu.Lock()
	defer y.mu.Unlock()
	delete(y.messages, seq)
}

func (y *young) get(seq uint64) *message.Message {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.messages[seq]
}

// landed waits for a message to be on the disk, or for the disk's failure: then
// nobody was told that it was taken.
type landed struct {
	q   *Queue
	seq uint64
}

// Resume implements journal.Waiter.
func (l *landed) Resume() { l.q.young.remove(l.seq) }
