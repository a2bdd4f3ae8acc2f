package hook_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
)

func TestChainOrder(t *testing.T) {
	var p hook.Point[func(*[]string)]
	add := func(order int, name string) func() {
		return p.Add(hook.Spec{Owner: name, Order: order}, func(ran *[]string) { *ran = append(*ran, name) })
	}
	run := func() (ran []string) {
		for _, fn := range p.Chain() {
			fn(&ran)
		}
		return ran
	}
	if p.Chain() != nil || p.Owners() != nil {
		t.Fatal("the zero point has callbacks")
	}
	add(2, "c")
	removeB := add(1, "b")
	add(1, "b2")
	add(0, "a")
	if got := run(); !slices.Equal(got, []string{"a", "b", "b2", "c"}) || !slices.Equal(got, p.Owners()) {
		t.Errorf("ran %v, owners %v", got, p.Owners())
	}
	removeB()
	removeB() // harmless
	if got := run(); !slices.Equal(got, []string{"a", "b2", "c"}) {
		t.Errorf("after removing b ran %v", got)
	}
}

// TestBlocking shows that the points know when a client's path may wait, and
// forget it when the plugin goes.
func TestBlocking(t *testing.T) {
	points := new(hook.Points)
	remove := points.MessagePublish.Add(hook.Spec{}, func([]hook.PublishEvent) {})
	if points.Blocking() {
		t.Error("a callback in this process was said to block")
	}
	removeSlow := points.ClientAuthenticate.Add(hook.Spec{Blocking: true}, func(*hook.AuthEvent) {})
	points.ClientConnected.Add(hook.Spec{Blocking: true}, func(*hook.ConnectionEvent) {})
	if !points.Blocking() {
		t.Error("a blocking callback was not seen")
	}
	removeSlow()
	remove()
	if points.Blocking() {
		t.Error("an observing callback does not make a client's path block")
	}
}

// TestChainHammer changes a chain while it is read: every reader sees a whole
// chain, in order.
func TestChainHammer(t *testing.T) {
	var p hook.Point[int]
	for i := range 4 {
		p.Add(hook.Spec{Order: i * 10}, i*10)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for range 500 {
				remove := p.Add(hook.Spec{Order: w*10 + 5}, w*10+5)
				if c := p.Chain(); !slices.IsSorted(c) || len(c) < 5 || len(c) > 8 {
					t.Errorf("chain %v", c)
				}
				remove()
			}
		})
	}
	wg.Wait()
	if c := p.Chain(); !slices.Equal(c, []int{0, 10, 20, 30}) {
		t.Errorf("chain %v at the end", c)
	}
}

func BenchmarkEmptyChain(b *testing.B) {
	var p hook.Point[func()]
	for b.Loop() {
		for _, fn := range p.Chain() {
			fn()
		}
	}
}
