package wasm

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
)

// built is what it took to make a plugin ready.
type built struct {
	compile, instantiate time.Duration
	cached               bool // the compilation cache had the code
}

// compile compiles the module and notes how long that took. The engine does not tell
// whether it found the code in the cache; it did if the cache has no new file then. A
// module that is found while another one is being compiled may be told as compiled.
func (p *Plugin) compile(ctx context.Context, code []byte) error {
	before := p.t.kept()
	began := time.Now()
	compiled, err := p.rt.CompileModule(ctx, code)
	if err != nil {
		return err
	}
	p.compiled, p.built.compile = compiled, time.Since(began)
	p.built.cached = len(before) > 0 && slices.Equal(before, p.t.kept())
	dropBodies(compiled)
	return nil
}

// kept are the files of the compilation cache; none for an interpreter, which does not
// use it.
func (t *Transport) kept() []string {
	if t.cfg.CacheDir == "" || t.engine == EngineInterpreter {
		return nil
	}
	files, _ := filepath.Glob(filepath.Join(t.cfg.CacheDir, "*", "*")) // the pattern is well-formed
	return files
}

// tallied are the capabilities whose host calls are counted, in the order of a
// hostTally; WASI comes last.
var tallied = append(slices.Sorted(maps.Values(capability)), "wasi")

// maxTallied is how many capabilities a tally has room for.
const maxTallied = 16

// hostTally counts host calls by capability, in the order of tallied.
type hostTally [maxTallied]uint32

// tallyAt is the place of the capability of an import module.
func tallyAt(module string) int {
	if c, ok := capability[module]; ok {
		return slices.Index(tallied, c)
	}
	return len(tallied) - 1
}

// hostCounts are the host calls of all shards. They are added to once per Call.
type hostCounts [maxTallied]atomic.Uint64

// take moves a tally into the counts.
func (c *hostCounts) take(t *hostTally) {
	for i := range t {
		if t[i] > 0 {
			c[i].Add(uint64(t[i]))
			t[i] = 0
		}
	}
}

// list are the counts by capability; nil: there was no call.
func (c *hostCounts) list() map[string]uint64 {
	var list map[string]uint64
	for i, name := range tallied {
		if n := c[i].Load(); n > 0 {
			if list == nil {
				list = map[string]uint64{}
			}
			list[name] = n
		}
	}
	return list
}

// Status implements [plugin.Instance].
func (p *Plugin) Status() plugin.Status {
	s := plugin.Status{
		State: plugin.StateRunning, Calls: p.calls.Load(), Records: p.records.Load(),
		Faults: p.faulted.Load(), Restarts: p.restarts.Load(), Retries: p.retries.Load(), Instances: int(p.live.Load()),
		MemoryMax: int64(p.pages) << 16 * int64(len(p.shards)), Engine: p.t.engine, Fuel: uint64(p.units), FuelP50: p.fuelUsed.Quantile(0.5), FuelMost: uint64(p.fuelMost.Load()),
		Compile: p.built.compile, Instantiate: p.built.instantiate, CompileCached: p.built.cached, HostCalls: p.host.list(),
	}
	switch {
	case p.closed.Load():
		s.State = plugin.StateClosed
	case p.faults.empty():
		s.State = plugin.StateQuarantined
	}
	p.mu.Lock()
	s.LastFault = p.lastFault
	p.mu.Unlock()
	for i := range p.shards {
		s.Memory += p.shards[i].size.Load()
	}
	return s
}
