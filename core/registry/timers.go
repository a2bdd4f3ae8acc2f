package registry

import (
	"container/heap"
	"sync"
	"time"
)

// timers is when offline clients have something due, earliest first, one place
// a client. Lock order: Client.mu, then timers.mu.
type timers struct {
	changed chan struct{} // the earliest time has changed; capacity 1

	mu sync.Mutex
	h  timerHeap // guarded by mu
}

// timer is a client's one place in the heap. It belongs to timers.
type timer struct {
	at    int64
	index int // in the heap, from 1; 0: not in it
}

// set makes c due at a time, Unix nanoseconds, in place of an earlier set; 0:
// never. It does not block and may be called with c's lock held.
func (t *timers) set(c *Client, at int64) {
	t.mu.Lock()
	c.timer.at = at
	switch {
	case at == 0 && c.timer.index != 0:
		heap.Remove(&t.h, c.timer.index-1)
	case at == 0:
	case c.timer.index != 0:
		heap.Fix(&t.h, c.timer.index-1)
	default:
		heap.Push(&t.h, c)
	}
	first := at != 0 && t.h[0] == c
	t.mu.Unlock()
	if first {
		select {
		case t.changed <- struct{}{}:
		default:
		}
	}
}

// untilNext is the time to wait from now; an hour when nothing is due.
func (t *timers) untilNext(now int64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.h) == 0 {
		return time.Hour
	}
	return max(0, min(time.Duration(t.h[0].timer.at-now), time.Hour))
}

// due takes the clients whose time has come.
func (t *timers) due(now int64) (cs []*Client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.h) > 0 && t.h[0].timer.at <= now {
		cs = append(cs, heap.Pop(&t.h).(*Client))
	}
	return cs
}

type timerHeap []*Client

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].timer.at < h[j].timer.at }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].timer.index, h[j].timer.index = i+1, j+1
}

// Push implements heap.Interface.
func (h *timerHeap) Push(x any) {
	c := x.(*Client)
	*h = append(*h, c)
	c.timer.index = len(*h)
}

// Pop implements heap.Interface.
func (h *timerHeap) Pop() any {
	old := *h
	n := len(old) - 1
	c := old[n]
	old[n], *h = nil, old[:n]
	c.timer.index = 0
	return c
}
