// Package sink brings what rules have selected to where it is wanted: in
// batches, again and again until the other side has taken it, from a queue that
// outlives the process. It owns batching, retries, health and the figures of a
// sink. It refuses to know databases: each has a Driver in a package below.
package sink

import (
	"context"
	"errors"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
)

// Item is one result on its way.
type Item struct {
	Action string // the action's id
	Row    []byte // the selected fields, a JSON object
}

// Driver speaks to one kind of sink. It is used by one goroutine at a time,
// but for Check, which may come at any time.
type Driver interface {
	// Write brings the items, oldest first. An error means that none is known to
	// have arrived and all are tried again, unless it is a *Bad or a *Partial.
	// Items may come twice: at least once is the promise.
	Write(ctx context.Context, items []Item) error
	// Check tells whether the other side answers, by asking it.
	Check(ctx context.Context) error
	// Close ends the connections.
	Close() error
}

// Resource is a driver that actions are bound to: each says what becomes of its
// rows.
type Resource interface {
	Driver
	// Bind makes the driver ready for items of the action, or says what is wrong
	// with its parameters. It may replace an earlier one.
	Bind(action string, p *params.Params) error
	// Unbind forgets the action. Items of it that still wait are refused.
	Unbind(action string)
}

// ErrUnbound is why an item is refused whose action is gone.
var ErrUnbound = errors.New("the action does not exist any more")

// Bad says that items were refused for what they are, so that to try again is
// vain: a row that breaks a constraint, a payload that is too large. All other
// items of the call have arrived.
type Bad struct {
	Items map[int]error // by index
}

// Error implements error.
func (e *Bad) Error() string { return "items were refused" }

// Partial says that the first Done items have arrived and the rest is to be
// tried again because of Err.
type Partial struct {
	Done int
	Err  error
}

// Error implements error.
func (e *Partial) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *Partial) Unwrap() error { return e.Err }

// Queue is where items wait: *buffer.Queue.
type Queue interface {
	Peek(after uint64, n int, limit int64) ([]buffer.Record, error)
	Remove(rs []buffer.Record) error
	Ready() <-chan struct{}
	Len() (records int, bytes int64)
}

var _ Queue = (*buffer.Queue)(nil)

// Config says how a sink works.
type Config struct {
	BatchSize  int           // items of one Write, at most; 0: 500
	BatchBytes int64         // bytes of one Write, at most but at least one item; 0: 1 MiB
	BatchTime  time.Duration // how long to wait for a full batch; 0: not at all
	Timeout    time.Duration // of one Write; 0: 10 s
	RetryMin   time.Duration // the first pause after a failure, doubled each time; 0: 100 ms
	RetryMax   time.Duration // the longest pause; 0: 30 s
}

func (c Config) withDefaults() Config {
	set(&c.BatchSize, 500)
	set(&c.BatchBytes, 1<<20)
	set(&c.Timeout, 10*time.Second)
	set(&c.RetryMin, 100*time.Millisecond)
	set(&c.RetryMax, 30*time.Second)
	return c
}

func set[T int | int64 | time.Duration](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// EncodeItem is the item as a queue holds it.
func EncodeItem(it Item) []byte {
	b := make([]byte, 0, 2+len(it.Action)+len(it.Row))
	b = append(b, 1, byte(len(it.Action)))
	b = append(b, it.Action...)
	return append(b, it.Row...)
}

// MaxAction is the most bytes of an action's id.
const MaxAction = 255

// DecodeItem reads what EncodeItem has written.
func DecodeItem(b []byte) (Item, error) {
	if len(b) < 2 || b[0] != 1 || len(b) < 2+int(b[1]) {
		return Item{}, errors.New("sink: a record in the queue is not of this version")
	}
	n := 2 + int(b[1])
	return Item{Action: string(b[2:n]), Row: b[n:]}, nil
}
