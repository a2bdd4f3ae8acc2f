package plugin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/cursor"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Bounds of handing a log to its plugin.
const (
	consumeBatch = 512                   // records of one frame, unless the transport wants fewer
	consumeAlone = 3                     // failures after which records go one by one
	consumeGive  = 3                     // more failures after which on_error = drop gives one up
	consumeRetry = 20 * time.Millisecond // after a failure; doubled up to
	consumeMost  = 5 * time.Second
)

// errNoRoom is why records come again whose messages found no room in the broker.
var errNoRoom = errors.New("the broker has no room for what the plugin publishes")

// errNotTaken is why a record comes again that its plugin has refused.
var errNotTaken = errors.New("the plugin has not taken the record")

// consumer hands the records of a plugin's log to whatever version is current, one
// frame at a time, and moves the cursor over what the plugin has done. The log
// outlives the plugin and the broker.
type consumer struct {
	// Immutable.
	plugin *loaded
	log    *cursor.Log
	kick   chan struct{} // capacity 1: there is another version
	stop   chan struct{}
	done   chan struct{}

	again  atomic.Uint64 // records that were handed over more than once
	missed atomic.Uint64 // QoS 0 messages that the log did not take
	gone   atomic.Uint64 // records that on_error gave up

	mu   sync.Mutex
	recs [][]byte // guarded by mu; scratch of keep

	// Owned by run.
	frame  []byte
	seqs   []uint64
	out    []*message.Message
	failed int    // rounds in a row
	seen   uint64 // the highest number that was handed over
}

// logName is the name of a plugin's log.
func logName(plugin string) string { return "plugin/" + plugin }

// inMemory are logs that a restart of the broker forgets.
func inMemory() *cursor.Logs {
	l, err := cursor.Open(context.Background(), journal.New(mem.New()))
	if err != nil {
		panic("plugin: an empty store: " + err.Error())
	}
	return l
}

// logConfig is how the log of a registration is kept.
func logConfig(h *manifest.Hook) cursor.Config {
	c := cursor.Config{MaxBytes: h.MaxQueue}
	if h.Full == manifest.FullDropOldest {
		c.Full = cursor.DropOldest
	}
	return c
}

