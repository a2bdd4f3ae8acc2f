package session

import "github.com/dunlinmq/dunlin/core/message"

const (
	// priorityHighest is the level of topics without a priority, unless
	// Config.DefaultPriorityLowest.
	priorityHighest = 256
	// creditFactor times (priority + 1) messages are taken from a level before
	// the next lower one has its turn, so that no level starves (emqx4 §9.8).
	creditFactor = 10
	// pinned is how many messages of an attached session's level may stay in the
	// queue without a copy of their own; see queued.owned.
	pinned  = 128
	minRing = 4
	// messageOverhead is about what a message takes beside its topic, payload and
	// properties, on the disk as in memory.
	messageOverhead = 64
)

// queued is one message that waits for the window or for a connection.
type queued struct {
	msg   message.Delivery
	qos   byte // effective
	owned bool // the message pins no read batch
}

// size is what the message counts in Config.MaxQueueBytes.
func (m *queued) size() int64 { return sizeOf(m.msg.Msg) }

func sizeOf(m *message.Message) int64 { return int64(m.Size()) + messageOverhead }

// level is the queue of one priority: a ring, and before it what is in the
// journal only.
type level struct {
	priority int
	front    []queued // read from the journal, served first
	kept     places   // in the journal only, oldest first: older than the ring
	ring     []queued // length is a power of two
	head     int
	count    int
	bytes    int64 // of all of them
}

// queue is the levels of one session, the highest priority first. Only levels
// that were used exist. A nil queue is empty.
type queue struct {
	levels []level
	count  int
	qos0   int // queued messages with effective QoS 0
	turn   int // index of the level being served; -1: none yet
	credit int // messages left in its turn; 0: the next level's turn begins
}

func newQueue() *queue { return &queue{turn: -1} }

func (q *queue) len() int {
	if q == nil {
		return 0
	}
	return q.count
}

// priority is the level of a topic.
func (c *Config) priority(topic string) int {
	if len(c.Priorities) == 0 {
		return 0
	}
	if p, ok := c.Priorities[topic]; ok {
		return int(p)
	}
	if c.DefaultPriorityLowest {
		return 0
	}
	return priorityHighest
}

// at returns the level of priority p, made if needed.
func (q *queue) at(p int) *level {
	i := 0
	for ; i < len(q.levels); i++ {
		if q.levels[i].priority == p {
			return &q.levels[i]
		}
		if q.levels[i].priority < p {
			break
		}
	}
	q.levels = append(q.levels, level{})
	copy(q.levels[i+1:], q.levels[i:])
	q.levels[i] = level{priority: p}
	if q.turn >= i {
		q.turn++ // the level being served has moved
	}
	return &q.levels[i]
}

// push appends to l, which belongs to q.
func (q *queue) push(l *level, m queued) {
	if l.count == len(l.ring) {
		l.grow()
	}
	l.ring[(l.head+l.count)&(len(l.ring)-1)] = m
	l.count++
	l.bytes += m.size()
	q.count++
	if m.qos == 0 {
		q.qos0++
	}
}

// keep appends to l, which belongs to q, a message that is in the journal.
func (q *queue) keep(l *level, seq uint64, size int64) {
	l.kept.push(seq, size)
	l.bytes += size
	q.count++
}

// bytes is the size of everything in q.
func (q *queue) bytes() (n int64) {
	if q == nil {
		return 0
	}
	for i := range q.levels {
		n += q.levels[i].bytes
	}
	return n
}

// len is how many messages wait in l.
func (l *level) len() int { return len(l.front) + l.kept.len() + l.count }

// shift removes the oldest of l. One that is in the journal only has no message.
func (l *level) shift() queued {
	switch {
	case len(l.front) > 0:
		m := l.front[0]
		l.front[0] = queued{}
		if l.front = l.front[1:]; len(l.front) == 0 {
			l.front = nil
		}
		l.bytes -= m.size()
		return m
	case l.kept.len() > 0:
		m := queued{qos: 1}
		var size int64
		m.msg.Seq, size = l.kept.shift()
		l.bytes -= size
		return m
	}
	m := l.shiftRing()
	l.bytes -= m.size()
	return m
}

func (l *level) shiftRing() queued {
	at := &l.ring[l.head]
	m := *at
	*at = queued{}
	l.head = (l.head + 1) & (len(l.ring) - 1)
	l.count--
	return m
}

