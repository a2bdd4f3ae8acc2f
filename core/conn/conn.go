package conn

import (
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/router"
)

// The signals of a connection and the bit of its turn. Setting a signal on a
// connection that is not owned makes the setter the owner.
const (
	owned    uint32 = 1 << iota // somebody runs the turn, will run it, or has handed it to the loop
	readable                    // bytes have arrived
	writable                    // the socket takes bytes again
	hangup                      // the peer has closed, or the socket failed
	woken                       // Run is due
	elapsed                     // the timer has fired
	stopped                     // the engine stops
	ended                       // the stream's goroutines have ended

	signals = readable | writable | hangup | woken | elapsed | stopped | ended
)

// Conn is one connection. Idle, it is this struct and a slot of its loop.
type Conn struct {
	// Immutable after Serve.
	loop   *loop
	done   func()
	stream *stream // nil: a descriptor in the loop's epoll set
	layers *layers // between the descriptor's bytes and the machine's; nil: none
	fd     int32

	// Owned by the loop.
	slot  int32 // in loop.slots; -1: none yet
	timer timer

	state atomic.Uint32

	// Owned by the turn.
	flags    flags
	machine  Machine      // nil: lost
	rest     *buffer      // a part of a packet; nil: none
	backlog  *buffer      // what the socket did not take; nil: none. Descriptors only
	link     *Conn        // in a queue of the loop
	deadline atomic.Int64 // when elapsed is wanted, Unix nanoseconds; 0: never. The loop reads it
}

// timer is a connection's place in the wheel. armed is written by the loop and
// read by turns: when the wheel will fire; 0: not at all.
type timer struct {
	prev, next *Conn
	armed      atomic.Int64
	slot       int32
}

// flags are what a connection remembers between turns.
type flags struct {
	paused  bool // the machine does not want to be given bytes
	fresh   bool // rest has to be offered although nothing was added to it
	unread  bool // the socket may hold more bytes
	hungup  bool // the peer has closed its side: read until the end of the stream
	emptied bool // hungup, and what the peer has sent is read: only the end is left
	shut    bool // our side is closed; what comes is discarded
	wrote   bool // bytes were sent in this turn
	watched bool // room to write is signalled
	dead    bool // to be released by the loop
}

// signal sets bits and tells whether the caller now owns the turn.
func (c *Conn) signal(bits uint32) bool { return c.state.Or(bits|owned)&owned == 0 }

// take clears the pending signals and returns them.
func (c *Conn) take() uint32 {
	if c.state.Load()&signals == 0 {
		return 0
	}
	return c.state.And(^signals) & signals
}

// yield gives the turn up; false: signals are pending and the caller still owns it.
func (c *Conn) yield() bool { return c.state.CompareAndSwap(owned, 0) }

// Wake implements Waker.
func (c *Conn) Wake(b *router.Batch) {
	if c.state.Load()&woken != 0 {
		return // Run has not begun: it will see what was left before this call
	}
	if !c.signal(woken) {
		return
	}
	// A batch whose owner may block would keep the connection waiting.
	if b == nil || c.loop.engine.blocking() {
		c.loop.post(c)
		return
	}
	b.Touch(c)
}

// Flush implements router.Sink: it runs the turn that Wake began.
func (c *Conn) Flush(b *router.Batch) {
	w := workers.Get().(*worker)
	w.turn(c, b)
	workers.Put(w)
}

// due tells whether the wheel fires too late for the deadline.
func (c *Conn) due() bool {
	at := c.deadline.Load()
	if at == 0 {
		return false
	}
	armed := c.timer.armed.Load()
	return armed == 0 || at < armed
}

// more tells whether a turn has reading to do without another signal.
func (c *Conn) more() bool {
	if c.stream != nil && c.machine == nil {
		return false
	}
	return (c.flags.unread || c.flags.fresh) && !c.flags.paused
}
