// Package store is the contract for what must survive: keys and bytes, batches
// that are applied whole, deletion of ranges, and completions that come when a
// batch is as safe as it asked for. It owns the form of a batch, the queue in
// front of a disk (group commit) and the versions of what is stored. It refuses
// to know what the bytes mean; sessions, retained messages, bans, cursors and
// plugin data lay out keys of their own.
//
// A Store is one shard: its batches are applied and completed in the order in
// which they came. Whoever wants several opens several and picks by the hash of
// what has to stay together.
package store

import (
	"context"
	"errors"
	"time"
)

// The errors of a store. They come wrapped; test with errors.Is.
var (
	// ErrNotFound: the key has no value.
	ErrNotFound = errors.New("store: key not found")
	// ErrBusy: the queue has no room. Nobody waits in Commit; the caller makes
	// its own producer wait, or refuses it.
	ErrBusy = errors.New("store: queue is full")
	// ErrFull: the store may not grow any more. Batches that free space are taken.
	ErrFull = errors.New("store: disk quota reached")
	// ErrReadOnly: a write or fsync failed. Nothing is acknowledged until the
	// store was opened anew.
	ErrReadOnly = errors.New("store: read only")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store: closed")
	// ErrNewer: what is stored was written by a newer version of the program.
	ErrNewer = errors.New("store: written by a newer version")
	// ErrOlder: it was written by an older version, and who reads may not migrate it.
	ErrOlder = errors.New("store: written by an older version")
	// ErrCorrupt: what is stored cannot be what was written.
	ErrCorrupt = errors.New("store: corrupt")
)

// Durability is what a batch has reached when it completes.
type Durability byte

// The classes of durability, each stronger than the one before.
const (
	// Memory: it can be read. It may not survive the process.
	Memory Durability = iota
	// Async: handed to the operating system with write(). It survives kill -9 of
	// the process; power loss takes at most what came in the last sync interval
	// (100 ms).
	Async
	// Sync: fsync has returned. It survives power loss.
	Sync
)

// String is the word of the configuration: memory, async or sync.
func (d Durability) String() string {
	switch d {
	case Memory:
		return "memory"
	case Async:
		return "async"
	case Sync:
		return "sync"
	}
	return "unknown"
}

// Range is the keys k with From <= k < To in byte order. A nil From begins with
// the first key, a nil To ends with the last.
type Range struct{ From, To []byte }

// Reader reads what batches have left. It sees a batch whole or not at all, from
// its completion at the latest.
type Reader interface {
	// Get appends the key's value to dst. The errors are ErrNotFound, in which
	// case dst comes back unchanged, ErrClosed, ErrCorrupt and those of the disk.
	Get(key, dst []byte) ([]byte, error)
	// Scan calls fn with the keys of r in their order, as they are at one moment,
	// until fn returns false. key and value are fn's for the call only; fn may
	// call the store. The errors are those of Get.
	Scan(r Range, fn func(key, value []byte) bool) error
}

// Completion is told once of the end of a batch, on any goroutine, possibly
// before Commit has returned. Completions of one store come one after another,
// in the order of the commits. Done must not block: it stands in the way of all
// that come after. One Completion may serve many batches, and one batch the
// messages of many.
type Completion interface {
	// Done gives the batch back. err is nil when the batch is applied and as safe
	// as it asked for. With an error (ErrReadOnly, ErrClosed) nothing is promised:
	// after the next start all of the batch is there, or nothing.
	Done(err error)
}

// Func is a Completion made of a function.
type Func func(err error)

// Done calls the function.
func (f Func) Done(err error) { f(err) }

// Store keeps keys and bytes.
type Store interface {
	Reader
	// Commit takes the batch, and it belongs to the store until done is told.
	// It never blocks. With an error nothing was taken and done is not told:
	// ErrBusy, ErrFull, ErrReadOnly, ErrClosed. done may be nil. An empty batch
	// completes when everything before it is as safe as it asks for: a barrier.
	Commit(b *Batch, d Durability, done Completion) error
	// Busy tells that the queue is more than half full: read from no publisher
	// that has a completion to wait for.
	Busy() bool
	// State is how the store is.
	State() State
	// Close completes what was taken, syncs and releases everything; it waits for
	// reads. Idempotent.
	Close() error
}

// Mode is what a store still does.
type Mode byte

// The modes of a store.
const (
	// Ready: reads and writes.
	Ready Mode = iota
	// Full: reads, and writes that free space. It becomes Ready by itself.
	Full
	// ReadOnly: reads. A write or fsync failed; it stays so until opened anew.
	ReadOnly
	// Closed: nothing.
	Closed
)

// String is the mode in a word or two.
func (m Mode) String() string {
	switch m {
	case Ready:
		return "ready"
	case Full:
		return "full"
	case ReadOnly:
		return "read only"
	case Closed:
		return "closed"
	}
	return "unknown"
}

// State is the mode of a store and how it came to it.
type State struct {
	Mode  Mode
	Err   error // why; nil when Ready
	Since time.Time
}

// Maintainer is what a store on a disk offers to its operator. All of it works
// while the store is in use.
type Maintainer interface {
	// Info is sizes and counts.
	Info() Info
	// Check reads everything and compares checksums and order. It returns how
	// many keys there are; the error is ErrCorrupt or that of the disk.
	Check(ctx context.Context) (keys int64, err error)
	// Compact rewrites the store to its smallest form.
	Compact(ctx context.Context) error
	// Backup writes the store as it is at one moment, with everything that was
	// completed before the call, to dir, which must not exist.
	Backup(ctx context.Context, dir string) error
}

// Info is the sizes and counts of a store. Counts are since it was opened.
type Info struct {
	Dir    string
	Format int   // version of the layout on disk
	Bytes  int64 // on disk, all files
	Free   int64 // left on the disk for this user; 0: unknown
	Log    int64 // bytes in the write-ahead log
	Tables int64 // sorted files
	Cache  int64 // bytes of memory in the block cache
	Tail   int64 // bytes of memory in tables not yet written

	Queued       int64 // bytes taken and not completed
	Batches      int64 // completed
	Groups       int64 // writes to the log: Batches/Groups share one
	Operations   int64 // puts and deletes of the completed batches
	PayloadBytes int64 // their keys and values
	WrittenBytes int64 // handed to the disk: log, tables, rewriting
	Syncs        int64 // fsyncs of the log
}
