package plugin

import (
	"maps"
	"math"
	"sync"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// maxNumbers bounds the names of one plugin: a dozen for each of 512 topics, and
// some. With the longest names that is 4 MiB.
const maxNumbers = 8192

// numbers are a plugin's own counters and gauges: its [Metrics]. They outlive its
// versions.
type numbers struct {
	mu     sync.Mutex
	values map[string]float64 // guarded by mu
}

// Add adds to a counter, sets a gauge or removes either.
func (n *numbers) Add(name string, kind int32, v float64) error {
	if !contract.ValidMetricName(name) || math.IsNaN(v) || math.IsInf(v, 0) {
		return contract.ErrnoInvalid
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	old, known := n.values[name]
	switch kind {
	case contract.MetricRemove:
		if !known {
			return contract.ErrnoNotFound
		}
		delete(n.values, name)
		return nil
	case contract.MetricCounter:
		v += old
	case contract.MetricGauge:
	default:
		return contract.ErrnoInvalid
	}
	if !known && len(n.values) >= maxNumbers {
		return contract.ErrnoQuota
	}
	if n.values == nil {
		n.values = map[string]float64{}
	}
	n.values[name] = v
	return nil
}

// copy returns the present values.
func (n *numbers) copy() map[string]float64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.values)
}
