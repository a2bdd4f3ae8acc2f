package hook_test

import (
	"slices"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
)

// slip is a ticket of a test.
type slip struct {
	until             int64
	decided, canceled bool
	settled           func()
}

func (s *slip) Deadline() int64 { return s.until }
func (s *slip) Cancel()         { s.canceled = true }
func (s *slip) Settle(now int64) bool {
	if !s.decided && now < s.until {
		return false
	}
	if s.settled != nil {
		s.settled()
	}
	return true
}

// TestWalkGoesOn shows that a walk stops behind the callback that waits and goes on
// there, also when the chain has changed meanwhile.
func TestWalkGoesOn(t *testing.T) {
	var p hook.Point[func()]
	var ran []string
	wakes := 0
	k := hook.NewParking(func() { wakes++ })
	s := &slip{until: 100}
	add := func(order int, name string, fn func()) func() {
		return p.Add(hook.Spec{Order: order, Owner: name}, func() {
			ran = append(ran, name)
			if fn != nil {
				fn()
			}
		})
	}
	add(1, "a", nil)
	removeB := add(2, "b", func() { k.Hold(s) })
	add(3, "c", nil)
	walk := func() bool { return p.Walk(k, func(fn func()) bool { fn(); return true }) }
	if !walk() || !k.Waiting() || !k.Resuming() || k.Deadline() != 100 {
		t.Fatalf("ran %v, waiting %v, deadline %d", ran, k.Waiting(), k.Deadline())
	}
	if k.Settle(50) {
		t.Fatal("settled although nothing was decided")
	}
	add(2, "b2", nil)
	add(1, "a2", nil)
	removeB()
	s.decided = true
	k.Done()
	if wakes != 1 || !k.Settle(50) || walk() || k.Resuming() {
		t.Fatalf("%d wakes, resuming %v", wakes, k.Resuming())
	}
	if want := []string{"a", "b", "b2", "c"}; !slices.Equal(ran, want) {
		t.Errorf("ran %v, want %v", ran, want)
	}
	ran = nil
	if walk() || len(ran) != 4 {
		t.Errorf("the next walk ran %v", ran)
	}
}

// TestTickets: one wake for all, the earliest deadline, what is late is settled
// while the rest waits, a settled ticket may leave another.
func TestTickets(t *testing.T) {
	wakes := 0
	k := hook.NewParking(func() { wakes++ })
	late, again := &slip{until: 10}, &slip{until: 90}
	first := &slip{until: 50, settled: func() { k.Hold(again) }}
	k.Hold(first)
	k.Hold(late)
	if k.Done(); wakes != 0 {
		t.Error("woken before the last was decided")
	}
	if k.Deadline() != 10 || k.Settle(20) || !k.Waiting() || k.Deadline() != 50 {
		t.Errorf("deadline %d, waiting %v", k.Deadline(), k.Waiting())
	}
	first.decided = true
	if k.Settle(60) || k.Deadline() != 90 {
		t.Errorf("deadline %d after the second ask", k.Deadline())
	}
	k.Cancel()
	if !again.canceled || first.canceled || k.Waiting() || k.Deadline() != 0 {
		t.Errorf("canceled %v, waiting %v", again.canceled, k.Waiting())
	}
	var none *hook.Parking
	if none.Waiting() || none.Resuming() || none.Deadline() != 0 {
		t.Error("a nil Parking waits")
	}
	none.Cancel()
}

// TestWalkWithoutPlugins: the hot path of a broker without plugins.
func TestWalkWithoutPlugins(t *testing.T) {
	var p hook.Point[hook.InterceptMany[int]]
	es := []int{1}
	if n := testing.AllocsPerRun(100, func() {
		p.Walk(nil, func(fn hook.InterceptMany[int]) bool { fn(es); return true })
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	called := 0
	p.Add(hook.Spec{}, func(es []int) { called += len(es) })
	if n := testing.AllocsPerRun(100, func() {
		p.Walk(nil, func(fn hook.InterceptMany[int]) bool { fn(es); return true })
	}); n != 0 || called == 0 {
		t.Errorf("%v allocations, called for %d", n, called)
	}
}
