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
	err := errors.Join(w.Delete(append([]byte{prefixName}, name...), nil), w.DeleteRange(q.key(0), q.end(), nil))
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
	b    *Buffer
	adds []added
}

type added struct {
	q      *Queue
	record []byte
}

// Begin starts a transaction. End it with Commit or Cancel.
func (b *Buffer) Begin() *Tx { return &Tx{b: b} }

// Add puts a record, which belongs to the transaction from now on, at the end of
// q. ErrFull leaves the transaction as it was.
func (t *Tx) Add(q *Queue, record []byte) error {
	if err := q.reserve(int64(len(record))); err != nil {
		return err
	}
	t.adds = append(t.adds, added{q, record})
	return nil
}

// Commit makes the records safe: fsync has returned. With an error none of them
// is there.
func (t *Tx) Commit() error {
	if len(t.adds) == 0 {
		return nil
	}
	if err := t.b.write(t.adds); err != nil {
		t.Cancel()
		return fmt.Errorf("buffer: %w", err)
	}
	for _, a := range t.adds {
		a.q.signal()
	}
	t.adds = nil
	return nil
}

// write puts the records on disk. One transaction at a time, so that a reader
// never sees a record before an older one of its queue.
func (b *Buffer) write(adds []added) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	w := b.db.NewBatch()
	for _, a := range adds {
		if err := w.Set(a.q.key(a.q.number()), a.record, nil); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return errors.Join(w.Commit(pebble.Sync), w.Close())
}

// Cancel gives the transaction up.
func (t *Tx) Cancel() {
	for _, a := range t.adds {
		a.q.release(1, int64(len(a.record)))
	}
	t.adds = nil
}
