package buffer

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
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
	gone    int    // records below first that are on the disk still
	purged  uint64 // records below it are not on the disk

	// The newest records, so that a reader that keeps up reads no disk: all from
	// fresh on. Guarded by mu.
	tail      []Record
	tailBytes int
	fresh     uint64
}

const (
	maxTail   = 1 << 20 // bytes of tail
	purgeStep = 4096    // records that are deleted together: each deletion of a range makes reading slower
	keySize   = 13
)

func newQueue(b *Buffer, name string, id uint32) *Queue {
	return &Queue{buf: b, name: name, id: id, next: 1, first: 1, fresh: 1, wake: make(chan struct{}, 1)}
}

// Name is the queue's name.
func (q *Queue) Name() string { return q.name }

// Len is how many records wait, Bytes how long they are together.
func (q *Queue) Len() (records int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.records, q.bytes
}

// First is the number of the oldest record, or of the next if there is none.
func (q *Queue) First() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first
}

// Begin starts a transaction of the queue's buffer.
func (q *Queue) Begin() *Tx { return q.buf.Begin() }

// Ready gets a value when records have come. It is for the one reader.
func (q *Queue) Ready() <-chan struct{} { return q.wake }

func (q *Queue) limit(maxBytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.max = maxBytes
}

func (q *Queue) key(seq uint64) []byte { return q.putKey(make([]byte, 0, keySize), seq) }

// putKey appends the key of a record.
func (q *Queue) putKey(k []byte, seq uint64) []byte {
	k = binary.BigEndian.AppendUint32(append(k, prefixRecord), q.id)
	return binary.BigEndian.AppendUint64(k, seq)
}

func (q *Queue) head() []byte { return binary.BigEndian.AppendUint32([]byte{prefixHead}, q.id) }

// note is the key of a note; notesEnd is behind all of them.
func (q *Queue) note(key []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{prefixNote}, q.id), key...)
}

func (q *Queue) notesEnd() []byte { return binary.BigEndian.AppendUint32([]byte{prefixNote}, q.id+1) }

// Notes calls fn with each note whose key begins with prefix, in the order of the
// keys. The bytes are fn's.
func (q *Queue) Notes(prefix []byte, fn func(key, value []byte)) error {
	from := q.note(prefix)
	it, err := q.buf.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: q.notesEnd()})
	if err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	for ok := it.First(); ok && bytes.HasPrefix(it.Key(), from); ok = it.Next() {
		fn(bytes.Clone(it.Key()[5:]), bytes.Clone(it.Value()))
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	return nil
}

// remember keeps a record that is on the disk now.
func (q *Queue) remember(r Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tail = append(q.tail, r)
	q.tailBytes += len(r.Data)
	n := 0
	for q.tailBytes > maxTail {
		q.tailBytes -= len(q.tail[n].Data)
		q.fresh = q.tail[n].Seq + 1
		n++
	}
	q.cut(n)
}

// cut forgets the first n of the tail. mu is held.
func (q *Queue) cut(n int) {
	clear(q.tail[:n])
	q.tail = q.tail[n:]
}

// recent returns what Peek does, if all of it is in the tail.
func (q *Queue) recent(from uint64, n int, limit int64) (rs []Record, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if from < q.fresh {
		return nil, false
	}
	at, _ := slices.BinarySearchFunc(q.tail, from, func(r Record, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	end := at
	for end < len(q.tail) && end-at < n {
		if limit -= int64(len(q.tail[end].Data)); limit < 0 && end > at {
			break
		}
		end++
	}
	return slices.Clone(q.tail[at:end]), true
}

func (q *Queue) end() []byte {
	k := append(make([]byte, 0, 5), prefixRecord)
	return binary.BigEndian.AppendUint32(k, q.id+1)
}

// measure counts what a queue of an earlier run holds.
func (q *Queue) measure() error {
	if v, closer, err := q.buf.db.Get(q.head()); err == nil {
		if len(v) == 8 {
			q.first = binary.BigEndian.Uint64(v)
			q.next = q.first
		}
		if err := closer.Close(); err != nil {
			return fmt.Errorf("buffer: %w", err)
		}
	} else if !errors.Is(err, pebble.ErrNotFound) {
		return fmt.Errorf("buffer: %w", err)
	}
	if err := q.buf.db.DeleteRange(q.key(0), q.key(q.first), pebble.NoSync); err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	q.purged = q.first
	it, err := q.buf.db.NewIter(&pebble.IterOptions{LowerBound: q.key(q.first), UpperBound: q.end()})
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
	q.fresh = q.next
	if q.records > 0 {
		q.signal()
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
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
	q.cut(len(q.tail))
	q.tailBytes, q.fresh = 0, q.next
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
	if rs, ok := q.recent(from, n, limit); ok {
		return rs, nil
	}
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
func (q *Queue) Remove(rs []Record) error { return q.RemoveNoted(rs, nil) }

// RemoveNoted is Remove that takes the notes of the given keys away with the records.
func (q *Queue) RemoveNoted(rs []Record, notes [][]byte) error {
	if len(rs) == 0 {
		return nil
	}
	last := rs[len(rs)-1].Seq
	q.mu.Lock()
	q.gone += len(rs)
	purge := q.gone >= purgeStep
	from := q.purged
	if purge {
		q.gone, q.purged = 0, last+1
	}
	q.mu.Unlock()
	w := q.buf.db.NewBatch()
	err := w.Set(q.head(), binary.BigEndian.AppendUint64(nil, last+1), nil)
	if purge {
		err = errors.Join(err, w.DeleteRange(q.key(from), q.key(last+1), nil))
	}
	for _, key := range notes {
		err = errors.Join(err, w.Delete(q.note(key), nil))
	}
	if err = errors.Join(err, w.Commit(pebble.NoSync), w.Close()); err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	var size int64
	for _, r := range rs {
		size += int64(len(r.Data))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.first = last + 1
	q.records -= len(rs)
	q.bytes -= size
	n := 0
	for n < len(q.tail) && q.tail[n].Seq <= last {
		q.tailBytes -= len(q.tail[n].Data)
		n++
	}
	q.cut(n)
	q.fresh = max(q.fresh, last+1)
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
