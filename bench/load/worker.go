package load

import (
	"errors"
	"sync"
	"time"
)

// errTimeout ends a handshake that takes too long.
var errTimeout = errors.New("no answer in time")

// counts is what a worker has seen.
type counts struct {
	ready, closed, failed                 int64
	sent, acked, refused                  uint64
	received, duplicates, late, foreign   uint64
	cycles, stalls, withheld, lateOffered uint64
}

func (c *counts) add(o *counts) {
	c.ready += o.ready
	c.closed += o.closed
	c.failed += o.failed
	c.sent += o.sent
	c.acked += o.acked
	c.refused += o.refused
	c.received += o.received
	c.duplicates += o.duplicates
	c.late += o.late
	c.foreign += o.foreign
	c.cycles += o.cycles
	c.stalls += o.stalls
	c.withheld += o.withheld
	c.lateOffered += o.lateOffered
}

// worker runs a part of the clients.
type worker struct {
	// Immutable after newWorker.
	run    *run
	engine *engine

	mu sync.Mutex // guards all that follows, and the clients
	// Each client of the worker, those that have ended included.
	clients    []*client
	publishers []*publisher
	dirty      []*client // have something to send, or room to publish
	idle       []*client // of a storm, to begin again a little later
	now        int64
	count      counts
	latency    hist
	dialed     int // connections begun: they take turns with the source addresses

	flowing   bool // publish
	measuring bool
	rate      float64 // publishes a second of this worker's; 0: as the windows let
	flowBegan int64
	offered   uint64 // since then, by the rate
	turn      int    // whose publish is next, by the rate
	keptAt    int64  // last housekeeping
}

// begin opens the connection of c, which has none.
func (w *worker) begin(c *client) {
	w.dialed++
	c.state, c.since = dialing, w.run.clock.now()
	if c.pub != nil && w.run.cfg.Kind == Storm {
		c.pub.underWay = 0
	}
	w.engine.dial(c, w.run.target.source(w.dialed))
}

// mark makes the round's end look at c.
func (w *worker) mark(c *client) {
	if !c.queued {
		c.queued = true
		w.dirty = append(w.dirty, c)
	}
}

// round sends what the clients have to send, with what the windows allow. What
// is marked meanwhile is for the next round.
func (w *worker) round() {
	n := len(w.dirty)
	for i := range n {
		c := w.dirty[i]
		c.queued = false
		if c.pub != nil {
			c.pub.pump(w.now)
		}
		c.flush()
	}
	w.dirty = w.dirty[:copy(w.dirty, w.dirty[n:])]
}

// tick is how often a rate is served.
const tick = 200 * time.Microsecond

// due sends what the rate asks for. What is late is stamped with the time when
// it was due, so that a slow generator does not look like a fast broker.
func (w *worker) due() {
	if !w.flowing || w.rate == 0 || len(w.publishers) == 0 {
		return
	}
	want := uint64(float64(w.now-w.flowBegan) * w.rate / 1e9)
	for ; w.offered < want; w.offered++ {
		p := w.publishers[w.turn]
		if w.turn++; w.turn == len(w.publishers) {
			w.turn = 0
		}
		at := w.flowBegan + int64(float64(w.offered)*1e9/w.rate)
		if w.now-at > 3*int64(tick) {
			w.count.lateOffered++
		} else {
			at = w.now
		}
		switch {
		case p.finished():
		case p.client.state != ready || len(p.client.out) > backlogMost || p.sentTimes != nil && p.underWay >= min(p.window, len(p.sentTimes)):
			w.count.withheld++
		default:
			p.emit(at)
		}
	}
}

// housekeeping is how often clients are looked after.
const housekeeping = 250 * time.Millisecond

// keep pings, ends handshakes that take too long and reopens windows.
func (w *worker) keep() {
	if w.now-w.keptAt < int64(housekeeping) {
		return
	}
	w.keptAt = w.now
	for _, c := range w.clients {
		switch {
		case c.state == ready && c.pingEvery > 0 && c.pingAt <= w.now:
			c.pingAt = w.now + c.pingEvery
			c.send(pingreq)
		case c.state != idle && c.state != ready && w.now-c.since > int64(w.run.cfg.Pace.Timeout):
			c.lost(c.link, errTimeout)
		}
	}
	for _, p := range w.publishers {
		p.watch()
	}
	if again := w.idle; len(again) > 0 && w.flowing {
		w.idle = nil
		for _, c := range again {
			w.begin(c)
		}
	}
}

// flow begins to publish, or ends it.
func (w *worker) flow(on bool, total int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flowing = on
	if !on {
		return
	}
	w.now = w.run.clock.now()
	w.flowBegan, w.offered = w.now, 0
	w.rate = w.run.cfg.Flow.Rate * float64(len(w.publishers)) / float64(max(total, 1))
	for _, p := range w.publishers {
		w.mark(p.client)
	}
	if w.run.cfg.Kind == Storm {
		for _, c := range w.clients {
			w.begin(c)
		}
	}
	w.engine.wake()
}

// hangUp ends all connections.
func (w *worker) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flowing = false
	for _, c := range w.clients {
		c.hangUp()
		c.state = idle
	}
}

// gaps is how many messages the clients were passed over by, for good.
func (w *worker) gaps() (n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.clients {
		if c.shared {
			continue
		}
		for _, t := range c.tracks {
			n += t.gaps()
		}
	}
	return n
}
