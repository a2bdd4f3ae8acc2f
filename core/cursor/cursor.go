// Package cursor keeps what consumers have still to work off: for each consumer,
// by name, a log of records on the disk and a cursor in it. Producers append,
// the consumer reads on from its cursor and moves it over what it has done. It
// owns order, bounds and what happens at them. It refuses to know what the
// records mean and who the consumers are.
//
// A record is delivered at least once: what a consumer has done and not yet
// acknowledged comes again after a crash. Sequence numbers say which it is.
package cursor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/store"
)

// The errors of logs. Those of the disk (store.ErrFull, store.ErrReadOnly) come
// wrapped from Append too: a publisher is refused with 0x97 or 0x83.
var (
	ErrFull    = errors.New("cursor: the consumer's log is full")
	ErrRemoved = errors.New("cursor: the consumer was removed")
	ErrAhead   = errors.New("cursor: acknowledged beyond the end of the log")
)

// Policy is what a log does when it is full.
type Policy byte

// The policies.
const (
	Deny       Policy = iota // Append returns ErrFull
	DropOldest               // the oldest records go, counted
)

// Config says how a log is kept.
type Config struct {
	MaxBytes   int64            // of records that are not acknowledged; 0: 256 MiB
	Full       Policy           // when MaxBytes would be exceeded
	Durability store.Durability // of records when what waits for them goes on; Memory counts as Async
}

// DefaultMaxBytes bounds a log that was not configured.
const DefaultMaxBytes = 256 << 20

// Overhead is what a record counts for beyond its bytes.
const Overhead = 32

// Logs are the logs of a node. Safe for concurrent use.
type Logs struct {
	j *journal.Journal // immutable

	mu   sync.Mutex
	logs map[string]*Log // guarded by mu
}

// room is the form of what is on the disk; see key.go.
var room = store.Format{Room: "cursors", Version: 2, Steps: []store.Step{toBursts}}

// Open finds the logs that there are. The errors are those of a room's opening:
// store.ErrNewer, store.ErrCorrupt, the disk's.
func Open(ctx context.Context, j *journal.Journal) (*Logs, error) {
	if err := j.Room(ctx, room); err != nil {
		return nil, err
	}
	l := &Logs{j: j, logs: map[string]*Log{}}
	var bad error
	err := j.Store().Scan(store.Prefix([]byte{prefix, heads}), func(key, value []byte) bool {
		name, rest, ok := store.CutString(key[2:])
		h, err := readHead(value)
		if !ok || len(rest) > 0 || err != nil {
			bad = fmt.Errorf("cursor: head %q: %w", key, store.ErrCorrupt)
			return false
		}
		g := newLog(j, name)
		g.head = h
		l.logs[name] = g
		return true
	})
	if err = errors.Join(bad, err); err != nil {
		return nil, err
	}
	return l, nil
}

// Log returns the consumer's log and makes one where there is none. It goes on
// with cfg, whatever it had before.
func (l *Logs) Log(name string, cfg Config) *Log {
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	cfg.Durability = max(cfg.Durability, store.Async)
	l.mu.Lock()
	g := l.logs[name]
	if g == nil {
		g = newLog(l.j, name)
		l.logs[name] = g
	}
	l.mu.Unlock()
	g.mu.Lock()
	g.cfg = cfg
	g.mu.Unlock()
	return g
}

// Remove ends a log and what is in it, and tells whether there was one.
func (l *Logs) Remove(name string) bool {
	l.mu.Lock()
	g := l.logs[name]
	delete(l.logs, name)
	l.mu.Unlock()
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.removed = true
	tx := l.j.Begin()
	r := store.Prefix(recordsKey(nil, name))
	tx.DeleteRange(r.From, r.To)
	tx.Delete(headKey(nil, name))
	tx.Commit()
	g.poke()
	return true
}

// States tells of every log, ordered by name.
func (l *Logs) States() []State {
	l.mu.Lock()
	logs := slices.Collect(maps.Values(l.logs))
	l.mu.Unlock()
	list := make([]State, len(logs))
	for i, g := range logs {
		list[i] = g.State()
	}
	slices.SortFunc(list, func(a, b State) int {
		if a.Name < b.Name {
			return -1
		}
		return 1 // never equal
	})
	return list
}
