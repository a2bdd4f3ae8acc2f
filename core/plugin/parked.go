package plugin

import (
	"errors"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// maxParked bounds the events that one plugin may have put off. One more is
// refused as if its time were over.
const maxParked = 16384

// maxAsked is how often a plugin is asked about an event whose guest was lost
// before it decided; then the event fails, since it may be the cause.
const maxAsked = 2

// errParked is the fault of a guest that gives two open events one token.
var errParked = errors.New("the token of a pending verdict is in use")

// Parked is where a transport brings what guests say about the events that they
// have put off (contract: Pending). Safe for concurrent use; nothing blocks.
type Parked interface {
	// Resume decides the event that guest named by token. The block is borrowed.
	// ErrnoNotFound: there is none any more; ErrnoInvalid: a bad verdict.
	Resume(guest, token uint64, block []byte) error
	// Gone says that a guest is lost: what it was to decide is asked again.
	Gone(guest uint64)
}

// parked are the events that one version of a plugin has put off.
type parked struct {
	mu     sync.Mutex
	open   map[uint64]map[uint64]*ticket // by guest and token
	n      int
	closed bool
}

// ticket is an event whose verdict comes later, without its event.
type ticket struct {
	// Immutable.
	parked       *parked
	guest, token uint64
	record       int // of the call
	head         contract.Header
	until        int64

	mu       sync.Mutex
	state    ticketState       // guarded by mu
	verdicts contract.Verdicts // guarded by mu until decided
	parking  *hook.Parking     // guarded by mu; nil: not attached yet
}

// ticketState says what has become of a ticket.
type ticketState byte

const (
	open    ticketState = iota
	decided             // verdicts has the answer
	lost                // the guest is gone
	moved               // its version is gone
	refused             // there are too many
	over                // nobody waits
)

// add registers the tickets of a frame's records, or none of them.
func (p *parked) add(ts []*ticket) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, t := range ts {
		switch {
		case p.closed:
			t.state = moved
			continue
		case p.n >= maxParked:
			t.state = refused
			continue
		case p.open[t.guest][t.token] != nil:
			for _, earlier := range ts[:i] {
				p.remove(earlier)
			}
			return errParked
		}
		if p.open == nil {
			p.open = map[uint64]map[uint64]*ticket{}
		}
		if p.open[t.guest] == nil {
			p.open[t.guest] = map[uint64]*ticket{}
		}
		p.open[t.guest][t.token] = t
		p.n++
	}
	return nil
}

// remove takes t out, if it is in. mu is held.
func (p *parked) remove(t *ticket) {
	of := p.open[t.guest]
	if of[t.token] != t {
		return
	}
	p.n--
	if delete(of, t.token); len(of) == 0 {
		delete(p.open, t.guest)
	}
}

// drop is remove for those who do not hold mu.
func (p *parked) drop(t *ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(t)
}

// count is the number of events that wait.
func (p *parked) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// Resume implements [Parked].
func (p *parked) Resume(guest, token uint64, block []byte) error {
	p.mu.Lock()
	t := p.open[guest][token]
	p.mu.Unlock()
	if t == nil {
		return contract.ErrnoNotFound
	}
	if contract.CheckResume(t.head, block) != nil {
		return contract.ErrnoInvalid
	}
	t.decide(block)
	p.drop(t)
	return nil
}

// Gone implements [Parked].
func (p *parked) Gone(guest uint64) {
	p.mu.Lock()
	ts := p.open[guest]
	delete(p.open, guest)
	p.n -= len(ts)
	p.mu.Unlock()
	for _, t := range ts {
		t.become(lost)
	}
}

// close gives all events back: their version takes no more calls.
func (p *parked) close() {
	p.mu.Lock()
	all := p.open
	p.open, p.n, p.closed = nil, 0, true
	p.mu.Unlock()
	for _, ts := range all {
		for _, t := range ts {
			t.become(moved)
		}
	}
}

// decide keeps a copy of the verdict and tells the client.
func (t *ticket) decide(block []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != open {
		return
	}
	var w contract.Writer
	w.Begin(t.head)
	w.End()
	if t.verdicts.Load(w.Frame(), 1, block) != nil {
		return // it was checked before
	}
	t.end(decided)
}

// become ends an open ticket without a verdict.
func (t *ticket) become(s ticketState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == open {
		t.end(s)
	}
}

// end leaves the state open. mu is held.
func (t *ticket) end(s ticketState) {
	t.state = s
	if t.parking != nil {
		t.parking.Done()
	}
}

// attach leaves the ticket h, which is t with its event, in k.
func (t *ticket) attach(k *hook.Parking, h hook.Ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k.Hold(h)
	t.parking = k
	if t.state != open {
		k.Done()
	}
}

// Deadline implements [hook.Ticket].
func (t *ticket) Deadline() int64 { return t.until }

// Cancel implements [hook.Ticket].
func (t *ticket) Cancel() {
	t.parked.drop(t)
	t.become(over)
}

// result is what has become of t by now; over: its time has passed. false: it
// waits.
func (t *ticket) result(now int64) (ticketState, bool) {
	t.mu.Lock()
	s := t.state
	if s == open && now >= t.until {
		t.end(over)
		s = over
	}
	t.mu.Unlock()
	if s == over {
		t.parked.drop(t)
	}
	return s, s != open
}

// held is a ticket with its event. It is owned by the client's turn.
type held[E any] struct {
	*ticket
	plugin  *loaded
	binding *event.Binding
	ops     *event.Ops[E]
	e       *E
	asked   int // how often, by now
}

// Settle implements [hook.Ticket].
func (h *held[E]) Settle(now int64) bool {
	state, done := h.result(now)
	if !done {
		return false
	}
	switch {
	case state == decided:
		h.ops.Apply(&event.Answer{Verdict: h.verdicts.At(0), Plugin: &h.plugin.party, Binding: h.binding, Now: now}, h.e)
	case state == moved:
		askAgain(h.plugin, one(h.e), question[E]{h.binding.Hook, h.ops, h.asked - 1})
	case state == lost && h.asked < maxAsked:
		askAgain(h.plugin, one(h.e), question[E]{h.binding.Hook, h.ops, h.asked})
	case state == lost:
		h.plugin.faulted(h.binding, errors.New("the plugin was lost again before it had decided"))
		h.ops.Fail(h.binding, h.e)
	default:
		h.plugin.overdue.Add(1)
		refuse := *h.binding
		refuse.OnError = manifest.OnErrorDeny
		h.ops.Fail(&refuse, h.e)
	}
	return true
}

// park leaves the event of a pending record where its client can wait. A client
// that cannot wait gets what on_error says.
func (t *turn[E]) park(k *ticket, e *E) {
	var at *hook.Parking
	if t.ops.Park != nil {
		at = t.ops.Park(e)
	}
	if at == nil {
		k.Cancel()
		t.plugin.faulted(t.hook, errors.New("a verdict was put off for an event that cannot wait"))
		t.ops.Fail(t.hook, e)
		return
	}
	k.attach(at, &held[E]{ticket: k, plugin: t.plugin, binding: t.hook, ops: t.ops, e: e, asked: t.asked + 1})
}

// pending is the ticket of a record whose verdict in d comes later; nil: d is one.
func (c *Call) pending(record int, r contract.Record, d contract.Verdict, now time.Time) *ticket {
	token, ms, ok := d.Pending()
	if !ok {
		return nil
	}
	return &ticket{
		parked: c.parked, guest: c.Guest, token: token, record: record, head: r.Header(),
		until: now.Add(time.Duration(ms) * time.Millisecond).UnixNano(),
	}
}
