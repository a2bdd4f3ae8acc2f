package server

import (
	"slices"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/sys"
)

// Every number of a plugin has a name, once, that can be part of a topic name; what a
// plugin does not have is left out.
func TestPluginFigures(t *testing.T) {
	p := plugin.Info{
		Name: "a", Queued: 3, Dropped: 4, Failed: 5, Metrics: map[string]float64{"in/+/#": 1.5, "total": 12},
		CacheHits: 21, CacheMisses: 22,
		Status: plugin.Status{
			Calls: 9, Memory: -1, Fuel: 100, FuelP50: 7, Retries: 13, Engine: "compiler", Compile: 14 * time.Microsecond, CompileCached: true,
			Instantiate: 15 * time.Microsecond, PID: 2, CPU: 160 * time.Millisecond, HostCalls: map[string]uint64{"kv": 17},
		},
		Log:   &plugin.LogInfo{Waiting: 2, Dropped: 1, Missed: 2, GivenUp: 3},
		Costs: []plugin.HookCost{{Hook: "acl", Calls: 6, P99: 1500, Verdicts: map[string]uint64{"deny": 8}}},
	}
	got := counts{}.pluginNumbers([]plugin.Info{p})
	for _, want := range []sys.Named{
		{Name: "a/calls", Word: "9"}, {Name: "a/memory/bytes", Word: "0"}, {Name: "a/fuel/p50", Word: "7"}, {Name: "a/queue/waiting", Word: "3"},
		{Name: "a/queue/dropped", Word: "4"}, {Name: "a/failed", Word: "5"}, {Name: "a/log/dropped", Word: "6"}, {Name: "a/hooks/acl/calls", Word: "6"},
		{Name: "a/hooks/acl/p99_ns", Word: "1500"}, {Name: "a/hooks/acl/verdicts/deny", Word: "8"},
		{Name: "a/retries", Word: "13"}, {Name: "a/engine/compiler", Word: "1"}, {Name: "a/compile/us", Word: "14"}, {Name: "a/compile/cached", Word: "1"},
		{Name: "a/instantiate/us", Word: "15"}, {Name: "a/cpu/ms", Word: "160"}, {Name: "a/host_calls/kv", Word: "17"},
		{Name: "a/cache/hits", Word: "21"}, {Name: "a/cache/misses", Word: "22"},
		{Name: "a/metrics/in/_/_", Word: "1.5"}, {Name: "a/metrics/total", Word: "12"},
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no %v", want)
		}
	}
	names := map[string]bool{}
	for _, n := range got {
		if names[n.Name] {
			t.Errorf("%s twice", n.Name)
		}
		names[n.Name] = true
	}
	less := counts{}.pluginNumbers([]plugin.Info{{Name: "b"}})
	for _, n := range less {
		if n.Name == "b/fuel/limit" || n.Name == "b/log/waiting" || n.Name == "b/compile/us" || n.Name == "b/cpu/ms" {
			t.Errorf("a process without a log has %s", n.Name)
		}
	}
}
