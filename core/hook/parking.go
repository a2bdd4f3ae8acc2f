package hook

import (
	"slices"
	"sync/atomic"
)

// Parking is where one client waits for verdicts that come later: meanwhile it is
// not read, and no goroutine waits for it. A callback that cannot decide an event
// leaves a ticket in the event's Parking; the walk through the chain stops behind
// that callback and is taken up again when all tickets have been settled.
//
// It belongs to the turn of the client's channel; only Done may be called by other
// goroutines. A nil Parking has nothing waiting and takes no tickets.
type Parking struct {
	wake func() // immutable

	// Owned by the turn.
	at      place
	tickets []Ticket

	open atomic.Int32 // tickets that are not decided
}

// Ticket is one event whose verdict comes later.
type Ticket interface {
	// Deadline is when the event is refused without a verdict, Unix nanoseconds.
	Deadline() int64
	// Settle writes the verdict, or the refusal after the deadline, into the
	// event; false: neither is due. It may leave another ticket in the Parking.
	// It is called in the client's turn.
	Settle(now int64) bool
	// Cancel says that the client is gone. The event is not to be touched again.
	Cancel()
}

// place is the callback of a chain behind which a walk goes on.
type place struct {
	order int
	seq   uint64 // 0: from the start
}

// NewParking returns a Parking. wake makes the client's turn come; any goroutine
// may call it.
func NewParking(wake func()) *Parking { return &Parking{wake: wake} }

// Hold leaves a ticket. Exactly one Done must follow, before or after the turn ends.
func (p *Parking) Hold(t Ticket) {
	p.open.Add(1)
	p.tickets = append(p.tickets, t)
}

// Done says that one ticket has been decided. Any goroutine.
func (p *Parking) Done() {
	if p.open.Add(-1) == 0 {
		p.wake()
	}
}

// Waiting tells whether a ticket is left.
func (p *Parking) Waiting() bool { return p != nil && len(p.tickets) > 0 }

// Resuming tells whether a walk has stopped half way.
func (p *Parking) Resuming() bool { return p != nil && p.at.seq != 0 }

// Deadline is the earliest of the tickets' deadlines; 0: there is no ticket.
func (p *Parking) Deadline() (at int64) {
	if p == nil {
		return 0
	}
	for _, t := range p.tickets {
		if d := t.Deadline(); at == 0 || d < at {
			at = d
		}
	}
	return at
}

// Settle settles what is decided or late; true: nothing is left and the walk can
// go on.
func (p *Parking) Settle(now int64) bool {
	if p.open.Load() > 0 && now < p.Deadline() {
		return false
	}
	tickets := p.tickets
	p.tickets = nil
	left := slices.DeleteFunc(tickets, func(t Ticket) bool { return t.Settle(now) })
	p.tickets = append(p.tickets, left...)
	return len(p.tickets) == 0
}

// Cancel gives all tickets up: the client is gone.
func (p *Parking) Cancel() {
	if p == nil {
		return
	}
	for _, t := range p.tickets {
		t.Cancel()
	}
	p.tickets, p.at = nil, place{}
}

// Walk calls do for each callback, in order, until do returns false. If a callback
// leaves a ticket in k, the walk stops: true. The same walk, called again when the
// tickets are settled, goes on behind that callback, also when the chain has
// changed meanwhile. k may be nil.
func (p *Point[F]) Walk(k *Parking, do func(F) bool) (waits bool) {
	c := p.chain.Load()
	if c == nil {
		k.restart()
		return false
	}
	for i := c.behind(k); i < len(c.fns); i++ {
		if !do(c.fns[i]) {
			break
		}
		if k.Waiting() {
			k.at = place{c.callbacks[i].spec.Order, c.callbacks[i].seq}
			return true
		}
	}
	k.restart()
	return false
}

// restart makes the next walk begin at the start.
func (p *Parking) restart() {
	if p != nil {
		p.at = place{}
	}
}

// behind is the index of the first callback that k's walk has not met.
func (c *chain[F]) behind(k *Parking) int {
	if !k.Resuming() {
		return 0
	}
	i := 0
	for i < len(c.callbacks) && !c.callbacks[i].after(k.at) {
		i++
	}
	return i
}

// after tells whether the callback stands behind at.
func (b *callback[F]) after(at place) bool {
	return b.spec.Order > at.order || b.spec.Order == at.order && b.seq > at.seq
}
