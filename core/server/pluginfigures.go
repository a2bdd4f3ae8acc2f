package server

import (
	"strconv"
	"strings"

	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/sys"
)

// pluginFigure is one number of a plugin; its name has parts.
type pluginFigure struct {
	name  []string
	value uint64
}

// pluginFigures are what a plugin costs and holds. Counters grow from when it was
// loaded; the names are in docs/metrics.md.
func pluginFigures(p *plugin.Info) (list []pluginFigure) {
	add := func(value uint64, name ...string) { list = append(list, pluginFigure{name, value}) }
	s := &p.Status
	add(s.Calls, "calls")
	add(s.Records, "records")
	add(s.Faults, "faults")
	add(s.Restarts, "restarts")
	add(s.Retries, "retries")
	add(p.Failed, "failed")
	add(p.Looped, "looped")
	add(uint64(s.Instances), "instances")
	add(uint64(max(0, s.Memory)), "memory", "bytes")
	add(uint64(max(0, s.MemoryMax)), "memory", "max_bytes")
	if s.Fuel > 0 {
		add(s.Fuel, "fuel", "limit")
		add(s.FuelP50, "fuel", "p50")
		add(s.FuelMost, "fuel", "max")
	}
	if s.Engine != "" {
		add(1, "engine", s.Engine)
		add(uint64(s.Compile.Microseconds()), "compile", "us")
		add(flag(s.CompileCached), "compile", "cached")
		add(uint64(s.Instantiate.Microseconds()), "instantiate", "us")
	}
	if s.PID > 0 {
		add(uint64(s.CPU.Milliseconds()), "cpu", "ms")
	}
	for capability, n := range s.HostCalls {
		add(n, "host_calls", capability)
	}
	add(p.CacheHits, "cache", "hits")
	add(p.CacheMisses, "cache", "misses")
	add(uint64(max(0, p.Queued)), "queue", "waiting")
	add(p.Dropped, "queue", "dropped")
	add(uint64(max(0, p.Parked)), "pending", "waiting")
	add(p.Overdue, "pending", "overdue")
	add(p.Lost, "pending", "answers_lost")
	if l := p.Log; l != nil {
		add(l.Waiting, "log", "waiting")
		add(uint64(max(0, l.Bytes)), "log", "bytes")
		add(uint64(max(0, l.Max)), "log", "max_bytes")
		add(l.Dropped+l.Missed+l.GivenUp, "log", "dropped")
		add(l.Redelivered, "log", "redelivered")
	}
	for i := range p.Costs {
		c := &p.Costs[i]
		add(c.Calls, "hooks", c.Hook, "calls")
		add(c.Records, "hooks", c.Hook, "records")
		add(c.Faults, "hooks", c.Hook, "faults")
		add(uint64(c.P50), "hooks", c.Hook, "p50_ns")
		add(uint64(c.P99), "hooks", c.Hook, "p99_ns")
		for action, n := range c.Verdicts {
			add(n, "hooks", c.Hook, "verdicts", action)
		}
	}
	return list
}

// flag is 1 for true.
func flag(is bool) uint64 {
	if is {
		return 1
	}
	return 0
}

// pluginFigures are those of all loaded plugins, for ctl.
func (k facts) pluginFigures() (list []*adminpb.Figure) {
	for _, p := range k.s.plugins.List() {
		for _, f := range pluginFigures(&p) {
			list = append(list, &adminpb.Figure{Name: p.Name + "." + strings.Join(f.name, "."), Value: int64(f.value)})
		}
	}
	return list
}

// notInTopics are the characters of a metric's name that a topic name may not have.
var notInTopics = strings.NewReplacer("+", "_", "#", "_")

// pluginNumbers are the same for $SYS, and the plugins' own.
func (c counts) pluginNumbers(plugins []plugin.Info) (list []sys.Named) {
	for i := range plugins {
		p := &plugins[i]
		for _, f := range pluginFigures(p) {
			list = append(list, sys.Named{Name: p.Name + "/" + strings.Join(f.name, "/"), Word: strconv.FormatUint(f.value, 10)})
		}
		for name, v := range p.Metrics {
			list = append(list, sys.Named{Name: p.Name + "/metrics/" + notInTopics.Replace(name), Word: strconv.FormatFloat(v, 'f', -1, 64)})
		}
	}
	return list
}
