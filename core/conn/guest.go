package conn

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// While there is little to do one loop runs for all: a message that wakes a thread
// costs more by that than by all that is done with it, and few messages spread
// over many loops wake one each. The first loop is the host. A loop with little to
// do becomes its guest: its goroutine sleeps, its epoll set is watched in the host's
// set, and the host runs its rounds. A host with much to do sends its guests away.
// Between hand-overs a loop's state has one owner, as ever.

const (
	paceWindow = 20 * time.Millisecond // over which load is measured
	partLoad   = 80                    // percent: a host with more sends its guests away
	joinLoad   = 50                    // percent: a loop and the host with less together become one
	paceStale  = time.Second           // a host that has told nothing for so long has nothing to do
)

// lobby is where loops wait that want to be guests.
type lobby struct {
	knocked atomic.Bool // somebody waits

	mu      sync.Mutex
	closed  bool    // guarded by mu: the host is ending
	waiting []*loop // guarded by mu
}

// visit makes l a guest and returns when it has to run by itself (again).
func (l *loop) visit() {
	host := l.engine.loops[0]
	if !nests || host == l || l.loner {
		return
	}
	b := &host.lobby
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.waiting = append(b.waiting, l)
	b.knocked.Store(true)
	b.mu.Unlock()
	host.wake()
	<-l.resume
	l.pace = pace{}
}

// welcome takes in who waits in the lobby.
func (l *loop) welcome() {
	if !l.lobby.knocked.Load() {
		return
	}
	l.lobby.mu.Lock()
	come := l.lobby.waiting
	l.lobby.waiting = nil
	l.lobby.knocked.Store(false)
	l.lobby.mu.Unlock()
	for _, g := range come {
		if err := l.poller.addSet(g.poller, guestSlot(len(l.guests))); err != nil {
			l.engine.log.Error("event loop cannot watch another's connections", zap.Error(err))
			g.loner = true
			g.resume <- struct{}{}
			continue
		}
		g.called = true // what has come since its last round
		l.guests = append(l.guests, g)
		l.engine.alone.Add(-1)
	}
}

// attend runs the rounds of guests that have something to do.
func (l *loop) attend() {
	l.welcome()
	for _, g := range l.guests {
		if g.called || g.due <= l.worker.batch.Now || g.busy() {
			g.called = false
			g.round(g.poller.hold(0))
		}
	}
}

// dismiss sends the guests away; last: and takes in nobody any more.
func (l *loop) dismiss(last bool) {
	if last {
		l.lobby.mu.Lock()
		l.lobby.closed = true
		l.lobby.mu.Unlock()
		l.welcome()
	}
	for _, g := range l.guests {
		l.poller.removeSet(g.poller)
		l.engine.alone.Add(1)
		g.resume <- struct{}{}
	}
	clear(l.guests)
	l.guests = l.guests[:0]
}

// adjust looks, at the end of a window, whether the loop should run for others, or
// another for it.
func (l *loop) adjust() {
	now := time.Now().UnixNano()
	load, over := l.pace.worked(l.worker.batch.Now, now)
	if !over {
		return
	}
	host := l.engine.loops[0]
	switch {
	case l == host:
		l.told.load.Store(load)
		l.told.at.Store(now)
		if load > partLoad {
			l.dismiss(false)
		}
	case now-host.told.at.Load() > int64(paceStale) && load < joinLoad, load+host.told.load.Load() < joinLoad:
		l.visit()
	}
}

// told is what a host lets others know. Any goroutine.
type told struct {
	load atomic.Int64 // percent, of the last window
	at   atomic.Int64 // when that ended, Unix nanoseconds
}

// pace measures which share of its time a loop works.
type pace struct{ since, busy int64 }

// worked adds a round and tells the load in percent when a window is over. Time
// that another process had the processor counts as work: then there is more to do
// than one loop gets done.
func (p *pace) worked(from, to int64) (load int64, over bool) {
	if p.since == 0 || to < from || from < p.since {
		*p = pace{since: from} // the first round, or the clock has stepped
	}
	p.busy += max(to-from, 0)
	passed := to - p.since
	if passed < int64(paceWindow) {
		return 0, false
	}
	load = p.busy * 100 / passed
	*p = pace{since: to}
	return load, true
}

// never is a due time that does not come.
const never = math.MaxInt64
