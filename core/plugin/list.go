package plugin

import (
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Info is what List tells of one loaded plugin.
type Info struct {
	Name        string
	Version     string
	Description string
	Kind        string // "wasm" or "process"
	SHA256      string
	Hooks       []string // in the order of their numbers
	Grants      []string // capabilities in use
	Status      Status
	Failed      uint64             // records that the on_error policy answered, or observe records lost in a fault
	Looped      uint64             // publications refused because of event.MaxHops
	Dropped     uint64             // observe records dropped because the queue was full or the plugin failed
	Queued      int                // observe records that wait
	Parked      int                // events whose verdict comes later
	Overdue     uint64             // events refused because it did not come
	Lost        uint64             // answers that their guests did not live to see
	Metrics     map[string]float64 // the plugin's own
}

// List tells of the loaded plugins in chain order.
func (m *Manager) List() []Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Info, 0, len(m.plugins))
	for _, p := range m.plugins {
		v := p.cur.Load()
		info := Info{
			Name: p.name, Version: v.spec.Manifest.Version, Description: v.spec.Manifest.Description, Kind: v.kind,
			SHA256: v.spec.SHA256, Grants: v.spec.Manifest.Capabilities, Status: v.inst.Status(), Failed: p.faults.Load(),
			Looped: p.loops.Load(), Dropped: p.queue.dropped.Load(), Queued: p.queue.size(),
			Parked: v.parked.count(), Overdue: p.overdue.Load(), Lost: p.lost.Load(), Metrics: m.extra[p.name].numbers.copy(),
		}
		for _, k := range contract.Hooks() {
			if v.set.Has(k) {
				info.Hooks = append(info.Hooks, k.String())
			}
		}
		list = append(list, info)
	}
	return list
}

// size is the number of records that wait.
func (q *queue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting()
}
