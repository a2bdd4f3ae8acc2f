package conn

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// loop is one event loop: it waits for the descriptors of its connections, fires
// their timers and runs the turns that are handed to it.
type loop struct {
	// Immutable after newLoop.
	engine *Engine
	poller *poller

	// Any goroutine.
	conns  atomic.Int64         // connections that belong here, those not yet in slots included
	inbox  atomic.Pointer[Conn] // owned connections handed over, last first, by Conn.link
	asleep atomic.Bool          // wake must write
	stop   atomic.Bool
	lobby  lobby         // of the host
	told   told          // by the host
	resume chan struct{} // a guest has to run by itself again; capacity 1

	// Owned by run, while the loop is a guest by its host's.
	worker   worker
	wheel    wheel
	slots    []*Conn                      // by what the poller reports
	free     []int32                      // unused slots
	again    []*Conn                      // owned connections whose turn goes on after the next poll
	stopping bool                         // every connection has been told to stop
	rounds   struct{ before, last int64 } // when the last two rounds began, Unix nanoseconds
	pace     pace
	guests   []*loop
	called   bool  // a guest: its set has events
	due      int64 // a guest: when its next timer comes, Unix nanoseconds
	loner    bool  // its set cannot be watched by another
}

func newLoop(e *Engine) (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &loop{engine: e, poller: p, resume: make(chan struct{}, 1), due: never}
	l.wheel.now = time.Now().UnixNano() / tick
	l.worker = worker{loop: l, reads: true}
	return l, nil
}

// run is the loop's goroutine.
func (l *loop) run() {
	l.worker.rd = make([]byte, loopBuffer)
	l.visit()
	for {
		end := l.round(l.poll())
		l.attend()
		if l.stop.Load() {
			l.dismiss(true)
		}
		if end {
			return
		}
		l.adjust()
	}
}

// round runs what is to do now: the last wait has found n events. True: the engine
// stops and no connection is left.
func (l *loop) round(n int) (end bool) {
	b := &l.worker.batch
	b.Now = time.Now().UnixNano()
	l.rounds.before, l.rounds.last = l.rounds.last, b.Now
	for i := range n {
		slot, bits := l.poller.event(i)
		if g := guestOf(slot); g >= 0 && g < len(l.guests) {
			l.guests[g].called = true
		}
		if slot < 0 || int(slot) >= len(l.slots) {
			continue
		}
		if c := l.slots[slot]; c != nil && c.signal(bits) {
			l.run1(c)
		}
	}
	l.receive()
	l.wheel.advance(b.Now, l.fire)
	b.Flush()
	end = l.stop.Load() && l.halt()
	if l.due = never; !end {
		if at, ok := l.wheel.next(); ok {
			l.due = at
		}
	}
	return end
}

// The sets of guests are reported as slots below the poller's own.
func guestSlot(i int) int32 { return int32(wakeSlot - 1 - i) }

// guestOf is the guest that slot stands for; negative: none.
func guestOf(slot int32) int { return wakeSlot - 1 - int(slot) }

// held is how long a loop waits at most without telling the scheduler, and how
// soon one round must follow the other for that: while messages come more often
// than this, what a wait costs is most of what they cost.
const held = 2 * time.Millisecond

// poll waits for events, for a connection to be handed over, or for a timer.
func (l *loop) poll() int {
	if l.pressed() {
		return l.poller.hold(0)
	}
	flows := l.rounds.last-l.rounds.before < int64(held)
	if flows && !l.engine.spare {
		if n := l.poller.idle(); n > 0 {
			return n
		}
	}
	l.sleep(true)
	defer l.sleep(false)
	timeout := l.patience()
	if flows && l.engine.spare && timeout != 0 {
		if n := l.poller.hold(held); n > 0 || l.pressed() {
			return n
		}
		timeout = l.patience()
	}
	return l.poller.wait(timeout)
}

// sleep says for the loop and its guests whether a wake has to end a wait.
func (l *loop) sleep(on bool) {
	l.asleep.Store(on)
	for _, g := range l.guests {
		g.asleep.Store(on)
	}
}

// busy tells whether the loop has turns to run.
func (l *loop) busy() bool { return len(l.again) > 0 || l.inbox.Load() != nil }

