package plugintool

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Cost is what a record costs in frames of one size.
type Cost struct {
	Hook      string  `json:"hook"`
	Batch     int     `json:"records_per_frame"`
	Nanos     float64 `json:"ns_per_record"` // median of seven runs, whole call: host and plugin
	Fuel      float64 `json:"fuel_per_record,omitempty"`
	Allocs    float64 `json:"host_allocs_per_frame"`
	Megabytes float64 `json:"mb_per_instance"`
}

// batches are the sizes that are measured; the last one for processes alone.
var batches = []int{1, 8, 64, 512}

// Bench measures each hook of the plugin with the records of a scenario (nil:
// made-up ones); each measurement takes about the time given.
func (t *Target) Bench(ctx context.Context, s *Scenario, each time.Duration) (costs []Cost, err error) {
	run, err := t.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, run.Close(context.WithoutCancel(ctx))) }()
	samples, err := run.samplesOf(s)
	if err != nil {
		return nil, err
	}
	for _, k := range contract.Hooks() {
		list := samples[k]
		if _, named := run.Fields(k); !named || len(list) == 0 {
			continue
		}
		for _, n := range batches {
			if n > run.host.MaxRecords() {
				continue
			}
			c, err := run.cost(ctx, k, frames(list, n), each)
			if err != nil {
				return nil, err
			}
			c.Batch = n
			c.Nanos /= float64(n)
			c.Fuel /= float64(n)
			costs = append(costs, c)
		}
	}
	return costs, nil
}

// cost measures calls with one frame.
func (r *Run) cost(ctx context.Context, k contract.Hook, frame []byte, each time.Duration) (Cost, error) {
	c := &plugin.Call{}
	records := store{r.Services}
	n := 0
	for rest := frame; len(rest) > 0; n++ {
		var err error
		if _, rest, err = contract.Split(rest); err != nil {
			return Cost{}, err
		}
	}
	call := func() error {
		c.Reset()
		c.Hook, c.Observe, c.Frame, c.N, c.Key, c.Records = k, k.Class() == contract.Observe, frame, n, 1, records
		r.lobby.Let(c)
		defer r.lobby.Leave(c)
		if err := r.Call(ctx, c); err != nil {
			return err
		}
		return r.settle(ctx, maxRounds)
	}
	const runs = 7
	var nanos []float64
	calls, allocs := 0, uint64(0)
	for range runs {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin, done := time.Now(), 0
		for time.Since(begin) < each/runs {
			for range 16 {
				if err := call(); err != nil {
					return Cost{}, err
				}
				done++
			}
		}
		nanos = append(nanos, float64(time.Since(begin))/float64(done))
		runtime.ReadMemStats(&after)
		calls, allocs = calls+done, allocs+after.Mallocs-before.Mallocs
		r.Services.takePublished()
		r.Services.takeKept()
	}
	slices.Sort(nanos)
	out := Cost{Hook: k.String(), Nanos: nanos[runs/2], Allocs: float64(allocs / uint64(calls)), Megabytes: float64(r.Status().Memory) / (1 << 20)}
	if p, ok := r.instance.(interface {
		Raw(context.Context, []byte, int) ([]byte, int64, error)
	}); ok {
		_, fuel, err := p.Raw(ctx, frame, n)
		if err != nil {
			return Cost{}, err
		}
		out.Fuel = float64(fuel)
	}
	return out, nil
}
