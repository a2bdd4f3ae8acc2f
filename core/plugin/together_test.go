package plugin

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// The memory that plugins may come to is summed before it is used; what is too
// much is refused with the numbers, and what runs goes on.
func TestMemoryBudget(t *testing.T) {
	f := newFixture(t)
	f.host.MemoryBudget = 100 << 20
	for name, most := range map[string]int64{"a": 60 << 20, "b": 40 << 20, "c": 1} {
		p := always(contract.Next, 0)
		p.memory = most
		f.add(name, hookLine(contract.HookPublish, ""), p)
	}
	f.start("a.\nb.\n")
	err := f.Load("c")
	if err == nil || !strings.Contains(err.Error(), "may come to 101 MiB of memory (a 60 MiB, b 40 MiB, c 1 MiB), but plugins.memory_budget is 100 MiB") {
		t.Errorf("error %v", err)
	}
	if n := len(f.List()); n != 2 {
		t.Errorf("%d plugins", n)
	}
	if err := f.Reload("a"); err != nil { // in place of the old one
		t.Error(err)
	}
	if err := errors.Join(f.Unload("b"), f.Load("c")); err != nil {
		t.Error(err)
	}
}

// A reload hands the state over while calls wait: each meets the old version
// before the hand-over or the new one after it.
func TestReloadHandsOver(t *testing.T) {
	f := newFixture(t)
	var state, lost atomic.Int64
	p := &builtinPlugin{}
	p.on = func(i *builtinInstance, c *Call) error {
		if i.n > 1 && !i.heir.Load() {
			lost.Add(1)
		}
		state.Add(1)
		return c.Take(0, c.N, nil)
	}
	p.handOver = func(old, to *builtinInstance) error {
		if old.done.Load() {
			t.Error("closed before it handed over")
		}
		to.heir.Store(true)
		return nil
	}
	f.add("a", hookLine(contract.HookPublish, ""), p)
	f.start("a.\n")
	stop, done := make(chan struct{}), make(chan int)
	for range 4 {
		go func() {
			n := 0
			for {
				select {
				case <-stop:
					done <- n
					return
				default:
					es := []hook.PublishEvent{{Client: testClient(), Msg: msg("a", "b", 1)}}
					fold(&f.points.MessagePublish, es)
					n++
				}
			}
		}()
	}
	for range 30 {
		if err := f.Reload("a"); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	sum := 0
	for range 4 {
		sum += <-done
	}
	if lost.Load() != 0 || int64(sum) != state.Load() {
		t.Errorf("%d calls met a version without the state; %d of %d calls answered", lost.Load(), state.Load(), sum)
	}
	p.handOver = func(*builtinInstance, *builtinInstance) error { return errBoom }
	if err := f.Reload("a"); !errors.Is(err, errBoom) {
		t.Errorf("error %v", err)
	}
	before := state.Load()
	fold(&f.points.MessagePublish, []hook.PublishEvent{{Client: testClient(), Msg: msg("a", "b", 1)}})
	if state.Load() != before+1 {
		t.Error("the new version is not asked")
	}
}

// Quarantine and what a plugin may use are in the list.
func TestListShowsStatus(t *testing.T) {
	f := newFixture(t)
	p := always(contract.Next, 0)
	p.state, p.memory = StateQuarantined, 7
	f.add("a", hookLine(contract.HookPublish, ""), p)
	f.start("a.\n")
	if l := f.List(); l[0].Status.State != StateQuarantined || l[0].Status.MemoryMax != 7 || l[0].Hooks[0] != "publish" {
		t.Errorf("%+v", l)
	}
}
