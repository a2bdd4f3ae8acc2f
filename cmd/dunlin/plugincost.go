package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

// costRows are the lines of ctl plugins show about what a plugin costs and holds.
func costRows(c *adminpb.PluginCost) [][2]string {
	if c == nil {
		return nil
	}
	rows := [][2]string{
		{"sha256", c.GetSha256()},
		{"vouched by", c.GetVouched()},
		{"grants", strings.Join(c.GetGrants(), ", ")},
		{"engine", c.GetEngine()},
		{"compiled in", compiled(c)},
		{"instances", fmt.Sprint(c.GetInstances())},
		{"pid", number(uint64(c.GetPid()))},
		{"memory", mebibytes(c.GetMemory(), c.GetMemoryMax())},
		{"queue", fmt.Sprintf("%d waiting, %d dropped", c.GetQueued(), c.GetDropped())},
	}
	if c.GetFuel() > 0 {
		rows = append(rows, [2]string{"fuel", fmt.Sprintf("%d p50, %d max, %d a call", c.GetFuelP50(), c.GetFuelMost(), c.GetFuel())})
	}
	if c.GetPid() > 0 {
		rows = append(rows, [2]string{"cpu", time.Duration(c.GetCpuNs()).String()})
	}
	if n := c.GetRetries(); n > 0 {
		rows = append(rows, [2]string{"retries", fmt.Sprint(n)})
	}
	if c.GetCacheHits()+c.GetCacheMisses() > 0 {
		rows = append(rows, [2]string{"cache", fmt.Sprintf("%d hits, %d misses", c.GetCacheHits(), c.GetCacheMisses())})
	}
	if calls := c.GetHostCalls(); len(calls) > 0 {
		var list []string
		for _, name := range slices.Sorted(maps.Keys(calls)) {
			list = append(list, fmt.Sprintf("%s %d", name, calls[name]))
		}
		rows = append(rows, [2]string{"host calls", strings.Join(list, ", ")})
	}
	if c.GetParked()+c.GetOverdue()+c.GetLost() > 0 {
		rows = append(rows, [2]string{"pending", fmt.Sprintf("%d waiting, %d overdue, %d answers lost", c.GetParked(), c.GetOverdue(), c.GetLost())})
	}
	if c.GetLogMax() > 0 {
		rows = append(rows, [2]string{"log", fmt.Sprintf("%d waiting, %s, %d dropped, %d redelivered",
			c.GetLogWaiting(), mebibytes(c.GetLogBytes(), c.GetLogMax()), c.GetLogDropped(), c.GetRedelivered())})
	}
	for _, name := range slices.Sorted(maps.Keys(c.GetMetrics())) {
		rows = append(rows, [2]string{"metric", name + " = " + strconv.FormatFloat(c.GetMetrics()[name], 'f', -1, 64)})
	}
	return rows
}

// compiled tells how long it took to make a module ready.
func compiled(c *adminpb.PluginCost) string {
	if c.GetEngine() == "" {
		return ""
	}
	text := time.Duration(c.GetCompileNs()).Round(time.Microsecond).String()
	if c.GetCompileCached() {
		text += " (from the compilation cache)"
	}
	return text + ", first guest in " + time.Duration(c.GetInstantiateNs()).Round(time.Microsecond).String()
}

