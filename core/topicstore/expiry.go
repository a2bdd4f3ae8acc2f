package topicstore

import (
	"container/heap"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/store"
)

// expireStep is how many messages are removed under one lock.
const expireStep = 256

// expiring is the messages that expire, the next one first. Not concurrent.
type expiring struct {
	byTime []*message.Message
	at     map[*message.Message]int32 // places in byTime
}

// Len, Less, Swap, Push and Pop are heap.Interface.
func (e *expiring) Len() int           { return len(e.byTime) }
func (e *expiring) Less(i, j int) bool { return e.byTime[i].Expiry < e.byTime[j].Expiry }

func (e *expiring) Swap(i, j int) {
	e.byTime[i], e.byTime[j] = e.byTime[j], e.byTime[i]
	e.at[e.byTime[i]], e.at[e.byTime[j]] = int32(i), int32(j)
}

func (e *expiring) Push(x any) {
	m := x.(*message.Message)
	e.at[m] = int32(len(e.byTime))
	e.byTime = append(e.byTime, m)
}

func (e *expiring) Pop() any {
	last := len(e.byTime) - 1
	m := e.byTime[last]
	e.byTime[last] = nil
	e.byTime = e.byTime[:last]
	delete(e.at, m)
	return m
}

func (e *expiring) add(m *message.Message) {
	if e.at == nil {
		e.at = make(map[*message.Message]int32)
	}
	heap.Push(e, m)
}

func (e *expiring) remove(m *message.Message) {
	heap.Remove(e, int(e.at[m]))
	if len(e.byTime) == 0 {
		*e = expiring{} // a map keeps the size that it once had
	}
}

// Expire removes what has expired at now (Unix nanoseconds) and returns how
// many that were. It gives the lock back between small steps.
func (s *Store) Expire(now int64) int {
	total := 0
	for {
		s.mu.Lock()
		n := s.expire(now, expireStep)
		s.mu.Unlock()
		total += n
		if n < expireStep {
			return total
		}
	}
}

// expire removes at most limit expired messages. mu is held.
func (s *Store) expire(now int64, limit int) int {
	var gone []*message.Message
	for len(gone) < limit && len(s.expiring.byTime) > 0 && s.expiring.byTime[0].Expired(now) {
		gone = append(gone, s.remove(s.expiring.byTime[0].Topic))
	}
	s.disk.remove(store.Memory, gone...) // found expired again, if it is not gone by then
	return len(gone)
}
