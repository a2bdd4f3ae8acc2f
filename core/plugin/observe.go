package plugin

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Bounds of a plugin's observe queue.
const (
	maxObserved      = 8192
	maxObservedBytes = 4 << 20
	observeBatch     = 512 // records of one frame, unless the transport wants fewer
	observeLinger    = 5 * time.Millisecond
	flushPatience    = time.Second // for what is queued when a plugin is unloaded
)

// queue holds the records that a plugin has yet to observe, encoded, in order.
// A full queue drops its oldest and counts. One goroutine hands them on; whoever
// pushes never waits for it. Hook callbacks of all connections meet on mu for
// the time of one encoding.
type queue struct {
	poke chan struct{} // capacity 1: there is a first record, or a full batch
	stop chan struct{}
	done chan struct{}

	dropped atomic.Uint64

	mu   sync.Mutex
	enc  event.Encoder
	skip int // bytes at the front that were dropped
	gone int // records there
}

func newQueue() *queue {
	return &queue{poke: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

// observe is the callback that encodes events into p's queue, under its lock.
func observe[E any](p *loaded, k contract.Hook, o *event.Observed[E]) hook.Observe[E] {
	return func(e *E) {
		v := p.cur.Load()
		if v == nil || v.hooks[k] == nil || !o.Wants(&p.party, v.hooks[k], e) {
			return
		}
		now := p.now()
		q := p.queue
		q.mu.Lock()
		q.enc.Use(v.hooks[k])
		q.enc.Now = now
		o.Encode(&q.enc, k, e)
		n := q.bound()
		q.mu.Unlock()
		if n == 1 || n == observeBatch {
			q.wake()
		}
	}
}

// bound drops what is too much and returns what is left. mu is held.
func (q *queue) bound() int {
	for q.waiting() > maxObserved || q.enc.Len()-q.skip > maxObservedBytes && q.waiting() > 1 {
		q.dropOldest()
	}
	return q.waiting()
}

func (q *queue) wake() {
	select {
	case q.poke <- struct{}{}:
	default:
	}
}

// waiting is the number of queued records. mu is held.
func (q *queue) waiting() int { return q.enc.Count() - q.gone }

// dropOldest forgets the first record. mu is held.
func (q *queue) dropOldest() {
	frame := q.enc.Frame()
	q.skip += int(binary.LittleEndian.Uint32(frame[q.skip:]))
	q.gone++
	q.dropped.Add(1)
	if q.skip > maxObservedBytes/2 {
		n := copy(frame, frame[q.skip:])
		q.enc.Truncate(q.enc.Count()-q.gone, n)
		q.skip, q.gone = 0, 0
	}
}

// take moves everything that is queued into buf and returns it.
func (q *queue) take(buf []byte) (frame []byte, n int, hops uint8) {
	q.mu.Lock()
	defer q.mu.Unlock()
	frame, n, hops = q.enc.Frame()[q.skip:], q.waiting(), q.enc.Hops
	if buf == nil { // the writer must not go on in the memory that leaves
		buf = make([]byte, 0, 1<<10)
	}
	q.enc.Reset(buf)
	q.skip, q.gone, q.enc.Hops = 0, 0, 0
	return frame, n, hops
}

// run hands queued records to the current version until stop, then what is
// left, for flushPatience.
func (p *loaded) run() {
	q := p.queue
	defer close(q.done)
	t := time.NewTimer(observeLinger)
	defer t.Stop()
	var buf []byte
	c := &Call{}
	for stopped := false; !stopped; {
		select {
		case <-q.poke:
		case <-q.stop:
			stopped = true
		}
		if !stopped && q.size() < observeBatch {
			t.Reset(observeLinger)
			select {
			case <-q.poke:
			case <-t.C:
			case <-q.stop:
				stopped = true
			}
		}
		frame, n, hops := q.take(buf)
		p.hand(c, frame, n, hops)
		buf = frame[:0]
		if cap(buf) > maxKept {
			buf = nil
		}
	}
}

// hand gives the n records of frame to the current version, split into frames
// as its transport wants them.
func (p *loaded) hand(c *Call, frame []byte, n int, hops uint8) {
	for n > 0 {
		v := p.acquire()
		if v == nil {
			p.queue.dropped.Add(uint64(n))
			return
		}
		most := min(observeBatch, v.maxRecords)
		size, k := 0, 0
		var of kinds
		for k < n && k < most {
			r := int(binary.LittleEndian.Uint32(frame[size:]))
			if k > 0 && size+r > contract.MaxFrameBytes {
				break
			}
			of[binary.LittleEndian.Uint16(frame[size+4:])]++
			size += r
			k++
		}
		c.Reset()
		c.Observe, c.Frame, c.N, c.Hops = true, frame[:size], k, hops
		c.Hook = contract.Hook(binary.LittleEndian.Uint16(frame[4:]))
		cost := p.costOf(c.Hook)
		start := cost.begin()
		err := v.inst.Call(v.ctx, c)
		cost.end(start)
		p.book(&of, err != nil)
		if err != nil {
			p.queue.dropped.Add(uint64(k))
			p.faults.Add(uint64(k))
			p.log.Warn("plugin fault", zap.String("hook", c.Hook.String()), zap.Int("records", k), zap.Error(err))
		}
		v.release()
		frame, n = frame[size:], n-k
	}
}

// kinds counts the records of a frame by hook.
type kinds [contract.MaxHook + 1]uint32

// book counts the records of a frame, and that they have faulted, with their hooks. The
// call and its time count with the hook of its first record.
func (p *loaded) book(of *kinds, faulted bool) {
	for k, n := range of {
		if n == 0 {
			continue
		}
		cost := p.costOf(contract.Hook(k))
		cost.records.Add(uint64(n))
		if faulted {
			cost.faults.Add(uint64(n))
		}
	}
}
