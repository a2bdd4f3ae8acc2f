package main

import (
	"strconv"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

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
	c.begin(now)
}

// begin has the rates start from what is counted by now.
func (c *counts) begin(now time.Time) {
	for i := range c.past {
		c.past[i] = sample{at: now, counts: c.now}
	}
}

// arrived counts a message that was published.
func (c *counts) arrived(qos byte) {
	c.now[in]++
	c.now[qos0In+2*metric(min(qos, 2))]++
}

// left counts a message that was sent to a subscriber with that QoS, which its
// subscription may have lowered.
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

// appendJSON appends what an operator is told of a topic: its name, since when it is
// counted (Unix milliseconds), its counts and rates.
func (c *counts) appendJSON(out []byte, topic string) []byte {
	out = flatjson.AppendString(append(out, `{"topic":`...), topic)
	out = strconv.AppendInt(append(out, `,"since":`...), c.since.UnixMilli(), 10)
	out = append(out, `,"metrics":{`...)
	for m, name := range names {
		if m > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), name...), `.count":`...)
		out = strconv.AppendUint(out, c.now[m], 10)
		out = append(append(append(out, `,"`...), name...), `.rate":`...)
		out = strconv.AppendFloat(out, c.rate[m], 'f', -1, 64)
	}
	return append(out, "}}"...)
}
