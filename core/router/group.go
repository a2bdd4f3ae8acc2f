package router

import (
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/message"
)

// Strategy says which member of a shared group gets a message (emqx4 §9.1).
type Strategy byte

// The strategies. All of them prefer members that are online.
const (
	// Random takes any member.
	Random Strategy = iota
	// RoundRobin takes the members in turn, over all publishers.
	RoundRobin
	// Sticky stays with one member while that is online, over all publishers.
	Sticky
	// HashClientID takes the same member for the same publisher.
	HashClientID
	// HashTopic takes the same member for the same topic.
	HashTopic
	// Local takes any member of this node before those of other nodes.
	Local
)

var strategyNames = [...]string{"random", "round_robin", "sticky", "hash_clientid", "hash_topic", "local"}

// String is the strategy's name in the configuration.
func (s Strategy) String() string {
	if int(s) < len(strategyNames) {
		return strategyNames[s]
	}
	return "unknown"
}

// ParseStrategy knows the names of the configuration, and EMQ X 4's "hash".
func ParseStrategy(name string) (s Strategy, ok bool) {
	if name == "hash" {
		return HashClientID, true
	}
	for i, n := range strategyNames {
		if n == name {
			return Strategy(i), true
		}
	}
	return 0, false
}

// Group is one shared subscription: a group name with a filter, and its members.
type Group struct {
	Share *message.Share // immutable

	strategy atomic.Uint32 // a Strategy; see SetStrategies
	members  places[Subscriber, Subscription]
	turn     atomic.Uint64 // RoundRobin: where the last member taken is, + 1
	stuck    atomic.Uint64 // Sticky: where the member is, + 1; 0: none
}

func newGroup(share *message.Share, s Strategy) *Group {
	g := &Group{Share: share}
	g.strategy.Store(uint32(s))
	return g
}

func (g *Group) placeKey() string { return g.Share.Group }

// Each yields the members until fn returns false.
func (g *Group) Each(fn func(*Subscription) bool) { eachPlace(g.members.walk(), fn) }

// Pick chooses the member of g that gets msg: an online one while there is one
// other than skip, else an offline one, whose session keeps it. It returns nil
// when the group has no member but skip. skip may be nil; it names a member
// that has just failed to take the message.
func (r *Router) Pick(g *Group, msg *message.Message, skip Subscriber) *Subscription {
	arr := g.members.walk()
	if len(arr) == 0 {
		return nil
	}
	want := wanted{skip: skip, online: true}
	if s := g.pick(arr, r.seed, msg, want); s != nil {
		return s
	}
	want.online = false
	return g.pick(arr, r.seed, msg, want)
}

// wanted says which members are eligible.
type wanted struct {
	skip   Subscriber
	online bool
}

// at returns the member at a place if it is eligible.
func (w wanted) at(arr []atomic.Pointer[Subscription], i uint64) *Subscription {
	s := arr[i].Load()
	if s == nil || s.To == w.skip || (w.online && !s.To.Online()) {
		return nil
	}
	return s
}

// pick applies the group's strategy to its eligible members.
func (g *Group) pick(arr []atomic.Pointer[Subscription], seed maphash.Seed, msg *message.Message, w wanted) *Subscription {
	switch Strategy(g.strategy.Load()) {
	case RoundRobin:
		return g.next(arr, w)
	case Sticky:
		if at := g.stuck.Load(); at > 0 && at <= uint64(len(arr)) {
			if s := w.at(arr, at-1); s != nil {
				return s
			}
		}
		s, at := spread(arr, rand.Uint64(), w)
		if s != nil && w.online {
			g.stuck.Store(at + 1)
		}
		return s
	case HashClientID:
		s, _ := spread(arr, maphash.String(seed, msg.From), w)
		return s
	case HashTopic:
		s, _ := spread(arr, maphash.String(seed, msg.Topic), w)
		return s
	default:
		s, _ := spread(arr, rand.Uint64(), w)
		return s
	}
}

// next takes the eligible member after the one that was taken last.
func (g *Group) next(arr []atomic.Pointer[Subscription], w wanted) *Subscription {
	n := uint64(len(arr))
	for {
		was := g.turn.Load()
		from := was % n
		for i := range n {
			at := (from + i) % n
			s := w.at(arr, at)
			if s == nil {
				continue
			}
			if g.turn.CompareAndSwap(was, at+1) {
				return s
			}
			break // another publisher took its turn meanwhile
		}
		if g.turn.Load() == was {
			return nil
		}
	}
}

// spread takes an eligible member by the number k: the same one for the same k
// while it is eligible. When members come and go, only few numbers move.
func spread(arr []atomic.Pointer[Subscription], k uint64, w wanted) (*Subscription, uint64) {
	n := uint64(len(arr))
	for probe := k; probe != k+8; probe++ {
		at := mix(probe) % n
		if s := w.at(arr, at); s != nil {
			return s, at
		}
	}
	eligible := uint64(0)
	for i := range n {
		if w.at(arr, i) != nil {
			eligible++
		}
	}
	if eligible == 0 {
		return nil, 0
	}
	left := k % eligible
	var last *Subscription
	var lastAt uint64
	for i := range n {
		s := w.at(arr, i)
		if s == nil {
			continue
		}
		last, lastAt = s, i
		if left == 0 {
			break
		}
		left--
	}
	return last, lastAt
}

// mix spreads the bits of a number (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
