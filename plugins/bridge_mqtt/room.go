//go:build !wasip1

package main

import (
	"slices"
	"sync"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// overflow is how far a queue may be above its bound: what this broker has taken
// before its publishers were refused goes there and holds up nobody. It is what the
// plugin's log may hold.
const overflow = 256 << 20

// limit is the bound of the queue on the disk.
func (s *settings) limit() int64 {
	if s.QueueFull == "drop" {
		return s.QueueBytes
	}
	return s.QueueBytes + overflow
}

// fills tells whether the bridge has become full, or is so no more: below 7/8.
func (b *bridge) fills() (changed bool) {
	if b.set.QueueFull == "drop" {
		return false
	}
	_, size := b.queue.Len()
	if b.full.Load() {
		return size <= b.set.QueueBytes-b.set.QueueBytes/8 && b.full.CompareAndSwap(true, false)
	}
	return size >= b.set.QueueBytes && b.full.CompareAndSwap(false, true)
}

// room keeps the broker informed of the topics that there is no room for.
type room struct {
	mu      sync.Mutex
	told    bool     // guarded by mu
	refused []string // guarded by mu
}

// tell refuses what is for bridges of the set that are full, to its publishers. It is
// for any goroutine.
func (r *room) tell(all *bridges) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, b := range all.list {
		if !b.full.Load() || !b.on.Load() {
			continue
		}
		for i := range b.set.Topics {
			if t := &b.set.Topics[i]; t.out() {
				list = append(list, t.local())
			}
		}
	}
	if r.told && slices.Equal(list, r.refused) {
		return
	}
	if err := sdk.Refuse(contract.HookMessage, list); err != nil {
		r.told = false // with the next frame
		return
	}
	r.told, r.refused = true, list
	if len(list) > 0 {
		sdk.Log(sdk.Warn, "queues of bridges are full: publishers are refused for "+quoteAll(list))
	}
}

func quoteAll(list []string) string {
	text := ""
	for i, s := range list {
		if i > 0 {
			text += ", "
		}
		text += quote(s)
	}
	return text
}
