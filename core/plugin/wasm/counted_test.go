package wasm

import (
	"context"
	"maps"
	"path/filepath"
	"testing"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// A frame that faults is tried again whole and in its halves, down to the culprit.
func TestRetriesAreCounted(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	call(t, p, frame(1, 1, 1))
	if n := p.Status().Retries; n != 0 {
		t.Errorf("%d retries of a frame without a fault", n)
	}
	call(t, p, frameOf(contract.HookPublish, 1, 36, 10)) // whole again, the good half, the bad one
	if n := p.Status().Retries; n != 3 {
		t.Errorf("%d retries", n)
	}
}

// Host calls are counted by capability: of every call, of one that was refused, and of
// a guest that was thrown away.
func TestHostCallsAreCounted(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	before := p.Status().HostCalls
	call(t, p, frame(1, 37, 37))
	after := p.Status().HostCalls
	if after["metric"] != before["metric"]+2 {
		t.Errorf("from %v to %v", before, after)
	}
	delete(after, "metric")
	delete(before, "metric")
	if !maps.Equal(before, after) {
		t.Errorf("others changed: from %v to %v", before, after)
	}
	c := frameOf(contract.HookPublish, 1, 36, 10)
	call(t, p, c) // three times: whole, again, and by itself
	if n := p.Status().HostCalls["publish"]; n != 3 {
		t.Errorf("%d publications", n)
	}
	for module := range hostFunctions {
		if c := tallied[tallyAt(module)]; c != capability[module] || c == "" {
			t.Errorf("%s is counted as %q", module, c)
		}
	}
	if len(tallied) > maxTallied || tallied[tallyAt(wasiModule)] != "wasi" {
		t.Errorf("tallied %v", tallied)
	}
}

// Counting costs no memory.
func TestTakeAllocatesNothing(t *testing.T) {
	var c hostCounts
	tally := hostTally{2: 5}
	if n := testing.AllocsPerRun(100, func() { tally[3]++; c.take(&tally) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c[2].Load() != 5 || c[3].Load() != 101 || tally != (hostTally{}) {
		t.Errorf("%d, %d, %v", c[2].Load(), c[3].Load(), tally)
	}
}

// The status tells how long compiling took, and whether it was done before.
func TestCompilationIsTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	tr, err := New(Config{Shards: 1, CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"acts.wasm", "acts.wasm"} {
		in, err := tr.Open(context.Background(), spec(t, read(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		s := in.Status()
		_ = in.Close(context.Background())
		if s.Compile <= 0 || s.Instantiate <= 0 || s.CPU != 0 {
			t.Errorf("%s: %+v", name, s)
		}
		if want := i > 0 && tr.engine == EngineCompiler; s.CompileCached != want {
			t.Errorf("start %d: from the cache is %v", i, s.CompileCached)
		}
	}
	tr.engine = EngineInterpreter
	in, err := tr.Open(context.Background(), spec(t, read(t, "acts.wasm")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(context.Background()) }()
	if s := in.Status(); s.CompileCached || s.Engine != EngineInterpreter {
		t.Errorf("interpreter: %+v", s)
	}
}
