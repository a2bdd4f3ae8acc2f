package cursor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/store"
)

// Log is one consumer's records. Any goroutine may append; one reads and
// acknowledges.
type Log struct {
	// Immutable.
	j    *journal.Journal
	name string
	more chan struct{} // holds 1

	mu sync.Mutex
	// Guarded by mu. Transactions are committed under it, so that the disk has
	// records in the order of their numbers and never one without those before it.
	cfg     Config
	head    head
	removed bool
	key     []byte // scratch
	val     []byte // scratch
}

func newLog(j *journal.Journal, name string) *Log {
	return &Log{j: j, name: name, more: make(chan struct{}, 1)}
}

// State is how far a log and its consumer are.
type State struct {
	Name    string
	First   uint64 // the next record to be done; Last+1: none
	Last    uint64 // the number of the last record, from 1
	Bytes   int64  // of records to be done, with Overhead
	Max     int64  // most of them
	Dropped uint64 // records that had to go, since the log was made
}

// State returns the log's state.
func (g *Log) State() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return State{Name: g.name, First: g.head.done + 1, Last: g.head.last, Bytes: g.used(), Max: g.cfg.MaxBytes, Dropped: g.head.dropped}
}

// used is the bytes to be done. mu is held.
func (g *Log) used() int64 { return int64(g.head.lastBytes - g.head.doneBytes) }

// More is signalled when records came, or the log was removed. It holds one
// signal: read until there is nothing, then wait.
func (g *Log) More() <-chan struct{} { return g.more }

func (g *Log) poke() {
	select {
	case g.more <- struct{}{}:
	default:
	}
}

// Resume implements journal.Waiter: a transaction has ended.
func (g *Log) Resume() { g.poke() }

// Append puts the records of one burst at the end, all or none, and returns the
// number of the last. They are as safe as the log wants them when wait has ended,
// which may be nil. The records are borrowed. The errors are ErrFull,
// ErrRemoved and those of a disk that takes nothing.
func (g *Log) Append(wait *journal.Tx, recs ...[]byte) (uint64, error) {
	size := int64(0)
	for _, r := range recs {
		size += int64(len(r)) + Overhead
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.removed {
		return 0, ErrRemoved
	}
	if err := g.j.Fault(); err != nil {
		return 0, err
	}
	tx := g.j.Begin()
	if over := g.used() + size - g.cfg.MaxBytes; over > 0 {
		if err := g.makeRoom(tx, over); err != nil {
			tx.Commit() // what room it has made is no harm
			return 0, err
		}
	}
	g.key = recordsKey(g.key[:0], g.name)
	at := len(g.key)
	for _, r := range recs {
		g.head.last++
		g.head.lastBytes += uint64(len(r) + Overhead)
		g.key = store.AppendUint64(g.key[:at], g.head.last)
		g.val = binary.BigEndian.AppendUint64(g.val[:0], g.head.lastBytes)
		g.val = append(g.val, r...)
		tx.Put(g.cfg.Durability, g.key, g.val)
	}
	if cap(g.val) > scratchMax {
		g.val = nil
	}
	g.putHead(tx)
	tx.Wait(g)
	tx.Commit()
	if wait != nil {
		wait.Barrier(g.cfg.Durability)
	}
	return g.head.last, nil
}

// scratchMax bounds what is held on to between two bursts; dropStep is how much
// more than needed is dropped, so that not each burst has to.
const (
	scratchMax = 64 << 10
	dropStep   = 1 << 20
)

func (g *Log) putHead(tx *journal.Tx) {
	tx.Put(store.Async, headKey(nil, g.name), g.head.append(nil))
}

// makeRoom drops at least over bytes. mu is held.
func (g *Log) makeRoom(tx *journal.Tx, over int64) error {
	if g.cfg.Full == Deny {
		return fmt.Errorf("%w: %s has %d of %d bytes", ErrFull, g.name, g.used(), g.cfg.MaxBytes)
	}
	want := over + min(g.cfg.MaxBytes/16, dropStep)
	h := g.head
	err := g.scan(h.done, func(seq, total uint64, _ []byte) bool {
		h.dropped += seq - h.done
		h.done, h.doneBytes = seq, total
		return int64(total-g.head.doneBytes) < want
	})
	if err != nil {
		return err
	}
	if int64(h.doneBytes-g.head.doneBytes) < over {
		return fmt.Errorf("%w: %s has %d bytes, more than that are on their way to the disk or in one burst", ErrFull, g.name, g.used())
	}
	g.forget(tx, h)
	return nil
}

// forget removes the records up to h.done and makes h the head. mu is held.
func (g *Log) forget(tx *journal.Tx, h head) {
	const few = 64 // below it single deletions are cheaper to read over
	k := recordsKey(nil, g.name)
	at := len(k)
	if h.done-g.head.done < few {
		for seq := g.head.done + 1; seq <= h.done; seq++ {
			k = store.AppendUint64(k[:at], seq)
			tx.Delete(k)
		}
	} else {
		tx.DeleteRange(store.AppendUint64(k[:at:at], g.head.done+1), store.AppendUint64(k[:at:at], h.done+1))
	}
	g.head = h
	g.putHead(tx)
}

// Read calls fn with the records after seq, in order, until it returns false; 0
// begins with the first that is not acknowledged. record is fn's for the call
// only. What Append has returned may not be there yet: see More.
func (g *Log) Read(seq uint64, fn func(seq uint64, record []byte) bool) error {
	g.mu.Lock()
	seq = max(seq, g.head.done)
	removed := g.removed
	g.mu.Unlock()
	if removed {
		return ErrRemoved
	}
	return g.scan(seq, func(seq, _ uint64, record []byte) bool { return fn(seq, record) })
}

// scan calls fn with the records after seq that are on the disk.
func (g *Log) scan(seq uint64, fn func(seq, total uint64, record []byte) bool) error {
	k := recordsKey(nil, g.name)
	at := len(k)
	r := store.Range{From: store.AppendUint64(k[:at:at], seq+1), To: store.Prefix(k).To}
	var bad error
	err := g.j.Store().Scan(r, func(key, value []byte) bool {
		seq, rest, ok := store.CutUint64(key[at:])
		if !ok || len(rest) > 0 || len(value) < totalSize {
			bad = fmt.Errorf("cursor: record %x of %s: %w", key, g.name, store.ErrCorrupt)
			return false
		}
		return fn(seq, binary.BigEndian.Uint64(value), value[totalSize:])
	})
	return errors.Join(bad, err)
}

// Ack moves the cursor over all records up to seq, which were read. A crash
// before that is on the disk lets them come again. A full disk takes it. The
// errors are ErrAhead, ErrRemoved and those of reading.
func (g *Log) Ack(seq uint64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.removed:
		return ErrRemoved
	case seq <= g.head.done:
		return nil
	case seq > g.head.last:
		return fmt.Errorf("%w: %d, the last is %d", ErrAhead, seq, g.head.last)
	}
	h := g.head
	err := g.scan(seq-1, func(at, total uint64, _ []byte) bool {
		if at == seq {
			h.done, h.doneBytes = seq, total
		}
		return false
	})
	if err != nil {
		return err
	}
	if h.done != seq {
		return fmt.Errorf("%w: %d has not been read", ErrAhead, seq)
	}
	tx := g.j.Begin()
	g.forget(tx, h)
	tx.Commit()
	return nil
}
