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
	Vouched     string   // who vouches for its files, in words
	Hooks       []string // in the order of their numbers
	Grants      []string // capabilities in use
	Status      Status
	Costs       []HookCost
	Failed      uint64             // records that the on_error policy answered, or observe records lost in a fault
	Looped      uint64             // publications refused because of event.MaxHops
	Dropped     uint64             // observe records dropped because the queue was full or the plugin failed
	Queued      int                // observe records that wait
	Parked      int                // events whose verdict comes later
	Overdue     uint64             // events refused because it did not come
	Log         *LogInfo           // of the class consume; nil: none
	Lost        uint64             // answers that their guests did not live to see
	CacheHits   uint64             // acl checks that remembered answers decided, see event.Plugin.Remembered
	CacheMisses uint64             // and those that they did not
	Metrics     map[string]float64 // the plugin's own
}

// LogInfo is how far a plugin of the class consume has come.
type LogInfo struct {
	Waiting     uint64 // records that are not done
	Bytes, Max  int64  // of them; and how many there may be
	Dropped     uint64 // records that had to make room for newer ones
	Missed      uint64 // QoS 0 messages that a full log did not take
	GivenUp     uint64 // records that on_error = "drop" gave up
	Redelivered uint64 // records that were handed over more than once
}

// info tells of the log.
func (c *consumer) info() *LogInfo {
	if c == nil {
		return nil
	}
	s := c.log.State()
	return &LogInfo{Waiting: s.Last + 1 - s.First, Bytes: s.Bytes, Max: s.Max, Dropped: s.Dropped, Missed: c.missed.Load(), GivenUp: c.gone.Load(), Redelivered: c.again.Load()}
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
			SHA256: v.spec.SHA256, Vouched: v.vouched, Grants: v.spec.Manifest.Capabilities, Status: v.inst.Status(), Costs: p.costList(), Failed: p.faults.Load(),
			Looped: p.loops.Load(), Dropped: p.queue.dropped.Load(), Queued: p.queue.size(),
			Parked: v.parked.count(), Overdue: p.overdue.Load(), Lost: p.lost.Load(), Log: p.consumer.Load().info(), Metrics: m.extra[p.name].numbers.copy(),
		}
		info.CacheHits, info.CacheMisses = p.party.Remembered()
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