// consume starts the consumer of p, or gives the one that runs another
// configuration.
func (p *loaded) consume(h *manifest.Hook) {
	log := p.host.Logs.Log(logName(p.name), logConfig(h))
	if c := p.consumer.Load(); c != nil {
		select {
		case c.kick <- struct{}{}:
		default:
		}
		return
	}
	c := &consumer{plugin: p, log: log, kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	p.consumer.Store(c)
	go c.run()
}

// keep is the callback of the hook message: it puts what is in scope into the log.
// It never waits for the plugin.
func (p *loaded) keep(es []hook.ConsumeEvent) {
	v, c := p.cur.Load(), p.consumer.Load()
	if v == nil || c == nil || v.hooks[contract.HookMessage] == nil {
		return
	}
	h := v.hooks[contract.HookMessage]
	a := p.asking()
	defer p.done(a)
	a.enc.Start(h, p.now())
	a.at = a.at[:0]
	c.mu.Lock()
	defer c.mu.Unlock()
	sizes := c.recs[:0]
	for i := range es {
		if h.Consumes(&p.party, es[i].Client, es[i].Msg) {
			h.Message(&a.enc, es[i].Client, es[i].Msg)
			a.at = append(a.at, i)
		}
	}
	for rest := a.enc.Frame(); len(rest) > 0; {
		n := binary.LittleEndian.Uint32(rest)
		sizes = append(sizes, rest[:n])
		rest = rest[n:]
	}
	c.recs = sizes
	if len(sizes) == 0 {
		return
	}
	_, err := c.log.Append(nil, sizes...)
	clear(c.recs)
	for _, i := range a.at {
		e := &es[i]
		switch {
		case err == nil:
			e.Kept = true
		case e.Msg.QoS == 0:
			c.missed.Add(1)
		default:
			e.Verdict, e.Reason = hook.Deny, journal.Refusal(err)
		}
	}
	if err != nil {
		p.log.Warn("messages not kept for the plugin", zap.Int("messages", len(a.at)), zap.Error(err))
	}
}

// run hands the log over until stop.
func (c *consumer) run() {
	defer close(c.done)
	pause := time.NewTimer(0)
	defer pause.Stop()
	wait := consumeRetry
	for {
		select {
		case <-c.stop:
			return
		default:
		}
		n, err := c.round()
		if n > 0 {
			c.failed, wait = 0, consumeRetry
		}
		switch {
		case err != nil:
			c.failed++
			c.plugin.log.Warn("records come again", zap.Error(err), zap.Duration("after", wait))
			pause.Reset(wait)
			wait = min(2*wait, consumeMost)
			select {
			case <-pause.C:
			case <-c.kick:
			case <-c.stop:
				return
			}
		case n == 0:
			select {
			case <-c.log.More():
			case <-c.kick:
			case <-c.stop:
				return
			}
		}
	}
}

// round hands one frame over and returns how many of its records were done.
func (c *consumer) round() (int, error) {
	v := c.plugin.acquire()
	if v == nil {
		return 0, nil
	}
	defer v.release()
	h := v.hooks[contract.HookMessage]
	if h == nil {
		return 0, nil
	}
	if err := c.fill(min(consumeBatch, v.maxRecords)); err != nil || len(c.seqs) == 0 {
		return 0, err
	}
	call := &Call{Hook: contract.HookMessage, Frame: c.frame, N: len(c.seqs), Key: 0}
	cost := c.plugin.costOf(contract.HookMessage)
	cost.records.Add(uint64(call.N))
	start := cost.begin()
	err := v.inst.Call(v.ctx, call)
	cost.end(start)
	done := 0
	for done < call.N && err == nil {
		d, fault := call.Verdict(done)
		if fault != nil {
			err = fault
		} else if d.Action == contract.Deny {
			err = fmt.Errorf("%w: %s", errNotTaken, d.Text())
		} else {
			done++
		}
	}
	if err != nil && !errors.Is(err, errNotTaken) {
		c.plugin.faults.Add(1)
		cost.faults.Add(1)
	}
	if done == 0 && h.OnError == manifest.OnErrorDrop && call.N == 1 && c.failed >= consumeAlone+consumeGive-1 {
		c.gone.Add(1)
		c.plugin.log.Error("record given up", zap.Uint64("record", c.seqs[0]), zap.Error(err))
		done, err = 1, nil
	}
	if done > 0 && !c.publish(v, call, done) {
		return 0, errNoRoom
	}
	if done > 0 {
		err = errors.Join(err, c.log.Ack(c.seqs[done-1]))
	}
	return done, err
}

// publish takes the messages of the first done verdicts into the publish pipeline.
// What must survive of them is in the journal before the cursor moves, and the
// journal keeps its order: a crash brings the record again or has its messages.
// False: there was no room for one of QoS 1 or 2, so the records come again.
func (c *consumer) publish(v *version, call *Call, done int) bool {
	c.out = c.out[:0]
	frame := call.Frame
	for i := range done {
		r, rest, err := contract.Split(frame)
		if err != nil {
			return true // it was made here
		}
		frame = rest
		if d, fault := call.Verdict(i); fault == nil {
			c.collect(d, r.Flags().Hops())
		}
	}
	if len(c.out) == 0 {
		return true
	}
	defer clear(c.out)
	if v.spec.Services.Publish == nil {
		c.plugin.log.Error("messages not published: the manifest does not ask for the capability publish", zap.Int("messages", len(c.out)))
		return true
	}
	return c.plugin.host.Publish(c.out) == 0
}

// collect appends the messages of a verdict. Above event.MaxHops they are counted
// and left out.
func (c *consumer) collect(d contract.Verdict, hops uint8) {
	list, _ := d.Ext(contract.ExtPublishes)
	for len(list) > 0 {
		r, rest, err := contract.Split(list)
		if err != nil {
			return // the block was checked
		}
		list = rest
		if hops >= event.MaxHops {
			c.plugin.looped()
			continue
		}
		c.out = append(c.out, event.Publication(r, c.plugin.name, hops, c.plugin.now()))
	}
}

// fill reads the next records that are not done, at most limit; one alone after
// several failures.
func (c *consumer) fill(limit int) error {
	if c.failed >= consumeAlone {
		limit = 1
	}
	c.frame, c.seqs = c.frame[:0], c.seqs[:0]
	err := c.log.Read(0, func(seq uint64, record []byte) bool {
		if len(c.seqs) > 0 && len(c.frame)+len(record) > contract.MaxFrameBytes {
			return false
		}
		c.frame, c.seqs = append(c.frame, record...), append(c.seqs, seq)
		return len(c.seqs) < limit
	})
	for _, seq := range c.seqs {
		if seq <= c.seen {
			c.again.Add(1)
		} else {
			c.seen = seq
		}
	}
	return err
}

// end stops the consumer. What is not done stays in the log. The call that runs is
// cut off after patience by cancel.
func (c *consumer) end(patience time.Duration, cancel func()) {
	close(c.stop)
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-c.done:
	case <-t.C:
		cancel()
		<-c.done
	}
}
