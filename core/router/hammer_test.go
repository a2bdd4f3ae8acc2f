package router

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dunlinmq/dunlin/core/topic"
)

// hammerFilters share nodes, split them and end at inner ones.
var hammerFilters = []string{
	"a/b/c/d", "a/b/c/e", "a/b", "a", "a/+/c/d", "a/b/#", "a/b/c/d/#", "#", "+/b/+/d", "a/+/+/+", "a/b/c/+", "a/b/+", "x/y", "a/#",
}

// TestHammer: while others come and go, every match finds each subscription
// that stays exactly once; at rest the router equals the model.
func TestHammer(t *testing.T) {
	const name = "a/b/c/d"
	r, mod := New(Config{}), &model{subs: map[string]*Subscription{}}
	// Every second filter has a subscriber that stays, and one a group.
	stays := map[*Subscription]bool{}
	for i, f := range hammerFilters {
		if s := sub(&member{id: fmt.Sprint("stay", i)}, f); i%2 == 0 {
			r.Subscribe(s)
			mod.subs[keyOf(s)] = s
			if topic.Match(f, name) {
				stays[s] = true
			}
		}
	}
	group := shared(&member{id: "stayg"}, "g", "a/b/c/+")
	r.Subscribe(group)
	mod.subs[keyOf(group)] = group

	var stop atomic.Bool
	var writers, readers sync.WaitGroup
	left := make([]map[string]*Subscription, 4)
	for w := range left {
		left[w] = map[string]*Subscription{}
		writers.Go(func() { hammerWrite(r, w, left[w]) })
	}
	for range 2 {
		readers.Go(func() {
			var m Matches
			for n := 0; n < 50 || !stop.Load(); n++ {
				r.Match(name, &m)
				if !hammerCheck(t, &m, stays) {
					return
				}
				if got := r.Pick(m.Groups[0], msgFrom("p", name), nil); got == nil {
					t.Error("a group with a member picks nobody")
				}
			}
		})
	}
	readers.Go(func() { hammerEach(t, r, &stop, stays) })
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	for _, l := range left {
		for k, s := range l {
			mod.subs[k] = s
		}
	}
	checkWhole(t, r, mod, watched(t, r))
}

// hammerWrite subscribes and unsubscribes at random; left is what is left.
func hammerWrite(r *Router, w int, left map[string]*Subscription) {
	rng := rand.New(rand.NewPCG(uint64(w), 3))
	members := make([]*member, 50)
	for i := range members {
		members[i] = &member{id: fmt.Sprintf("w%d-%d", w, i)}
	}
	for range 6000 {
		f := hammerFilters[rng.IntN(len(hammerFilters))]
		if rng.IntN(8) == 0 {
			f = randomFilter(rng)
		}
		s := sub(members[rng.IntN(len(members))], f)
		if rng.IntN(4) == 0 {
			s = shared(s.To, []string{"g", "h"}[rng.IntN(2)], f)
		}
		if rng.IntN(2) == 0 {
			r.Unsubscribe(s.To, s.Share, f)
			delete(left, keyOf(s))
		} else {
			r.Subscribe(s)
			left[keyOf(s)] = s
		}
	}
}

// hammerCheck fails unless m has each of stays once.
func hammerCheck(t *testing.T, m *Matches, stays map[*Subscription]bool) bool {
	seen := map[*Subscription]int{}
	for _, s := range m.Subs {
		seen[s]++
	}
	for s := range stays {
		if seen[s] != 1 {
			t.Errorf("%s is found %d times", s.Filter, seen[s])
			return false
		}
	}
	if len(m.Groups) == 0 {
		t.Error("the group is not found")
		return false
	}
	return true
}

func hammerEach(t *testing.T, r *Router, stop *atomic.Bool, stays map[*Subscription]bool) {
	for n := 0; n < 5 || !stop.Load(); n++ {
		seen := map[*Subscription]int{}
		r.Each(func(s *Subscription) bool { seen[s]++; return true })
		for s := range stays {
			if seen[s] != 1 {
				t.Errorf("Each meets %s %d times", s.Filter, seen[s])
				return
			}
		}
	}
}

// watched is the set of routes that a new watcher is told of.
func watched(t *testing.T, r *Router) map[RouteEvent]bool {
	routes := map[RouteEvent]bool{}
	r.Watch(func(evs []RouteEvent) { apply(t, routes, evs) })()
	return routes
}

// TestHammerWatch: events of many writers lead to the set that there is.
func TestHammerWatch(t *testing.T) {
	r := New(Config{})
	routes := map[RouteEvent]bool{}
	var busy atomic.Bool
	stop := r.Watch(func(evs []RouteEvent) {
		if busy.Swap(true) {
			t.Error("two calls at once")
		}
		apply(t, routes, evs)
		busy.Store(false)
	})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() { hammerWrite(r, w, map[string]*Subscription{}) })
	}
	wg.Wait()
	if n := len(watched(t, r)); n != len(routes) || n != r.Stats().Routes {
		t.Errorf("followed %d routes, there are %d, counted %d", len(routes), n, r.Stats().Routes)
	}
	stop()
	r.Subscribe(sub(&member{id: "late"}, "late"))
	if routes[RouteEvent{Filter: "late"}] {
		t.Error("an event after stop")
	}
}

// TestVersionCoversMatch: an answer that is cached under a version read before
// the match never lacks a subscription whose Subscribe has returned.
func TestVersionCoversMatch(t *testing.T) {
	r := New(Config{})
	var done atomic.Int64 // subscriptions that have returned
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 3000 {
			r.Subscribe(sub(&member{id: fmt.Sprint(i)}, []string{"a/b", "a/+"}[i%2]))
			done.Add(1)
		}
	})
	wg.Go(func() {
		var m Matches
		cached := ^uint64(0)
		for done.Load() < 3000 {
			want := done.Load()
			if v := r.Version(); v != cached {
				cached = v
				r.Match("a/b", &m)
			}
			if int64(len(m.Subs)) < want {
				t.Errorf("%d found, %d were there", len(m.Subs), want)
				return
			}
		}
	})
	wg.Wait()
}
