package store

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// The bounds of a committer that were not configured.
const (
	DefaultQueueBytes   = 32 << 20
	DefaultQueueBatches = 1 << 16
	DefaultGroupBytes   = 1 << 20
)

// overhead is what a queued batch is counted for beyond its bytes.
const overhead = 64

// CommitterConfig bounds a committer. Zero values are the defaults.
type CommitterConfig struct {
	QueueBytes   int // taken and not completed; one batch is taken by an empty queue whatever its size
	QueueBatches int
	GroupBytes   int // one write, unless a single batch is larger
	// Write applies the batches in their order as one, and returns when they are
	// as safe as d. After its first error it is not called again.
	Write func(group []*Batch, d Durability) error
}

// Committer is the queue in front of a disk and its group commit: while one
// group is written and synced, the next gathers; each group is one write. It
// completes batches in their order. After a failure it refuses everything and
// completes what it has with the failure.
type Committer struct {
	cfg   CommitterConfig
	wake  chan struct{} // holds 1: there is something to do
	ended chan struct{} // closed when run has returned

	used    atomic.Int64 // bytes taken and not completed
	batches atomic.Int64
	groups  atomic.Int64
	ops     atomic.Int64
	payload atomic.Int64

	mu     sync.Mutex
	queue  []queued
	count  int   // batches taken and not completed
	refuse error // why nothing is taken any more
	closed bool

	// Owned by run.
	failed error
	group  []*Batch
}

type queued struct {
	b    *Batch
	d    Durability
	done Completion
}

// NewCommitter starts a committer. Close ends it.
func NewCommitter(cfg CommitterConfig) *Committer {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&cfg.QueueBytes, DefaultQueueBytes)
	def(&cfg.QueueBatches, DefaultQueueBatches)
	def(&cfg.GroupBytes, DefaultGroupBytes)
	c := &Committer{cfg: cfg, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go c.run()
	return c
}

// Commit takes a batch as [Store.Commit] says.
func (c *Committer) Commit(b *Batch, d Durability, done Completion) error {
	size := int64(b.Size() + overhead)
	c.mu.Lock()
	switch {
	case c.refuse != nil:
		err := c.refuse
		c.mu.Unlock()
		return err
	case c.count > 0 && (c.count >= c.cfg.QueueBatches || c.used.Load()+size > int64(c.cfg.QueueBytes)):
		c.mu.Unlock()
		return ErrBusy
	}
	c.used.Add(size)
	c.count++
	c.queue = append(c.queue, queued{b, d, done})
	first := len(c.queue) == 1
	c.mu.Unlock()
	if first {
		c.poke()
	}
	return nil
}

// Busy tells that more than half of the queue's bytes are in use.
func (c *Committer) Busy() bool { return c.used.Load() > int64(c.cfg.QueueBytes/2) }

// Refuse makes Commit return err from now on. What was taken is still written,
// if Write lets it. Only the first call counts.
func (c *Committer) Refuse(err error) {
	c.mu.Lock()
	if c.refuse == nil {
		c.refuse = err
	}
	c.mu.Unlock()
}

// Count adds the committer's counts to i.
func (c *Committer) Count(i *Info) {
	i.Queued += c.used.Load()
	i.Batches += c.batches.Load()
	i.Groups += c.groups.Load()
	i.Operations += c.ops.Load()
	i.PayloadBytes += c.payload.Load()
}

// Close completes what was taken and ends the committer. Commit returns
// ErrClosed from now on. Idempotent.
func (c *Committer) Close() {
	c.mu.Lock()
	c.refuse, c.closed = ErrClosed, true
	c.mu.Unlock()
	c.poke()
	<-c.ended
}

func (c *Committer) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Committer) run() {
	defer close(c.ended)
	var work []queued
	for {
		c.mu.Lock()
		work, c.queue = c.queue, work[:0]
		closed := c.closed
		c.mu.Unlock()
		if len(work) == 0 {
			if closed {
				return
			}
			<-c.wake
			continue
		}
		for rest := work; len(rest) > 0; {
			n := c.cut(rest)
			c.commit(rest[:n])
			rest = rest[n:]
		}
		clear(work) // completions and batches are not ours any more
	}
}

// cut is how many of work fit one group.
func (c *Committer) cut(work []queued) int {
	n, size := 1, work[0].b.Size()
	for n < len(work) && size+work[n].b.Size() <= c.cfg.GroupBytes {
		size += work[n].b.Size()
		n++
	}
	return n
}

func (c *Committer) commit(work []queued) {
	d, ops, size := Memory, 0, 0
	c.group = c.group[:0]
	for _, q := range work {
		d = max(d, q.d)
		ops += q.b.Len()
		size += q.b.Size()
		c.group = append(c.group, q.b)
	}
	if c.failed == nil {
		if err := c.cfg.Write(c.group, d); err != nil {
			c.failed = readOnly(err)
			c.Refuse(c.failed)
		}
	}
	clear(c.group)
	if c.failed == nil {
		c.batches.Add(int64(len(work)))
		c.groups.Add(1)
		c.ops.Add(int64(ops))
		c.payload.Add(int64(size))
	}
	c.mu.Lock()
	c.count -= len(work)
	c.mu.Unlock()
	c.used.Add(-int64(size + overhead*len(work)))
	for _, q := range work {
		if q.done != nil {
			q.done.Done(c.failed)
		}
	}
}

// readOnly makes the failure of a write one that is ErrReadOnly too.
func readOnly(err error) error { return fmt.Errorf("%w: %w", ErrReadOnly, err) }
