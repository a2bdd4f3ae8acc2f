// Package schedule keeps messages until their time and publishes them then, in
// order, once each unless the node crashes between publishing and forgetting. It
// owns the queues, what of them is on the disk, and the clock that they go by. It
// refuses to know why a message waits and who may put one.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store"
)

// ErrNotFound: no message that waits has the number.
var ErrNotFound = errors.New("schedule: no message that waits has this number")

// Config is what queues need. Immutable after Open.
type Config struct {
	Journal *journal.Journal // not nil
	// Publish takes messages whose time has come, in order, and says what became of
	// each. What it promises subscribers is committed to the journal on return. It is
	// called on one goroutine a queue and must not keep the slice.
	Publish func([]*message.Message) []packet.ReasonCode
	// Ready is closed when the node takes messages; nothing is published before.
	Ready <-chan struct{}
	Log   *zap.Logger
	// Now is the wall clock and Elapsed the time since the start that no setting of
	// that clock changes; nil: those of the machine.
	Now     func() time.Time
	Elapsed func() time.Duration
}

// Queues are the queues of a node.
type Queues struct{ cfg Config }

// room is the form of what is on the disk, see key.go.
var room = store.Format{Room: "schedule", Version: 1}

// Open prepares the journal's room for queues. The errors are those of a room's
// opening.
func Open(ctx context.Context, cfg Config) (*Queues, error) {
	if err := cfg.Journal.Room(ctx, room); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Elapsed == nil {
		start := time.Now()
		cfg.Elapsed = func() time.Duration { return time.Since(start) }
	}
	return &Queues{cfg: cfg}, nil
}

// When says when a message is due.
type When struct {
	At    time.Time     // by the wall clock, whatever that is set to meanwhile; if it is not zero
	After time.Duration // from now on, whatever the wall clock is set to while the node runs
}

// Queue is the messages that wait under one name. Safe for concurrent use.
type Queue struct {
	// Immutable.
	cfg  *Config
	name string
	poke chan struct{} // holds 1: there is an earlier message
	stop chan struct{}
	done chan struct{}

	young young // on their way to the disk

	mu sync.Mutex
	// Guarded by mu. wall holds what is due by the wall clock, counted by what the
	// last start has left too; span what is due by the time since the start. A
	// message that was cancelled is in gone until its heap comes to it.
	wall, span heap
	gone       map[uint64]struct{}
	last       uint64 // the last number that was given
	tries      map[uint64]int
	key, val   []byte // scratch
}

// Load returns the queue with a name, with what the disk has of it, and starts to
// publish. Every queue is loaded once at a time; Close ends it.
func (s *Queues) Load(name string) (*Queue, error) {
	q := &Queue{
		cfg: &s.cfg, name: name, poke: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		gone: map[uint64]struct{}{}, tries: map[uint64]int{},
		last: uint64(s.cfg.Now().UnixMicro()), // above all numbers that were given before
	}
	prefix := prefixOf(name)
	var bad error
	err := s.cfg.Journal.Store().Scan(store.Prefix(prefix), func(key, _ []byte) bool {
		due, seq, ok := cutKey(key[len(prefix):])
		if !ok {
			bad = fmt.Errorf("schedule: key %x: %w", key, store.ErrCorrupt)
			return false
		}
		q.wall = append(q.wall, entry{when: due, due: due, seq: seq}) // sorted by the scan: a heap
		q.last = max(q.last, seq)
		return true
	})
	if err = errors.Join(bad, err); err != nil {
		return nil, fmt.Errorf("load delayed messages: %w", err)
	}
	go q.run()
	return q, nil
}

// Close stops publishing. What waits stays on the disk.
func (q *Queue) Close() {
	close(q.stop)
	<-q.done
}

// Len is how many messages wait.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.wall) + len(q.span) - len(q.gone)
}

// Put keeps a copy of m until w and returns its number. It is as safe as need, and
// at least as store.Async, before anything that the caller commits later. The
// error is why the disk takes nothing.
func (q *Queue) Put(m *message.Message, w When, need store.Durability) (uint64, error) {
	if err := q.cfg.Journal.Fault(); err != nil {
		return 0, err
	}
	e := entry{due: w.At.UnixNano()}
	e.when = e.due
	heap := &q.wall
	if w.At.IsZero() {
		heap = &q.span
		e.due = q.cfg.Now().Add(w.After).UnixNano()
		e.when = int64(q.cfg.Elapsed() + w.After)
	}
	q.mu.Lock()
	q.last++
	e.seq = q.last
	q.key = appendKey(append(q.key[:0], prefixOf(q.name)...), e.due, e.seq)
	q.val = m.AppendForm(q.val[:0])
	q.young.add(e.seq, m.Detach())
	tx := q.cfg.Journal.Begin()
	tx.Put(max(need, store.Async), q.key, q.val)
	tx.Wait(&landed{q: q, seq: e.seq})
	tx.Commit()
	if cap(q.val) > scratchMax {
		q.val = nil
	}
	heap.push(e)
	first := (*heap)[0].seq == e.seq
	q.mu.Unlock()
	if first {
		q.wake()
	}
	return e.seq, nil
}

// scratchMax bounds what is held on to between two messages.
const scratchMax = 64 << 10

func (q *Queue) wake() {
	select {
	case q.poke <- struct{}{}:
	default:
	}
}

// Due tells when a message that waits will be published, Unix nanoseconds, as List
// has it. ErrNotFound.
func (q *Queue) Due(seq uint64) (int64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, err := q.find(seq)
	return e.due, err
}

// find looks up what waits. mu is held.
func (q *Queue) find(seq uint64) (entry, error) {
	e, ok := q.wall.find(seq)
	if !ok {
		e, ok = q.span.find(seq)
	}
	if _, gone := q.gone[seq]; !ok || gone {
		return entry{}, ErrNotFound
	}
	return e, nil
}

// Cancel forgets a message that waits. ErrNotFound.
func (q *Queue) Cancel(seq uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, err := q.find(seq)
	if err != nil {
		return err
	}
	q.gone[seq] = struct{}{}
	q.forget(e)
	if len(q.gone) > len(q.wall)+len(q.span)-len(q.gone) {
		q.wall.drop(q.gone)
		q.span.drop(q.gone)
		clear(q.gone)
	}
	return nil
}

// forget takes messages off the disk. mu is held.
func (q *Queue) forget(es ...entry) {
	tx := q.cfg.Journal.Begin()
	tx.Need(store.Async)
	for _, e := range es {
		q.key = appendKey(append(q.key[:0], prefixOf(q.name)...), e.due, e.seq)
		tx.Delete(q.key)
		q.young.remove(e.seq)
	}
	tx.Commit()
}
