package router

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
)

// TestPlacesChurn: a set that grows to thousands and shrinks again keeps its
// index right and gives its memory back.
func TestPlacesChurn(t *testing.T) {
	var p places[Subscriber, Subscription]
	const n = 5000
	subs := make([]*Subscription, n)
	for i := range subs {
		subs[i] = sub(&member{id: strconv.Itoa(i)}, "f")
		addPlace(&p, subs[i])
	}
	check := func(from int) {
		t.Helper()
		seen := map[*Subscription]bool{}
		eachPlace(p.walk(), func(s *Subscription) bool {
			if seen[s] {
				t.Fatalf("%s twice", s.To.ClientID())
			}
			seen[s] = true
			return true
		})
		for i, s := range subs {
			at := findPlace(&p, s.To)
			if is := i >= from; is != (at >= 0) || is != seen[s] || is && p.walk()[at].Load() != s {
				t.Fatalf("member %d: place %d, seen %v", i, at, seen[s])
			}
		}
	}
	check(0)
	for i, s := range subs {
		dropPlace(&p, findPlace(&p, s.To))
		if i%700 == 0 || i > n-40 {
			check(i + 1)
		}
	}
	if len(p.walk()) > 8 || p.index != nil || p.n != 0 {
		t.Errorf("empty: %d places, index %v", len(p.walk()), p.index)
	}
}

// TestTableChurn: a table that values come to and leave does not grow, and a
// search for what is not there ends.
func TestTableChurn(t *testing.T) {
	var loc atomic.Pointer[table[entry]]
	add := func(i int) {
		e := &entry{}
		e.add(sub(one, fmt.Sprint("f", i)), Random)
		put(&loc, uint64(firstHash+i%7), e) // few hashes: long runs
	}
	erased := func(i int) bool {
		s, _ := seek(loc.Load(), uint64(firstHash+i%7), fmt.Sprint("f", i))
		if s != nil {
			erase(&loc, s)
		}
		return s != nil
	}
	const window = 20
	for i := range 3000 {
		add(i)
		if i >= window && !erased(i-window) {
			t.Fatalf("%d is gone", i-window)
		}
		for j := max(0, i-window+1); j <= i; j++ {
			if find(loc.Load(), uint64(firstHash+j%7), fmt.Sprint("f", j)) == nil {
				t.Fatalf("%d is not found after %d", j, i)
			}
		}
		if find(loc.Load(), uint64(firstHash+i%7), "none") != nil {
			t.Fatal("found nothing")
		}
	}
	if tab := loc.Load(); tab.count() != window || len(tab.slots) > 128 {
		t.Errorf("%d values, %d slots", tab.count(), len(tab.slots))
	}
	for i := 3000 - window; i < 3000; i++ {
		erased(i)
	}
	if loc.Load() != nil {
		t.Error("the empty table is kept")
	}
}

// TestWatchTellsBatches: what changes while a watcher works comes as one batch.
func TestWatchTellsBatches(t *testing.T) {
	r := New(Config{})
	r.Subscribe(sub(one, "was/there"))
	r.Subscribe(sub(one, "was/#"))
	r.Subscribe(shared(one, "g", "was/there"))
	r.Subscribe(shared(&member{id: "two"}, "g", "was/there"))
	var batches [][]RouteEvent
	r.Watch(func(evs []RouteEvent) {
		batches = append(batches, evs)
		if len(batches) == 1 {
			for i := range 5 { // a change by a watcher comes after
				r.Subscribe(sub(one, fmt.Sprint("new/", i)))
			}
			r.Subscribe(sub(one, "was/#"))              // replaced: no event
			r.Unsubscribe(one, nil, "was/there")        // the group stays
			r.Subscribe(sub(&member{id: "2"}, "new/1")) // not the first
		}
	})
	if len(batches) != 2 || len(batches[0]) != 3 || len(batches[1]) != 6 {
		t.Fatalf("batches %v", batches)
	}
	if last := batches[1][5]; last != (RouteEvent{Filter: "was/there"}) {
		t.Errorf("last event %+v", last)
	}
}
