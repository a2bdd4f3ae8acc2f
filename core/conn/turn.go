package conn

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/router"
)

const (
	loopBuffer  = 64 << 10  // what a loop reads at once
	apartBuffer = 16 << 10  // what a turn on its own goroutine reads at once
	readBudget  = 256 << 10 // bytes read in a turn before others come
	outBatch    = 64 << 10  // encoded bytes that are written before the turn's end
	outKept     = 1 << 20   // larger scratch is not kept
	maxRounds   = 4         // times that a turn looks for new signals before others come
)

// worker is what running turns needs and connections do not keep. Owned by one
// goroutine.
type worker struct {
	io    channel.IO   // Out keeps its storage
	batch router.Batch // of the loop, or of a goroutine's own turn
	loop  *loop        // whose worker it is; nil: none's
	reads bool         // may give machines bytes; those that flush a batch do not, or one publish could cascade without end
	rd    []byte       // where to read from descriptors
	seal  []byte       // what layers have made of Out
	left  int          // what the turn may still read
}

var workers = sync.Pool{New: func() any { return new(worker) }}

// runApart runs the turn of c on the calling goroutine, which may block.
func runApart(c *Conn) {
	w := workers.Get().(*worker)
	buf := newBuffer(apartBuffer)
	w.reads, w.rd = true, buf.p
	w.batch.Now = time.Now().UnixNano()
	w.turn(c, &w.batch)
	w.batch.Flush()
	w.reads, w.rd = false, nil
	buf.free()
	workers.Put(w)
}

// turn runs c, whose turn the caller owns, until no signal is pending, and gives
// the turn up or hands it on.
func (w *worker) turn(c *Conn, b *router.Batch) {
	w.io.Batch, w.io.Out, w.io.Close = b, w.io.Out[:0], false
	defer w.end(c)
	c.flags.wrote, w.left = false, readBudget
	for round := range maxRounds {
		bits := c.take()
		if c.flags.dead || bits == 0 && (round > 0 || !w.reads || !c.more()) {
			break
		}
		w.step(c, bits)
	}
	w.flush(c)
	w.answer(c)
}

// end is deferred by turn so that a panicking machine ends its connection only.
func (w *worker) end(c *Conn) {
	if r := recover(); r != nil {
		c.loop.engine.log.Error("connection machine panicked", zap.String("panic", fmt.Sprint(r)), zap.ByteString("stack", debug.Stack()))
		w.abandon(c)
	}
	w.io.Batch = nil
	if cap(w.io.Out) > outKept {
		w.io.Out = nil
	}
	if cap(w.seal) > outKept {
		w.seal = nil
	}
	switch {
	case w.loop == c.loop:
		w.loop.settle(c)
	case c.flags.dead || c.due() || c.more() || !c.yield():
		c.loop.post(c)
	}
}

// abandon is lose for a machine that has panicked and may do so again.
func (w *worker) abandon(c *Conn) {
	defer func() {
		if r := recover(); r != nil {
			c.loop.engine.log.Error("connection machine panicked in Lost", zap.String("panic", fmt.Sprint(r)))
		}
	}()
	w.io.Out = w.io.Out[:0]
	w.lose(c, ErrPanic)
}

// step answers bits.
func (w *worker) step(c *Conn, bits uint32) {
	if bits&hangup != 0 {
		c.flags.hungup, c.flags.unread = true, true
	}
	if bits&readable != 0 {
		c.flags.unread = true
	}
	switch {
	case c.machine == nil:
		w.linger(c, bits)
		return
	case bits&stopped != 0:
		w.lose(c, ErrClosed)
		return
	case bits&writable != 0 && !w.drain(c):
		return
	}
	if bits&elapsed != 0 {
		w.tick(c)
	}
	if bits&woken != 0 && c.machine != nil {
		w.enter(c)
		c.machine.Run(&w.io)
		w.leave(c)
	}
	if w.reads && c.machine != nil && c.more() {
		if c.stream != nil {
			w.receive(c)
		} else {
			w.pull(c)
		}
	}
}

// tick calls Tick if the deadline has passed.
func (w *worker) tick(c *Conn) {
	at := c.deadline.Load()
	if at == 0 || at > w.io.Batch.Now {
		return
	}
	w.enter(c)
	w.io.Deadline = 0
	c.machine.Tick(&w.io)
	w.leave(c)
}

// enter lends the machine the turn's IO.
func (w *worker) enter(c *Conn) {
	w.io.Backlog = c.pending()
	w.io.Deadline = c.deadline.Load()
	w.io.Pause = c.flags.paused
}

// leave takes the IO back and honours what the machine asked for.
func (w *worker) leave(c *Conn) {
	if w.io.Deadline != c.deadline.Load() {
		c.deadline.Store(w.io.Deadline)
	}
	if c.flags.paused && !w.io.Pause && c.rest != nil {
		c.flags.fresh = true
	}
	c.flags.paused = w.io.Pause
	switch {
	case w.io.Close:
		w.finish(c)
	case len(w.io.Out) >= outBatch:
		w.flush(c)
	}
}

// lose ends a connection that is not to send anything any more.
func (w *worker) lose(c *Conn, err error) {
	m := c.machine
	if c.layers != nil && c.backlog == nil {
		_, _ = writeSocket(c.fd, c.layers.said()) // why, if it is the layers' reason
	}
	w.drop(c)
	c.deadline.Store(0)
	if c.stream != nil {
		c.stream.stop() // dead when its goroutines have ended
	} else {
		c.flags.dead = true
	}
	if m != nil {
		m.Lost(&w.io, err)
	}
}

// drop lets go of the machine and all bytes.
func (w *worker) drop(c *Conn) {
	c.machine = nil
	c.rest.free()
	c.backlog.free()
	c.rest, c.backlog = nil, nil
}
