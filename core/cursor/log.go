package cursor

import (
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
	tail    tail
	read    [4]mark // where the last calls of Read have ended: what is acknowledged next
	reads   int     // calls of Read
}

// mark is a record and the log's bytes up to its end.
type mark struct{ seq, total uint64 }

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
	g.put(tx, recs)
	g.putHead(tx)
	tx.Wait(g)
	tx.Commit()
	if wait != nil {
		wait.Barrier(g.cfg.Durability)
	}
	return g.head.last, nil
}

// put writes the records as bursts. mu is held.
func (g *Log) put(tx *journal.Tx, recs [][]byte) {
	g.key = recordsKey(g.key[:0], g.name)
	at := len(g.key)
	for len(recs) > 0 {
		size, n := burstHead, 0
		for n < len(recs) && n < burstRecords && (n == 0 || size+lenSize+len(recs[n]) <= burstBytes) {
			size += lenSize + len(recs[n])
			n++
		}
		val := appendBurst(make([]byte, 0, size))
		for _, r := range recs[:n] {
			val = appendRecord(val, r)
			g.head.lastBytes += uint64(len(r) + Overhead)
		}
		g.head.last += uint64(n)
		endBurst(val, g.head.lastBytes, n)
		g.key = store.AppendUint64(g.key[:at], g.head.last)
		tx.Put(g.cfg.Durability, g.key, val)
		g.tail.add(g.head.last, val, tx)
		recs = recs[n:]
	}
}

// dropStep is how much more than needed is dropped, so that not each burst has to.
const dropStep = 1 << 20

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
	g.tail.forget(h.done)
	g.putHead(tx)
}

// Read calls fn with the records after seq, in order, until it returns false; 0
// begins with the first that is not acknowledged. record is fn's for the call
// only. What Append has returned may not be there yet: see More.
func (g *Log) Read(seq uint64, fn func(seq uint64, record []byte) bool) error {
	g.mu.Lock()
	seq = max(seq, g.head.done)
	removed, last := g.removed, g.head.last
	recent, here := g.tail.after(seq)
	g.mu.Unlock()
	if removed {
		return ErrRemoved
	}
	if seq >= last {
		return nil
	}
	var end mark
	each := func(seq, total uint64, record []byte) bool {
		end = mark{seq, total}
		return fn(seq, record)
	}
	var err error
	if !here || !within(recent, seq, each) {
		err = g.scan(max(seq, end.seq), each)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.read[g.reads%len(g.read)] = end
	g.reads++
	return err
}

// within calls fn with the records after seq that are on the disk, of bursts in memory.
// False: the disk has not taken one of them, and it is to be asked what it has.
func within(bursts []recent, seq uint64, fn func(seq, total uint64, record []byte) bool) bool {
	for _, k := range bursts {
		over, err := k.tx.Ended()
		if err != nil {
			return false
		}
		if !over {
			return true
		}
		if more, _ := k.burst.each(seq, fn); !more {
			return true
		}
	}
	return true
}

// scan calls fn with the records after seq that are on the disk.
func (g *Log) scan(seq uint64, fn func(seq, total uint64, record []byte) bool) error {
	k := recordsKey(nil, g.name)
	at := len(k)
	r := store.Range{From: store.AppendUint64(k[:at:at], seq+1), To: store.Prefix(k).To}
	var bad error
	err := g.j.Store().Scan(r, func(key, value []byte) bool {
		last, rest, ok := store.CutUint64(key[at:])
		b, sound := readBurst(last, value)
		if sound = sound && ok && len(rest) == 0; sound {
			ok, sound = b.each(seq, fn)
		}
		if !sound {
			bad = fmt.Errorf("cursor: records %x of %s: %w", key, g.name, store.ErrCorrupt)
		}
		return ok && sound
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
	if err := g.find(seq, &h); err != nil {
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

// find makes seq the last record of h that is done. It leaves h as it is when there
// is no such record. mu is held.
func (g *Log) find(seq uint64, h *head) error {
	for _, m := range g.read {
		if m.seq == seq {
			h.done, h.doneBytes = seq, m.total
			return nil
		}
	}
	there := func(at, total uint64, _ []byte) bool {
		if at == seq {
			h.done, h.doneBytes = seq, total
		}
		return false
	}
	if recent, here := g.tail.after(seq - 1); here {
		recent[0].burst.each(seq-1, there)
		return nil
	}
	return g.scan(seq-1, there)
}
