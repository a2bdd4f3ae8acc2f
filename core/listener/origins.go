package listener

import (
	"net/netip"
	"sync"
)

// Origin is what an address counts as where addresses are counted: itself, or
// for IPv6 its /64, which one subscriber has to himself.
func Origin(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

// origins counts a listener's connections by where they come from. It has as
// many entries as there are addresses with a connection.
type origins struct {
	mu    sync.Mutex // guards what follows
	limit int        // 0: none
	conns map[netip.Addr]int
}

func newOrigins(limit int) *origins {
	return &origins{limit: limit, conns: map[netip.Addr]int{}}
}

// setLimit is for connections to come; those that were not counted stay so.
func (o *origins) setLimit(limit int) {
	o.mu.Lock()
	o.limit = limit
	o.mu.Unlock()
}

// take counts a connection; false: it is one too many.
func (o *origins) take(a netip.Addr) bool {
	a = Origin(a)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.limit > 0 && o.conns[a] >= o.limit {
		return false
	}
	o.conns[a]++
	return true
}

// give counts a connection out.
func (o *origins) give(a netip.Addr) {
	a = Origin(a)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conns[a]--; o.conns[a] <= 0 {
		delete(o.conns, a)
	}
}
