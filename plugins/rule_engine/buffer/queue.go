package buffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// Queue is the records of one sink, oldest first. Any goroutine may add, one
// reads and removes.
type Queue struct {
	// Immutable.
	buf  *Buffer
	name string
	id   uint32

	mu sync.Mutex
	// Guarded by mu.
	next    uint64 // of the next record
	first   uint64 // records below it are gone
	records int
	bytes   int64
	max     int64 // 0: none
	wake    chan struct{}
}

func newQueue(b *Buffer, name string, id uint32) *Queue {
	return &Queue{buf: b, name: name, id: id, next: 1, first: 1, wake: make(chan struct{}, 1)}
}

// Name is the queue's name.
func (q *Queue) Name() string { return q.name }

// Len is how many records wait, Bytes how long they are together.
func (q *Queue) Len() (records int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.records, q.bytes
}

// Ready gets a value when records have come. It is for the one reader.
func (q *Queue) Ready() <-chan struct{} { return q.wake }

func (q *Queue) limit(maxBytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.max = maxBytes
}

func (q *Queue) key(seq uint64) []byte {
	k := append(make([]byte, 0, 13), prefixRecord)
	k = binary.BigEndian.AppendUint32(k, q.id)
	return binary.BigEndian.AppendUint64(k, seq)
}

func (q *Queue) end() []byte {
	k := append(make([]byte, 0, 5), prefixRecord)
	return binary.BigEndian.AppendUint32(k, q.id+1)
}

// measure counts what a queue of an earlier run holds.
func (q *Queue) measure() error {
	it, err := q.buf.db.NewIter(&pebble.IterOptions{LowerBound: q.key(0), UpperBound: q.end()})
	if err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		seq := binary.BigEndian.Uint64(it.Key()[5:])
		if q.records == 0 {
			q.first = seq
		}
		q.next = seq + 1
		q.records++
		q.bytes += int64(len(it.Value()))
	}
	if q.records > 0 {
		q.signal()
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	return nil
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// reserve takes room for a record of n bytes.
func (q *Queue) reserve(n int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.max > 0 && q.bytes+n > q.max {
		return ErrFull
	}
	q.records++
	q.bytes += n
	return nil
}

// number is the place of the next record.
func (q *Queue) number() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next++
	return q.next - 1
}

// release gives back the room of records that did not come.
func (q *Queue) release(records int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.records -= records
	q.bytes -= bytes
}

func (q *Queue) emptied() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.records, q.bytes = 0, 0
}

// Record is a record and its place in the queue.
type Record struct {
	Seq  uint64
	Data []byte
}

// Peek returns up to n of the oldest records after the place, at most limit
// bytes of them but at least one. They stay in the queue.
func (q *Queue) Peek(after uint64, n int, limit int64) ([]Record, error) {
	q.mu.Lock()
	from := max(q.first, after+1)
	q.mu.Unlock()
	it, err := q.buf.db.NewIter(&pebble.IterOptions{LowerBound: q.key(from), UpperBound: q.end()})
	if err != nil {
		return nil, fmt.Errorf("buffer: %w", err)
	}
	var rs []Record
	for ok := it.First(); ok && len(rs) < n; ok = it.Next() {
		if limit -= int64(len(it.Value())); limit < 0 && len(rs) > 0 {
			break
		}
		rs = append(rs, Record{Seq: binary.BigEndian.Uint64(it.Key()[5:]), Data: append([]byte(nil), it.Value()...)})
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("buffer: %w", err)
	}
	return rs, nil
}

// Remove takes the given records, which are the oldest, out of the queue. After
// kill -9 some of them may be back: whoever gets them gets them again.
func (q *Queue) Remove(rs []Record) error {
	if len(rs) == 0 {
		return nil
	}
	last := rs[len(rs)-1].Seq
	if err := q.buf.db.DeleteRange(q.key(0), q.key(last+1), pebble.NoSync); err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	var bytes int64
	for _, r := range rs {
		bytes += int64(len(r.Data))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.first = last + 1
	q.records -= len(rs)
	q.bytes -= bytes
	return nil
}

// DropOldest removes records from the front until n bytes fit, and tells how
// many went.
func (q *Queue) DropOldest(n int64) (dropped int, err error) {
	for {
		q.mu.Lock()
		fits := q.max <= 0 || q.bytes+n <= q.max || q.records == 0
		q.mu.Unlock()
		if fits {
			return dropped, nil
		}
		rs, err := q.Peek(0, 64, max(n, 1))
		if err != nil || len(rs) == 0 {
			return dropped, err
		}
		if err := q.Remove(rs); err != nil {
			return dropped, err
		}
		dropped += len(rs)
	}
}