// number writes n unless it is 0.
func number(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// mebibytes writes bytes and the most there may be.
func mebibytes(n, most int64) string {
	text := fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	if most > 0 {
		text += fmt.Sprintf(" of %.0f MiB", float64(most)/(1<<20))
	}
	return text
}

// hookCost is a line of ctl plugins top.
type hookCost struct {
	Plugin   string            `json:"plugin"`
	Hook     string            `json:"hook"`
	Calls    float64           `json:"calls_per_second"`
	Records  float64           `json:"records_per_second"`
	Verdicts map[string]uint64 `json:"verdicts"` // since it was loaded
	Faults   uint64            `json:"faults"`   // since it was loaded
	P50      float64           `json:"p50_us"`
	P99      float64           `json:"p99_us"`
	Time     float64           `json:"time_ms_per_second"` // in calls of the hook, about
	CPU      *float64          `json:"cpu_ms_per_second"`  // of the whole plugin; null: unknown
	Fuel     uint64            `json:"fuel_p50"`
	Memory   int64             `json:"memory_bytes"`
	Queue    uint64            `json:"queue"` // of the plugin: to observe and to consume
}

// pluginsTop shows what the plugins cost now.
func (a *app) pluginsTop() *cobra.Command {
	var form output
	interval := time.Second
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show what each hook of each plugin costs now, the dearest first",
		Long: "Show what each hook of each plugin costs now, the dearest first.\n\n" +
			"TIME is how much of each second calls of the hook take, about: one call in eight is timed.\n" +
			"For a process that is mostly waiting for it, which calls do at the same time. CPU is of the\n" +
			"whole plugin, as a share of one processor: for a module the sum of TIME over its hooks, as\n" +
			"guests run on the broker's threads; for a process what the system has counted (Linux).",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows, err := a.measurePlugins(cmd.Context(), interval)
			if err != nil {
				return err
			}
			if form == outputJSON {
				return a.json(rows)
			}
			return a.showCosts(rows)
		},
	}
	cmd.Flags().DurationVar(&interval, "interval", interval, "how long to measure calls and records a second")
	form.flag(cmd)
	return cmd
}

