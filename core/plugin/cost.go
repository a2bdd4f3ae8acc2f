package plugin

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Histogram counts values in steps of a quarter of an octave, so that a quantile is
// right to about a tenth. Safe for concurrent use.
type Histogram struct{ counts [64 * 4]atomic.Uint64 }

// Add counts one value.
func (h *Histogram) Add(v uint64) { h.counts[step(v)].Add(1) }

// step is the place of v.
func step(v uint64) int {
	if v < 4 {
		return int(v)
	}
	n := bits.Len64(v) - 1
	return n*4 + int(v>>(n-2))&3
}

// middle is a value of the step i.
func middle(i int) uint64 {
	if i < 4 {
		return uint64(i)
	}
	n := i / 4
	return 1<<n + uint64(i%4)<<(n-2) + 1<<(n-2)/2
}

// Quantile is a value above which the share 1-q of the values lie, about; 0 without
// values.
func (h *Histogram) Quantile(q float64) uint64 {
	var all uint64
	for i := range h.counts {
		all += h.counts[i].Load()
	}
	rest := uint64(q * float64(all))
	for i := range h.counts {
		n := h.counts[i].Load()
		if n > rest {
			return middle(i)
		}
		rest -= n
	}
	return 0
}

// cost is what one hook of a plugin has cost since it was loaded.
type cost struct {
	calls, records, faults atomic.Uint64
	verdicts               [7]atomic.Uint64 // by action
	took                   Histogram        // nanoseconds of a call; one of timedEach
	timed, timedFor        atomic.Uint64    // calls that were timed, and nanoseconds that they took
}

// timedEach says that one call of so many is timed: reading the clock twice would
// cost a module's call a fifth more.
const timedEach = 8

// HookCost is what one hook of a plugin has cost.
type HookCost struct {
	Hook                   string
	Calls, Records, Faults uint64
	Verdicts               map[string]uint64 // by action; only those that occurred
	P50, P99               time.Duration     // of a call, sampled
	Took                   time.Duration     // of all calls together, by those that were sampled
}

// took is how long calls have taken, of which some were timed.
func took(calls, timed, timedFor uint64) time.Duration {
	if timed == 0 {
		return 0
	}
	return time.Duration(float64(timedFor) / float64(timed) * float64(calls))
}

// costOf is the counters of a hook; made by bind.
func (p *loaded) costOf(k contract.Hook) *cost { return p.costs[k].Load() }

// count prepares the counters of the hooks of v.
func (p *loaded) count(v *version) {
	for _, k := range contract.Hooks() {
		if v.set.Has(k) {
			p.costs[k].CompareAndSwap(nil, new(cost))
		}
	}
}

// begin counts a call and tells when it began, if it is one that is timed.
func (c *cost) begin() (start time.Time) {
	if c.calls.Add(1)%timedEach == 1 {
		start = time.Now()
	}
	return start
}

// end times the call that begin began.
func (c *cost) end(start time.Time) {
	if !start.IsZero() {
		d := uint64(time.Since(start))
		c.took.Add(d)
		c.timedFor.Add(d)
		c.timed.Add(1)
	}
}

// decided counts the verdicts of a call, which n holds by action, and clears n.
func (c *cost) decided(n *[7]uint32) {
	for a := range n {
		if n[a] > 0 {
			c.verdicts[a].Add(uint64(n[a]))
			n[a] = 0
		}
	}
}

// costs tells of all hooks of p that were ever bound.
func (p *loaded) costList() (list []HookCost) {
	for _, k := range contract.Hooks() {
		c := p.costOf(k)
		if c == nil {
			continue
		}
		h := HookCost{
			Hook: k.String(), Calls: c.calls.Load(), Records: c.records.Load(), Faults: c.faults.Load(), Verdicts: map[string]uint64{},
			P50: time.Duration(c.took.Quantile(0.5)), P99: time.Duration(c.took.Quantile(0.99)),
			Took: took(c.calls.Load(), c.timed.Load(), c.timedFor.Load()),
		}
		for a := range c.verdicts {
			if n := c.verdicts[a].Load(); n > 0 {
				h.Verdicts[contract.Action(a).String()] = n
			}
		}
		list = append(list, h)
	}
	return list
}