// take removes the oldest of l, which belongs to q and is not empty.
func (q *queue) take(l *level) queued {
	m := l.shift()
	q.count--
	if m.qos == 0 {
		q.qos0--
	}
	if q.count == 0 {
		q.turn, q.credit = -1, 0 // the highest level is first again
	}
	return m
}

// serve chooses the level to take from next. The queue must not be empty.
func (q *queue) serve() *level {
	if q.credit > 0 && q.levels[q.turn].len() > 0 {
		return &q.levels[q.turn]
	}
	q.turn++
	for range len(q.levels) {
		if q.turn >= len(q.levels) {
			q.turn = 0
		}
		if l := &q.levels[q.turn]; l.len() > 0 {
			q.credit = (l.priority + 1) * creditFactor
			return l
		}
		q.turn++
	}
	panic("session: serve of an empty queue")
}

// pop takes the next message by priority. The queue must not be empty.
func (q *queue) pop() queued {
	l := q.serve()
	q.credit--
	return q.take(l)
}

// peek is what pop will take; nil: it is in the journal only. The queue must not
// be empty.
func (q *queue) peek() *queued {
	l := q.serve()
	switch {
	case len(l.front) > 0:
		return &l.front[0]
	case l.kept.len() > 0:
		return nil
	}
	return &l.ring[l.head]
}

// each calls fn for all messages in memory, the highest priority first, oldest
// first.
func (q *queue) each(fn func(*queued)) {
	if q == nil {
		return
	}
	for i := range q.levels {
		l := &q.levels[i]
		for k := range l.front {
			fn(&l.front[k])
		}
		for k := range l.count {
			fn(&l.ring[(l.head+k)&(len(l.ring)-1)])
		}
	}
}

// long tells whether the queue holds much memory.
func (q *queue) long() bool {
	for i := range q.levels {
		if len(q.levels[i].ring) > pinned {
			return true
		}
	}
	return false
}

// grow doubles the ring.
func (l *level) grow() {
	ring := make([]queued, max(minRing, 2*len(l.ring)))
	n := copy(ring, l.ring[l.head:])
	copy(ring[n:], l.ring[:l.head])
	l.ring, l.head = ring, 0
}

// enqueue puts d at the end of its level, or drops by the queue's policy.
func (s *Session) enqueue(d message.Delivery, qos byte, e *Effects) {
	if s.queue == nil {
		s.queue = newQueue()
	}
	l := s.queue.at(s.cfg.priority(d.Msg.Topic))
	if limit := s.cfg.MaxQueueBytes; limit > 0 && !s.makeRoom(l.priority, limit-sizeOf(d.Msg), e) {
		s.drop(d, ReasonQueueBytes, e)
		return
	}
	if limit := s.cfg.MaxQueueLen; limit > 0 && l.len() >= limit {
		if s.cfg.DropNewest {
			s.drop(d, ReasonQueueFull, e)
			return
		}
		s.drop(s.queue.take(l).msg, ReasonQueueFull, e)
	}
	if !s.attached && d.Seq != 0 {
		s.queue.keep(l, d.Seq, sizeOf(d.Msg))
		return
	}
	m := queued{msg: d, qos: qos}
	if !s.attached || l.count >= pinned {
		m.own()
	}
	s.queue.push(l, m)
}

// makeRoom drops, by the queue's policy, until the queue has at most so many bytes,
// and tells whether it has. What is oldest of the lowest priority goes first, and
// nothing of a priority above p. Where that is not enough nothing is dropped.
func (s *Session) makeRoom(p int, most int64, e *Effects) bool {
	q := s.queue
	over := q.bytes() - most
	if over <= 0 {
		return true
	}
	if s.cfg.DropNewest {
		return false
	}
	may := int64(0)
	for i := range q.levels {
		if l := &q.levels[i]; l.priority <= p {
			may += l.bytes
		}
	}
	if may < over {
		return false
	}
	for i := len(q.levels) - 1; over > 0; i-- {
		l := &q.levels[i]
		for l.len() > 0 && over > 0 {
			before := l.bytes
			s.drop(q.take(l).msg, ReasonQueueBytes, e)
			over -= before - l.bytes
		}
	}
	return true
}

// own makes the message independent of the read batch that it came in.
func (m *queued) own() {
	if !m.owned {
		m.msg.Msg, m.owned = m.msg.Msg.Detach(), true
	}
}
