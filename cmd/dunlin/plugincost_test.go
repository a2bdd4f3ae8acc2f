package main

import (
	"slices"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

// The lines of top are rates between two looks, the dearest hook first; a plugin
// that was loaded anew meanwhile starts from nothing.
func TestHookCosts(t *testing.T) {
	hook := func(name string, calls, records, p50 uint64) *adminpb.PluginHookCost {
		return &adminpb.PluginHookCost{Hook: name, Calls: calls, Records: records, P50Ns: p50, P99Ns: 2 * p50, TookNs: calls * p50, Verdicts: map[string]uint64{"next": records}}
	}
	plugin := func(name string, hooks ...*adminpb.PluginHookCost) *adminpb.Plugin {
		return &adminpb.Plugin{Name: name, Cost: &adminpb.PluginCost{Hooks: hooks, Queued: 2, LogWaiting: 3, Memory: 1 << 20}}
	}
	before := []*adminpb.Plugin{plugin("a", hook("acl", 100, 200, 1000)), plugin("b", hook("publish", 50, 50, 500))}
	after := []*adminpb.Plugin{plugin("a", hook("acl", 110, 240, 1000)), plugin("b", hook("publish", 20, 20, 5000)), plugin("c", hook("connected", 2, 2, 1))}
	rows := hookCosts(before, after, 2*time.Second)
	if len(rows) != 3 || rows[0].Plugin != "b" || rows[0].Calls != 10 || rows[1].Hook != "acl" || rows[1].Calls != 5 || rows[1].Records != 20 {
		t.Errorf("%+v", rows)
	}
	if r := rows[1]; r.P50 != 1 || r.P99 != 2 || r.Queue != 5 || r.Verdicts["next"] != 240 || r.Memory != 1<<20 {
		t.Errorf("%+v", r)
	}
	if r := rows[1]; r.Time != 0.005 || r.CPU == nil || *r.CPU != 0.005 {
		t.Errorf("time %v, processor %v", r.Time, r.CPU)
	}
	two := plugin("p", hook("publish", 10, 10, 1000), hook("acl", 10, 10, 2000))
	for _, c := range []struct {
		pid  uint32
		cpu  uint64
		want string
	}{{0, 0, "3.0%"}, {7, 500_000_000, "50.0%"}, {7, 0, "?"}} { // a module, a process, a process of which nothing is known
		two.Cost.Pid, two.Cost.CpuNs = c.pid, c.cpu
		two.Cost.Hooks[0].TookNs, two.Cost.Hooks[1].TookNs = 10_000_000, 20_000_000
		rows := hookCosts(nil, []*adminpb.Plugin{two}, time.Second)
		if len(rows) != 2 || rows[0].Hook != "acl" || share(&rows[0].Time) != "2.0%" || share(rows[0].CPU) != c.want || share(rows[1].CPU) != c.want {
			t.Errorf("%+v: %+v", c, rows)
		}
	}
	less := plugin("p", hook("publish", 20, 20, 100)) // estimated lower than before
	if rows := hookCosts([]*adminpb.Plugin{two}, []*adminpb.Plugin{less}, time.Second); rows[0].Time != 0 {
		t.Errorf("%+v", rows)
	}
	if got := hookCosts(nil, nil, time.Second); got == nil || len(got) != 0 {
		t.Errorf("without plugins: %v", got)
	}
}

func TestCostRows(t *testing.T) {
	if costRows(nil) != nil {
		t.Error("lines about nothing")
	}
	rows := costRows(&adminpb.PluginCost{
		Engine: "compiler", Fuel: 1000000, FuelP50: 120, FuelMost: 900, Memory: 3 << 20, MemoryMax: 32 << 20, Instances: 2,
		LogMax: 1 << 20, LogWaiting: 4, Parked: 1, Grants: []string{"kv", "timer"},
		Metrics: map[string]float64{"in/a b": 12, "rate": 0.5},
		Retries: 3, CompileNs: 2_500_000, CompileCached: true, InstantiateNs: 40_000, Pid: 7, CpuNs: 1_230_000_000, CacheHits: 5, CacheMisses: 6,
		HostCalls: map[string]uint64{"kv": 9, "http": 2},
	})
	for _, want := range [][2]string{
		{"engine", "compiler"}, {"fuel", "120 p50, 900 max, 1000000 a call"}, {"memory", "3.0 MiB of 32 MiB"}, {"grants", "kv, timer"},
		{"compiled in", "2.5ms (from the compilation cache), first guest in 40µs"}, {"cpu", "1.23s"}, {"retries", "3"},
		{"cache", "5 hits, 6 misses"}, {"host calls", "http 2, kv 9"},
		{"metric", "in/a b = 12"}, {"metric", "rate = 0.5"},
		{"log", "4 waiting, 0.0 MiB of 1 MiB, 0 dropped, 0 redelivered"}, {"pending", "1 waiting, 0 overdue, 0 answers lost"},
	} {
		if !slices.Contains(rows, want) {
			t.Errorf("no line %q in %q", want, rows)
		}
	}
}
