package router

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/topic"
)

// model is the naive router: a list.
type model struct{ subs map[string]*Subscription }

func keyOf(s *Subscription) string {
	group := ""
	if s.Share != nil {
		group = s.Share.Group
	}
	return strings.Join([]string{s.To.ClientID(), group, s.Filter}, "\x00")
}

func (m *model) match(name string) []string {
	var out []string
	for _, s := range m.subs {
		if !topic.Match(s.Filter, name) {
			continue
		}
		if s.Share == nil {
			out = append(out, s.To.ClientID()+"@"+s.Filter)
		} else if g := s.Share.Group + ":" + s.Filter; !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	slices.Sort(out)
	return out
}

func (m *model) stats() Stats {
	routes, shared := map[string]bool{}, 0
	for _, s := range m.subs {
		group := ""
		if s.Share != nil {
			group = s.Share.Group
			shared++
		}
		routes[group+"\x00"+s.Filter] = true
	}
	return Stats{Routes: len(routes), Subscriptions: len(m.subs), Shared: shared}
}

func found(m *Matches) []string {
	var out []string
	for _, s := range m.Subs {
		out = append(out, s.To.ClientID()+"@"+s.Filter)
	}
	for _, g := range m.Groups {
		out = append(out, g.Share.Group+":"+g.Share.Filter)
	}
	slices.Sort(out)
	return out
}

// checkShape fails unless the trie has the fewest nodes that it can have.
func checkShape(t *testing.T, r *Router) {
	t.Helper()
	stack := []*node{&r.wild.root}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if n != &r.wild.root && n.here.empty() && n.deep.empty() && n.children() < 2 {
			t.Fatalf("node %q has no entry and %d children", n.label, n.children())
		}
		if p := n.plus.Load(); p != nil {
			stack = append(stack, p)
		}
		n.kids.Load().all(func(k *node) bool { stack = append(stack, k); return true })
	}
}

func randomLevels(rng *rand.Rand, words []string) string {
	levels := make([]string, 1+rng.IntN(5))
	for i := range levels {
		levels[i] = words[rng.IntN(len(words))]
	}
	return strings.Join(levels, "/")
}

func randomFilter(rng *rand.Rand) string {
	f := randomLevels(rng, []string{"a", "b", "ab", "", "+", "+", "$s"})
	if rng.IntN(3) == 0 {
		if rng.IntN(8) == 0 {
			return "#"
		}
		f += "/#"
	}
	if f == "" {
		return "a"
	}
	return f
}

func randomName(rng *rand.Rand) string {
	if n := randomLevels(rng, []string{"a", "b", "ab", "", "$s"}); n != "" {
		return n
	}
	return "/"
}

// TestAgainstModel does random changes and matches beside the naive router.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r, mod := New(Config{}), &model{subs: map[string]*Subscription{}}
		routes := map[RouteEvent]bool{}
		r.Watch(func(evs []RouteEvent) { apply(t, routes, evs) })
		members := make([]*member, 1+rng.IntN(60))
		for i := range members {
			members[i] = &member{id: fmt.Sprint("c", i)}
		}
		var m Matches
		for range 4000 {
			s := sub(members[rng.IntN(len(members))], randomFilter(rng))
			if rng.IntN(4) == 0 {
				s = shared(s.To, []string{"g", "h"}[rng.IntN(2)], s.Filter)
			}
			k := keyOf(s)
			was := mod.subs[k] != nil
			before := r.Version()
			if rng.IntN(5) < 2 || (len(mod.subs) > 300 && rng.IntN(3) > 0) {
				if got := r.Unsubscribe(s.To, s.Share, s.Filter); got != was {
					t.Fatalf("Unsubscribe(%q) = %v, want %v", k, got, was)
				}
				delete(mod.subs, k)
			} else {
				if got := r.Subscribe(s); got != was {
					t.Fatalf("Subscribe(%q) = %v, want %v", k, got, was)
				}
				mod.subs[k] = s
				was = false
			}
			if !was && mod.subs[k] == nil {
				if r.Version() != before {
					t.Fatal("version changed without a change")
				}
			} else if r.Version() == before {
				t.Fatal("version did not change")
			}
			name := randomName(rng)
			r.Match(name, &m)
			if got, want := found(&m), mod.match(name); !slices.Equal(got, want) {
				t.Fatalf("seed %d: Match(%q) = %q, want %q", seed, name, got, want)
			}
		}
		checkWhole(t, r, mod, routes)
		for _, s := range mod.subs {
			r.Unsubscribe(s.To, s.Share, s.Filter)
		}
		mod.subs = nil
		checkWhole(t, r, mod, routes)
		if r.wild.root.children() != 0 {
			t.Fatal("the empty trie has nodes")
		}
	}
}

// apply follows the routes by their events.
func apply(t *testing.T, routes map[RouteEvent]bool, evs []RouteEvent) {
	for _, ev := range evs {
		key := RouteEvent{Filter: ev.Filter, Group: ev.Group}
		if routes[key] == ev.Added {
			t.Errorf("event %+v twice", ev)
		}
		routes[key] = ev.Added
		if !ev.Added {
			delete(routes, key)
		}
	}
}

// checkWhole compares everything that can be listed with the model.
func checkWhole(t *testing.T, r *Router, mod *model, routes map[RouteEvent]bool) {
	t.Helper()
	checkShape(t, r)
	want := mod.stats()
	if got := r.Stats(); got != want {
		t.Fatalf("Stats() = %+v, want %+v", got, want)
	}
	if len(routes) != want.Routes {
		t.Fatalf("watched %d routes, want %d", len(routes), want.Routes)
	}
	seen := map[string]bool{}
	r.Each(func(s *Subscription) bool {
		k := keyOf(s)
		if seen[k] || mod.subs[k] == nil {
			t.Fatalf("Each yields %q twice or wrongly", k)
		}
		seen[k] = true
		return true
	})
	if len(seen) != want.Subscriptions {
		t.Fatalf("Each yields %d, want %d", len(seen), want.Subscriptions)
	}
	total := 0
	r.Filters(func(_ string, n int) bool { total += n; return true })
	if total != want.Subscriptions {
		t.Fatalf("Filters counts %d, want %d", total, want.Subscriptions)
	}
}
