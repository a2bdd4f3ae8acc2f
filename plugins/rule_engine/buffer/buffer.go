// Package buffer is where results wait for their sinks: queues of records on
// disk, one for each sink, so that a sink that is down holds up nobody and what
// was taken survives kill -9 of the plugin. It owns the directory and the order
// of each queue. It refuses to know what the bytes mean.
package buffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// ErrFull: the queue has as many bytes as it may have.
var ErrFull = errors.New("buffer: queue is full")

// The layout on disk. A newer one is refused.
const format = 1

var (
	keyFormat = []byte("f")
	// queue names: n<name> -> id4
	prefixName = byte('n')
	// records: q<id4><seq8> -> bytes
	prefixRecord = byte('q')
	// where a queue begins: h<id4> -> seq8; records below it are gone
	prefixHead = byte('h')
	// notes: m<id4><key> -> bytes
	prefixNote = byte('m')
)

// Buffer holds the queues. Safe for concurrent use.
type Buffer struct {
	db      *pebble.DB // immutable
	writing sync.Mutex // held while a transaction is written

	mu     sync.Mutex
	queues map[string]*Queue // guarded by mu
	last   uint32            // the last queue id; guarded by mu
}

// quiet keeps the database from writing on standard error.
type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// Open opens the buffer in dir, which is made with mode 0700.
func Open(dir string) (*Buffer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("buffer: %w", err)
	}
	db, err := pebble.Open(dir, &pebble.Options{Logger: quiet{}, MemTableSize: 8 << 20, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		return nil, fmt.Errorf("buffer: open %s: %w", dir, err)
	}
	b := &Buffer{db: db, queues: map[string]*Queue{}}
	if err := b.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return b, nil
}

// load checks the format and reads what queues there are.
func (b *Buffer) load() error {
	v, closer, err := b.db.Get(keyFormat)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		if err := b.db.Set(keyFormat, []byte{format}, pebble.Sync); err != nil {
			return fmt.Errorf("buffer: %w", err)
		}
	case err != nil:
		return fmt.Errorf("buffer: %w", err)
	default:
		n := v[0]
		if err := closer.Close(); err != nil {
			return fmt.Errorf("buffer: %w", err)
		}
		if n > format {
			return fmt.Errorf("buffer: written by a newer version (format %d, this one knows %d)", n, format)
		}
	}
	it, err := b.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixName}, UpperBound: []byte{prefixName + 1}})
	if err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		id := binary.BigEndian.Uint32(it.Value())
		q := newQueue(b, string(it.Key()[1:]), id)
		b.queues[q.name] = q
		b.last = max(b.last, id)
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	for _, q := range b.queues {
		if err := q.measure(); err != nil {
			return err
		}
	}
	return nil
}

// Queue returns the queue of a name, made if there is none, with a limit in
// bytes; 0: no limit.
func (b *Buffer) Queue(name string, maxBytes int64) (*Queue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.queues[name]
	if q == nil {
		b.last++
		q = newQueue(b, name, b.last)
		if err := b.db.Set(append([]byte{prefixName}, name...), binary.BigEndian.AppendUint32(nil, q.id), pebble.Sync); err != nil {
			return nil, fmt.Errorf("buffer: %w", err)
		}
		b.queues[name] = q
	}
	q.limit(maxBytes)
	return q, nil
}

// Names are the names of all queues, those that nobody has asked for too: the
// leftovers of sinks that are not configured any more.
func (b *Buffer) Names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := make([]string, 0, len(b.queues))
	for name := range b.queues {
		names = append(names, name)
	}
	return names
}

// Drop removes a queue with all that is in it.
func (b *Buffer) Drop(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.queues[name]
	if q == nil {
		return nil
	}
	w := b.db.NewBatch()
	defer func() { _ = w.Close() }()
	err := errors.Join(w.Delete(append([]byte{prefixName}, name...), nil), w.Delete(q.head(), nil),
		w.DeleteRange(q.key(0), q.end(), nil), w.DeleteRange(q.note(nil), q.notesEnd(), nil))
	if err == nil {
		err = w.Commit(pebble.Sync)
	}
	if err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	delete(b.queues, name)
	q.emptied()
	return nil
}

// Close writes everything and closes the directory.
func (b *Buffer) Close() error {
	if err := b.db.Close(); err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	return nil
}

// Tx collects records for any number of queues, which are then taken together.
// It belongs to one goroutine.
type Tx struct {
	b     *Buffer
	adds  []added
	notes []noted
}

// noted is a change of a note; value nil: it goes.
type noted struct {
	q          *Queue
	key, value []byte
}

type added struct {
	q      *Queue
	record []byte
	seq    uint64 // set by write
}

// Begin starts a transaction. End it with Commit or Cancel.
func (b *Buffer) Begin() *Tx { return &Tx{b: b} }

// Add puts a record, which belongs to the transaction from now on, at the end of
// q. ErrFull leaves the transaction as it was.
func (t *Tx) Add(q *Queue, record []byte) error {
	if err := q.reserve(int64(len(record))); err != nil {
		return err
	}
	t.adds = append(t.adds, added{q: q, record: record})
	return nil
}

// Note sets a note of q, a few bytes that its user wants to find after a crash; value
// nil removes it. Key and value belong to the transaction.
func (t *Tx) Note(q *Queue, key, value []byte) { t.notes = append(t.notes, noted{q, key, value}) }

// Commit makes the records and notes safe, all or none: fsync has returned. With an
// error none of them is there.
func (t *Tx) Commit() error {
	if len(t.adds) == 0 && len(t.notes) == 0 {
		return nil
	}
	if err := t.b.write(t); err != nil {
		t.Cancel()
		return fmt.Errorf("buffer: %w", err)
	}
	for _, a := range t.adds {
		a.q.signal()
	}
	t.adds, t.notes = nil, nil
	return nil
}

// write puts a transaction on disk. One at a time, so that a reader never sees a
// record before an older one of its queue.
func (b *Buffer) write(t *Tx) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	w := b.db.NewBatch()
	for i := range t.adds {
		a := &t.adds[i]
		a.seq = a.q.number()
		op := w.SetDeferred(keySize, len(a.record))
		a.q.putKey(op.Key[:0], a.seq)
		copy(op.Value, a.record)
		if err := op.Finish(); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	for _, n := range t.notes {
		var err error
		if n.value == nil {
			err = w.Delete(n.q.note(n.key), nil)
		} else {
			err = w.Set(n.q.note(n.key), n.value, nil)
		}
		if err != nil {
			return errors.Join(err, w.Close())
		}
	}
	if err := errors.Join(w.Commit(pebble.Sync), w.Close()); err != nil {
		return err
	}
	for i := range t.adds {
		t.adds[i].q.remember(Record{t.adds[i].seq, t.adds[i].record})
	}
	return nil
}

// Cancel gives the transaction up.
func (t *Tx) Cancel() {
	for _, a := range t.adds {
		a.q.release(1, int64(len(a.record)))
	}
	t.adds, t.notes = nil, nil
}
