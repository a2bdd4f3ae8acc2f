//go:build !wasip1

package main

import "time"

// metric is one thing that is counted of a topic.
type metric int

// What is counted, by EMQ X 4's names (emqx4 §3, emqx_mod_topic_metrics).
const (
	in metric = iota
	out
	dropped
	qos0In
	qos0Out
	qos1In
	qos1Out
	qos2In
	qos2Out
	metrics // how many there are
)

var names = [metrics]string{
	"messages.in", "messages.out", "messages.dropped",
	"messages.qos0.in", "messages.qos0.out", "messages.qos1.in", "messages.qos1.out", "messages.qos2.in", "messages.qos2.out",
}

// window is the time over which a rate is taken: so many ticks of a second.
const window = 5

// sample is what a topic's counters were at a time.
type sample struct {
	at     time.Time
	counts [metrics]uint64
}

// counts are the counters of one topic. Guarded by the plugin's mu.
type counts struct {
	since time.Time // registered, or reset
	now   [metrics]uint64
	rate  [metrics]float64 // a second, over the window before the last tick
	past  [window]sample   // a ring; next is the oldest
	next  int
}

func newCounts(now time.Time) *counts {
	c := &counts{}
	c.reset(now)
	return c
}

// reset begins at zero.
func (c *counts) reset(now time.Time) {
	*c = counts{since: now}
	for i := range c.past {
		c.past[i].at = now
	}
}

// arrived counts a message that was published.
func (c *counts) arrived(qos byte) {
	c.now[in]++
	c.now[qos0In+2*metric(min(qos, 2))]++
}

// left counts a message that was sent to a subscriber; qos is the message's.
func (c *counts) left(qos byte) {
	c.now[out]++
	c.now[qos0Out+2*metric(min(qos, 2))]++
}

// tick renews the rates; it comes once a second. Times that passed otherwise (the
// machine slept, the process waited) are divided by what they were.
func (c *counts) tick(now time.Time) {
	old := &c.past[c.next]
	if span := now.Sub(old.at).Seconds(); span > 0 {
		for m := range c.now {
			c.rate[m] = float64(c.now[m]-old.counts[m]) / span
		}
	}
	*old = sample{at: now, counts: c.now}
	c.next = (c.next + 1) % window
}

// view is what an operator is told of a topic.
type view struct {
	Topic   string             `json:"topic"`
	Since   int64              `json:"since"` // Unix milliseconds: registered, or reset
	Metrics map[string]float64 `json:"metrics"`
}

func (c *counts) view(topic string) view {
	v := view{Topic: topic, Since: c.since.UnixMilli(), Metrics: make(map[string]float64, 2*metrics)}
	for m, name := range names {
		v.Metrics[name+".count"] = float64(c.now[m])
		v.Metrics[name+".rate"] = c.rate[m]
	}
	return v
}
