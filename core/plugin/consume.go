package plugin

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/cursor"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
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
// frame at a time, and moves the cursor over what the plugin has done. While the
// plugin works on a frame, what came of the one before is published and the next is
// read. The log outlives the plugin and the broker.
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
	lots   [2]lot
	out    []*message.Message
	slab   message.Slab
	failed int    // frames in a row
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
	for i := range c.lots {
		c.lots[i].over = make(chan struct{}, 1)
	}
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
		switch e := &es[i]; {
		case !h.Consumes(&p.party, e.Client, e.Msg):
		case h.Refuses(e.Msg):
			c.refuse(e, cursor.ErrFull)
		default:
			h.Message(&a.enc, e.Client, e.Msg)
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
		if err == nil {
			e.Kept = true
		} else {
			c.refuse(e, err)
		}
	}
	if err != nil {
		p.log.Warn("messages not kept for the plugin", zap.Int("messages", len(a.at)), zap.Error(err))
	}
}

// refuse leaves a message out of the log and tells its publisher.
func (c *consumer) refuse(e *hook.ConsumeEvent, why error) {
	if e.Msg.QoS == 0 {
		c.missed.Add(1)
		return
	}
	e.Verdict, e.Reason = hook.Deny, journal.Refusal(why)
}

// run hands the log over until stop.
func (c *consumer) run() {
	defer close(c.done)
	pause := time.NewTimer(0)
	defer pause.Stop()
	wait := consumeRetry
	for {
		if c.stopping() {
			return
		}
		n, err := c.frames()
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

func (c *consumer) stopping() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// frames hands frames over, each when the one before is done wholly, until there is
// nothing more. It returns how many records were done and the cursor moved over.
// After a failure it hands one over.
func (c *consumer) frames() (n int, err error) {
	cur, other := &c.lots[0], &c.lots[1]
	other.reset()
	cur.reset()
	if err := c.fill(cur, 0); err != nil || len(cur.seqs) == 0 {
		return 0, err
	}
	for {
		begun := c.begin(cur)
		m, err := c.settle(other) // while the plugin works
		n += m
		if err != nil || !begun {
			if begun {
				<-cur.over // and comes again, behind the other
			}
			return n, err
		}
		other.reset()
		if c.failed == 0 {
			err = c.fill(other, cur.last())
		}
		<-cur.over
		if err = errors.Join(err, cur.err); err == nil && c.failed == 0 {
			err = c.fill(other, max(cur.last(), other.last())) // what came meanwhile
		}
		if err != nil || len(other.seqs) == 0 || c.stopping() {
			m, late := c.settle(cur)
			return n + m, errors.Join(err, late)
		}
		cur, other = other, cur
	}
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