// measurePlugins asks twice.
func (a *app) measurePlugins(ctx context.Context, interval time.Duration) ([]hookCost, error) {
	before, err := a.plugins(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	t := time.NewTimer(max(interval, 10*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	after, err := a.plugins(ctx)
	if err != nil {
		return nil, err
	}
	return hookCosts(before, after, time.Since(began)), nil
}

// hookCosts makes the lines of two answers that are some time apart.
func hookCosts(before, after []*adminpb.Plugin, apart time.Duration) []hookCost {
	old := map[[2]string]*adminpb.PluginHookCost{}
	cpu := map[string]*adminpb.PluginCost{}
	for _, p := range before {
		cpu[p.GetName()] = p.GetCost()
		for _, h := range p.GetCost().GetHooks() {
			old[[2]string{p.GetName(), h.GetHook()}] = h
		}
	}
	rate := func(now, then uint64) float64 {
		if now < then { // loaded anew meanwhile
			then = 0
		}
		return float64(now-then) / apart.Seconds()
	}
	rows := []hookCost{}
	for _, p := range after {
		c := p.GetCost()
		spent := new(float64)
		for _, h := range c.GetHooks() {
			o := old[[2]string{p.GetName(), h.GetHook()}]
			r := hookCost{
				Plugin: p.GetName(), Hook: h.GetHook(), Verdicts: h.GetVerdicts(), Faults: h.GetFaults(),
				Calls: rate(h.GetCalls(), o.GetCalls()), Records: rate(h.GetRecords(), o.GetRecords()),
				P50: float64(h.GetP50Ns()) / 1e3, P99: float64(h.GetP99Ns()) / 1e3,
				Fuel: c.GetFuelP50(), Memory: c.GetMemory(), Queue: c.GetQueued() + c.GetLogWaiting(),
			}
			if r.Verdicts == nil {
				r.Verdicts = map[string]uint64{}
			}
			if h.GetCalls() >= o.GetCalls() && h.GetTookNs() < o.GetTookNs() {
				o = h // what is estimated may fall
			}
			r.Time = rate(h.GetTookNs(), o.GetTookNs()) / 1e6
			*spent += r.Time
			r.CPU = spent
			rows = append(rows, r)
		}
		if c.GetPid() > 0 { // its calls take the time of waiting, too
			*spent = rate(c.GetCpuNs(), cpu[p.GetName()].GetCpuNs()) / 1e6
			if c.GetCpuNs() == 0 {
				for i := range rows {
					if rows[i].CPU == spent {
						rows[i].CPU = nil
					}
				}
			}
		}
	}
	slices.SortStableFunc(rows, func(x, y hookCost) int { return cmp.Compare(y.Time, x.Time) })
	return rows
}

func (a *app) showCosts(rows []hookCost) error {
	table := [][]string{{"PLUGIN", "HOOK", "CALLS/S", "RECORDS/S", "P50", "P99", "TIME", "CPU", "FUEL", "MEMORY", "QUEUE", "FAULTS", "VERDICTS"}}
	for _, r := range rows {
		var verdicts []string
		for _, name := range []string{"allow", "deny", "next", "drop", "rewrite", "continue", "pending"} {
			if n := r.Verdicts[name]; n > 0 {
				verdicts = append(verdicts, fmt.Sprintf("%s=%d", name, n))
			}
		}
		table = append(table, []string{
			r.Plugin, r.Hook, fmt.Sprintf("%.0f", r.Calls), fmt.Sprintf("%.0f", r.Records), micros(r.P50), micros(r.P99), share(&r.Time), share(r.CPU),
			fmt.Sprint(r.Fuel), mebibytes(r.Memory, 0), fmt.Sprint(r.Queue), fmt.Sprint(r.Faults), strings.Join(verdicts, " "),
		})
	}
	return a.table(table, func(int, int) color { return plain })
}

// share writes milliseconds a second as a share of one processor.
func share(ms *float64) string {
	if ms == nil {
		return "?"
	}
	return fmt.Sprintf("%.1f%%", *ms/10)
}

// micros writes microseconds.
func micros(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.1fms", v/1000)
	}
	return fmt.Sprintf("%.1fus", v)
}

// costJSON is what a plugin costs and holds, for scripts.
type costJSON struct {
	Engine      string   `json:"engine,omitempty"`
	Fuel        uint64   `json:"fuel"`
	FuelP50     uint64   `json:"fuel_p50"`
	FuelMax     uint64   `json:"fuel_max"`
	Memory      int64    `json:"memory_bytes"`
	MemoryMax   int64    `json:"memory_max_bytes"`
	Instances   uint32   `json:"instances"`
	PID         uint32   `json:"pid,omitempty"`
	Queued      uint64   `json:"queued"`
	Dropped     uint64   `json:"dropped"`
	Pending     uint64   `json:"pending"`
	Overdue     uint64   `json:"overdue"`
	LogWaiting  uint64   `json:"log_waiting"`
	LogBytes    int64    `json:"log_bytes"`
	LogMax      int64    `json:"log_max_bytes"`
	LogDropped  uint64   `json:"log_dropped"`
	Redelivered uint64   `json:"redelivered"`
	Grants      []string `json:"grants"`
	SHA256      string   `json:"sha256"`
	Vouched     string   `json:"vouched_for_by"`
	Retries     uint64   `json:"retries"`
	Compile     uint64   `json:"compile_ns"`
	FromCache   bool     `json:"compile_cached"`
	Instantiate uint64   `json:"instantiate_ns"`
	CPU         uint64   `json:"cpu_ns"`
	CacheHits   uint64   `json:"cache_hits"`
	CacheMisses uint64   `json:"cache_misses"`

	HostCalls map[string]uint64 `json:"host_calls"` // by capability

	Metrics map[string]float64 `json:"metrics"` // the plugin's own
}

func toCostJSON(c *adminpb.PluginCost) costJSON {
	grants, numbers := c.GetGrants(), c.GetMetrics()
	if grants == nil {
		grants = []string{}
	}
	if numbers == nil {
		numbers = map[string]float64{}
	}
	calls := c.GetHostCalls()
	if calls == nil {
		calls = map[string]uint64{}
	}
	return costJSON{
		Engine: c.GetEngine(), Fuel: c.GetFuel(), FuelP50: c.GetFuelP50(), FuelMax: c.GetFuelMost(), Memory: c.GetMemory(), MemoryMax: c.GetMemoryMax(),
		Instances: c.GetInstances(), PID: c.GetPid(), Queued: c.GetQueued(), Dropped: c.GetDropped(), Pending: c.GetParked(), Overdue: c.GetOverdue(),
		LogWaiting: c.GetLogWaiting(), LogBytes: c.GetLogBytes(), LogMax: c.GetLogMax(), LogDropped: c.GetLogDropped(), Redelivered: c.GetRedelivered(),
		Grants: grants, SHA256: c.GetSha256(), Vouched: c.GetVouched(), Metrics: numbers,
		Retries: c.GetRetries(), Compile: c.GetCompileNs(), FromCache: c.GetCompileCached(), Instantiate: c.GetInstantiateNs(), CPU: c.GetCpuNs(),
		CacheHits: c.GetCacheHits(), CacheMisses: c.GetCacheMisses(), HostCalls: calls,
	}
}
