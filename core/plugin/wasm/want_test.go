package wasm

import (
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// fakeWants notes what is wanted.
type fakeWants struct {
	hook    contract.Hook
	filters []string
	calls   int
}

func (w *fakeWants) Want(k contract.Hook, filters []string) error {
	w.calls++
	if k != contract.HookPublished {
		return contract.ErrnoDenied
	}
	w.hook, w.filters = k, filters
	return nil
}

func (*fakeWants) Refuse(contract.Hook, []string) error { return contract.ErrnoDenied }

// A guest says which topics a hook is called for; it pays for each filter, and one that
// cannot gets nothing. A list that is none changes nothing.
func TestWant(t *testing.T) {
	g, _ := bare(t)
	w := &fakeWants{}
	spec := *g.p.spec
	spec.Services.Wants = w
	g.p.spec = &spec
	list := contract.AppendFilter(contract.AppendFilter(nil, "a/#"), "b/+/c")
	write(t, g, 8000, list)
	call := func(hook, at, n uint64) contract.Errno {
		stack := []uint64{hook | 1<<40, at | 1<<40, n | 1<<40}
		hostFunctions[contract.ModuleWant][contract.ImportWantSet].fn(g, stack)
		return contract.Errno(int32(uint32(stack[0])))
	}
	published, n := uint64(contract.HookPublished), uint64(len(list))
	before := g.fuel.Get()
	if got := call(published, 8000, n); got != 0 || strings.Join(w.filters, " ") != "a/# b/+/c" {
		t.Errorf("%v, %q", got, w.filters)
	}
	if paid := before - g.fuel.Get(); paid < 2*wantUnits+3*levelUnits {
		t.Errorf("it paid %d units", paid)
	}
	w.calls = 0
	for _, c := range []struct {
		hook, at, n uint64
		want        contract.Errno
	}{
		{uint64(contract.HookPublish), 8000, n, contract.ErrnoDenied}, {published, 8000, n - 1, contract.ErrnoInvalid}, {published, 8000, 1, contract.ErrnoInvalid},
		{published, 0xFFFFFFF0, 100, contract.ErrnoInvalid}, {uint64(contract.MaxHook) + 1, 8000, n, contract.ErrnoInvalid},
	} {
		if got := call(c.hook, c.at, c.n); got != c.want {
			t.Errorf("hook %d, %d bytes at %#x: %v, want %v", c.hook, c.n, c.at, got, c.want)
		}
	}
	if w.calls != 1 {
		t.Errorf("%d lists reached the manager", w.calls)
	}
	for _, fuel := range []uint64{100, 3*levelUnits + 100} {
		g.fuel.Set(fuel)
		if got := call(published, 8000, n); got != contract.ErrnoQuota || w.calls != 1 {
			t.Errorf("with %d units: %v", fuel, got)
		}
	}
	g.fuel.Set(1 << 40)
	if got := call(published, 8000, 0); got != 0 || len(w.filters) != 0 {
		t.Errorf("none: %v, %q", got, w.filters)
	}
	g.p.spec = &plugin.Spec{}
	if got := call(published, 8000, n); got != contract.ErrnoDenied {
		t.Errorf("without the service: %v", got)
	}
}
