package plugin

import (
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Bounds of what a plugin may have waiting to be published.
const (
	maxPending      = 4096
	maxPendingBytes = 8 << 20
	pumpBatch       = 256
)

// pump publishes what plugins queued, in order, on one goroutine: host calls
// return at once and no plugin is entered again from inside a call.
type pump struct {
	publish func([]*message.Message) int
	journal *journal.Journal // nil: nothing is kept
	poke    chan struct{}    // capacity 1

	mu    sync.Mutex
	queue []pending
	spare []pending
}

type pending struct {
	m    *message.Message // nil: only the key is removed
	from *outbox
	done func(error) // nil: nobody waits for it to be safe
	key  string      // of publish once; "": none
	ttl  time.Duration
}

// size is the bytes that p holds.
func (p *pending) size() int {
	if p.m == nil {
		return len(p.key)
	}
	return p.m.Size()
}

func newPump(publish func([]*message.Message) int, j *journal.Journal) *pump {
	return &pump{publish: publish, journal: j, poke: make(chan struct{}, 1)}
}

// run publishes until stop is closed and nothing is left.
func (q *pump) run(stop <-chan struct{}) {
	batch := make([]*message.Message, 0, pumpBatch)
	for {
		for ps := q.take(); len(ps) > 0; ps = q.take() {
			for len(ps) > 0 {
				n := plain(ps)
				if n == 0 {
					q.once(ps[0])
					ps = ps[1:]
					continue
				}
				batch = batch[:0]
				for _, p := range ps[:n] {
					batch = append(batch, p.m)
				}
				q.kept(ps[:n], q.publish(batch))
				clear(batch)
				ps = ps[n:]
			}
		}
		select {
		case <-q.poke:
		case <-stop:
			if q.empty() {
				return
			}
		}
	}
}

// plain is how many of the first are published together: those without a key.
func plain(ps []pending) int {
	n := slices.IndexFunc(ps, func(p pending) bool { return p.key != "" })
	if n < 0 {
		n = len(ps)
	}
	return min(n, pumpBatch)
}

// once publishes a message unless its key is there, and sets the key behind it; without
// a message it removes the key. A key space that is full lets the message come twice.
func (q *pump) once(p pending) {
	keys, refused := p.from.plugin.keys, 0
	switch {
	case p.m == nil:
		_ = keys.Delete(p.key) // it need not be there
	case !keys.has(p.key):
		if refused = q.publish([]*message.Message{p.m}); refused > 0 {
			break
		}
		if err := keys.Store(p.key, nil, p.ttl); err != nil {
			p.from.plugin.log.Warn("a message that was published once is not remembered", zap.Error(err))
		}
	}
	q.kept([]pending{p}, refused)
}

// kept tells those who wait that what was published is safe, when it is.
func (q *pump) kept(ps []pending, refused int) {
	var waiting []func(error)
	for _, p := range ps {
		if p.done != nil {
			waiting = append(waiting, p.done)
		}
	}
	switch {
	case waiting == nil:
	case refused > 0:
		promised{waiting: waiting}.tell(contract.ErrnoQuota)
	case q.journal == nil:
		promised{waiting: waiting}.tell(nil)
	default:
		tx := q.journal.Begin() // ends after what publish has committed on this goroutine
		tx.Barrier(store.Async)
		tx.Wait(&promised{tx: tx, waiting: waiting})
		tx.Commit()
	}
}

// promised waits for the end of a transaction.
type promised struct {
	tx      *journal.Tx
	waiting []func(error)
}

// Resume implements journal.Waiter.
func (k *promised) Resume() {
	_, err := k.tx.Ended()
	k.tell(err)
}

func (k promised) tell(err error) {
	for _, done := range k.waiting {
		done(err)
	}
}

// take returns everything that is queued, valid until the next take.
func (q *pump) take() []pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	ps := q.queue
	clear(q.spare[:cap(q.spare)])
	q.queue, q.spare = q.spare[:0], ps
	for _, p := range ps {
		p.from.waiting--
		p.from.bytes -= p.size()
	}
	return ps
}

func (q *pump) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue) == 0
}

// outbox is one plugin's way into the pump: its [Publisher].
type outbox struct {
	plugin *loaded
	pump   *pump

	// Guarded by pump.mu.
	waiting, bytes int
}

// Publish implements [Publisher].
func (o *outbox) Publish(record []byte, hops uint8) error { return o.put(record, hops, pending{}) }

// PublishKept implements [Keeper].
func (o *outbox) PublishKept(record []byte, hops uint8, done func(error)) error {
	return o.put(record, hops, pending{done: done})
}

// PublishOnce implements [Keeper].
func (o *outbox) PublishOnce(key string, ttl time.Duration, record []byte, done func(error)) error {
	p := pending{done: done, key: key, ttl: ttl}
	switch {
	case !o.plugin.keys.durable():
		return contract.ErrnoDenied
	case key == "" || len(key) > maxKey || ttl < 0:
		return contract.ErrnoInvalid
	case len(record) == 0:
		return o.add(p)
	}
	return o.put(record, 0, p)
}

// put queues one publish record.
func (o *outbox) put(record []byte, hops uint8, p pending) error {
	r, rest, err := contract.Split(record)
	if err != nil || len(rest) > 0 || contract.CheckPublish(r) != nil {
		return contract.ErrnoInvalid
	}
	if hops >= event.MaxHops {
		o.plugin.looped()
		return contract.ErrnoQuota
	}
	p.m = event.Publication(nil, r, event.Cause{From: o.plugin.name, Hops: hops, Now: o.plugin.now()})
	return o.add(p)
}

// add queues p.
func (o *outbox) add(p pending) error {
	p.from = o
	q := o.pump
	q.mu.Lock()
	full := o.waiting >= maxPending || o.bytes+p.size() > maxPendingBytes
	if !full {
		o.waiting++
		o.bytes += p.size()
		q.queue = append(q.queue, p)
	}
	q.mu.Unlock()
	if full {
		return contract.ErrnoQuota
	}
	select {
	case q.poke <- struct{}{}:
	default:
	}
	return nil
}