// pressed tells whether the loop or a guest has, or somebody waits in the lobby.
func (l *loop) pressed() bool {
	for _, g := range l.guests {
		if g.busy() {
			return true
		}
	}
	return l.busy() || l.lobby.knocked.Load()
}

// patience is how long poll may wait now; negative: for ever.
func (l *loop) patience() time.Duration {
	if l.pressed() || l.stop.Load() && (!l.stopping || l.conns.Load() == 0) {
		return 0
	}
	first := l.due
	for _, g := range l.guests {
		first = min(first, g.due)
	}
	if first == never {
		return -1
	}
	return max(0, time.Until(time.Unix(0, first)))
}

// post hands c, whose turn the caller owns, to the loop. Any goroutine.
func (l *loop) post(c *Conn) {
	for {
		head := l.inbox.Load()
		c.link = head
		if l.inbox.CompareAndSwap(head, c) {
			break
		}
	}
	l.wake()
}

func (l *loop) wake() {
	if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
		l.poller.wake()
	}
}

// receive runs the turns that were handed over, in their order.
func (l *loop) receive() {
	again := l.again
	l.again = nil
	for _, c := range again {
		l.run1(c)
	}
	if l.again == nil {
		clear(again)
		l.again = again[:0]
	}
	var first *Conn
	for c := l.inbox.Swap(nil); c != nil; {
		next := c.link
		c.link = first
		first, c = c, next
	}
	for first != nil {
		c := first
		first, c.link = c.link, nil
		l.run1(c)
	}
}

// fire is called when c's timer comes.
func (l *loop) fire(c *Conn) {
	at := c.deadline.Load()
	switch {
	case at == 0:
	case at > l.worker.batch.Now:
		l.wheel.add(c, at)
	case c.signal(elapsed):
		l.run1(c)
	}
}

// run1 runs the turn of c, which the loop owns, or starts a goroutine that does.
func (l *loop) run1(c *Conn) {
	if c.slot < 0 && !c.flags.dead {
		l.enter(c)
	}
	if c.due() {
		l.wheel.add(c, c.deadline.Load())
	}
	switch {
	case c.flags.dead:
		l.release(c)
	case !c.more() && c.yield():
	case c.machine != nil && l.engine.blocking():
		l.engine.group.Go(func() { runApart(c) })
	default:
		l.worker.turn(c, &l.worker.batch)
	}
}

// settle ends a turn that the loop itself has run, or hands the turn on to the
// next round.
func (l *loop) settle(c *Conn) {
	if c.due() {
		l.wheel.add(c, c.deadline.Load())
	}
	switch {
	case c.flags.dead:
		l.release(c)
	case !c.more() && c.yield():
	default:
		l.again = append(l.again, c)
	}
}

// enter makes a new connection one of the loop's.
func (l *loop) enter(c *Conn) {
	if n := len(l.free); n > 0 {
		c.slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		c.slot = int32(len(l.slots))
		l.slots = append(l.slots, nil)
	}
	l.slots[c.slot] = c
	if l.stopping {
		c.state.Or(stopped)
	}
	if c.stream != nil {
		l.engine.group.Go(c.stream.read)
		return
	}
	if c.fd < 0 {
		return // layers without a socket
	}
	if err := l.poller.add(c.fd, c.slot); err != nil {
		l.engine.log.Error("event loop cannot watch a connection", zap.Error(err))
		c.state.Or(stopped)
	}
}

// release closes c and forgets it. The turn is never given up again.
func (l *loop) release(c *Conn) {
	l.wheel.remove(c)
	l.slots[c.slot] = nil
	l.free = append(l.free, c.slot)
	if c.fd >= 0 {
		closeSocket(c.fd)
	}
	if c.done != nil {
		c.done()
	}
	l.leave()
}

// leave counts a connection out.
func (l *loop) leave() {
	l.conns.Add(-1)
	if !l.engine.closed.Load() {
		return
	}
	l.wake() // halt may be waiting for it
	if l.engine.Len() == 0 {
		select {
		case l.engine.emptied <- struct{}{}:
		default:
		}
	}
}

// halt tells all connections once that the engine stops; true: none is left.
func (l *loop) halt() bool {
	if !l.stopping {
		l.stopping = true
		for _, c := range l.slots {
			if c != nil && c.signal(stopped) {
				l.run1(c)
			}
		}
		l.worker.batch.Flush()
	}
	return l.conns.Load() == 0
}
