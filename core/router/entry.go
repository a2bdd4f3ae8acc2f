package router

import (
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/message"
)

// Subscription is one subscriber's interest in one filter. It is immutable once
// added; a change of options is another Subscription that replaces it.
type Subscription struct {
	Filter string         // without share prefix
	Share  *message.Share // nil: an ordinary subscription
	Opts   message.SubOptions
	To     Subscriber // a pointer: subscriptions are told apart by ==
}

func (s *Subscription) placeKey() Subscriber { return s.To }

// entry is everything that is subscribed with one filter. Almost all filters
// have one subscriber, so that case takes two words.
//
// Readers look at many first. While many is set, one is nil or a member too:
// a reader that saw many unset finds in one a subscription that was there.
type entry struct {
	one  atomic.Pointer[Subscription]
	many atomic.Pointer[crowd]
}

// crowd is an entry with more than one subscription, or with shared ones.
type crowd struct {
	filter string
	subs   places[Subscriber, Subscription]
	groups places[string, Group]
}

// named tells whether the filter is key; false when the entry is being given up.
func (e *entry) named(key string) bool {
	if c := e.many.Load(); c != nil {
		return c.filter == key
	}
	s := e.one.Load()
	return s != nil && s.Filter == key
}

// empty tells that nothing is subscribed. Readers may ask: many comes first.
func (e *entry) empty() bool { return e.many.Load() == nil && e.one.Load() == nil }

// copyTo gives e's contents to an entry that takes its place. The owner's lock
// is held; e is not written any more.
func (e *entry) copyTo(to *entry) {
	to.one.Store(e.one.Load())
	to.many.Store(e.many.Load())
}

// change is what a writer did to an entry.
type change struct {
	old  *Subscription // replaced or removed; nil: none
	edge bool          // the route appeared or vanished
}

// add puts s in. The owner's lock is held.
func (e *entry) add(s *Subscription, strategy Strategy) change {
	one, c := e.one.Load(), e.many.Load()
	if c == nil && s.Share == nil && (one == nil || one.To == s.To) {
		if one != nil {
			s.Filter = one.Filter
		}
		e.one.Store(s)
		return change{old: one, edge: one == nil}
	}
	if c == nil {
		c = &crowd{filter: s.Filter}
		if one != nil {
			c.filter = one.Filter
			addPlace(&c.subs, one)
		}
	}
	s.Filter = c.filter
	var ch change
	if s.Share != nil {
		ch = c.join(s, strategy)
	} else {
		ch = c.add(s)
		if one != nil && one == ch.old {
			e.one.Store(s)
		}
	}
	e.many.Store(c)
	return ch
}

// add puts the ordinary subscription s in.
func (c *crowd) add(s *Subscription) change {
	if at := findPlace(&c.subs, s.To); at >= 0 {
		return change{old: c.subs.walk()[at].Swap(s)}
	}
	addPlace(&c.subs, s)
	return change{edge: c.subs.n == 1}
}

// join puts the shared subscription s into its group.
func (c *crowd) join(s *Subscription, strategy Strategy) change {
	var g *Group
	if at := findPlace(&c.groups, s.Share.Group); at >= 0 {
		g = c.groups.walk()[at].Load()
		s.Share = g.Share
	} else {
		g = newGroup(&message.Share{Group: s.Share.Group, Filter: c.filter}, strategy)
		s.Share = g.Share
		addPlace(&g.members, s)
		addPlace(&c.groups, g)
		return change{edge: true}
	}
	if at := findPlace(&g.members, s.To); at >= 0 {
		return change{old: g.members.walk()[at].Swap(s)}
	}
	addPlace(&g.members, s)
	return change{}
}

// remove takes a subscription out. The owner's lock is held.
func (e *entry) remove(to Subscriber, share *message.Share) change {
	one, c := e.one.Load(), e.many.Load()
	if c == nil {
		if share != nil || one == nil || one.To != to {
			return change{}
		}
		e.one.Store(nil)
		return change{old: one, edge: true}
	}
	var ch change
	if share != nil {
		ch = c.leave(to, share.Group)
	} else if at := findPlace(&c.subs, to); at >= 0 {
		ch.old = c.subs.walk()[at].Load()
		dropPlace(&c.subs, at)
		ch.edge = c.subs.n == 0
	}
	if one != nil && one == ch.old {
		e.one.Store(nil)
	}
	e.slim(c)
	return ch
}

// leave takes a member out of a group, and an empty group out of c.
func (c *crowd) leave(to Subscriber, group string) change {
	at := findPlace(&c.groups, group)
	if at < 0 {
		return change{}
	}
	g := c.groups.walk()[at].Load()
	m := findPlace(&g.members, to)
	if m < 0 {
		return change{}
	}
	old := g.members.walk()[m].Load()
	dropPlace(&g.members, m)
	if g.members.n > 0 {
		return change{old: old}
	}
	dropPlace(&c.groups, at)
	return change{old: old, edge: true}
}

// slim goes back to the short form when one ordinary subscription or none is left.
func (e *entry) slim(c *crowd) {
	if c.groups.n > 0 || c.subs.n > 1 {
		return
	}
	for i, subs := 0, c.subs.walk(); i < len(subs); i++ {
		if s := subs[i].Load(); s != nil {
			e.one.Store(s)
		}
	}
	e.many.Store(nil)
}

// each yields all subscriptions, shared ones too.
func (e *entry) each(fn func(*Subscription) bool) bool {
	c := e.many.Load()
	if c == nil {
		s := e.one.Load()
		return s == nil || fn(s)
	}
	if !eachPlace(c.subs.walk(), fn) {
		return false
	}
	return eachPlace(c.groups.walk(), func(g *Group) bool { return eachPlace(g.members.walk(), fn) })
}

// eachPlace yields what is in the places.
func eachPlace[T any](arr []atomic.Pointer[T], fn func(*T) bool) bool {
	for i := range arr {
		if v := arr[i].Load(); v != nil && !fn(v) {
			return false
		}
	}
	return true
}
