package main

import (
	"errors"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
)

// exports are the counters that the broker shows as the plugin's metrics. The broker
// keeps metrics while guests come and go: one takes away what the one before it has
// left of topics that are not counted any more.
type exports struct {
	shown map[string]*shown
}

// shown is what the broker has of one topic.
type shown struct {
	counts [metrics]uint64
	known  [metrics]bool // the broker has it from this guest
}

// left says that the broker has metrics of a topic from before.
func (x *exports) left(topic string) {
	if x.shown == nil {
		x.shown = map[string]*shown{}
	}
	if x.shown[topic] == nil {
		x.shown[topic] = &shown{}
	}
}

// metricName is the name of a topic's counter among the plugin's metrics.
func metricName(m metric, topic string) string { return names[m] + ".count/" + topic }

// show makes the metrics those of current. What the broker does not take is tried
// again by the next call.
func (x *exports) show(current map[string][metrics]uint64) {
	for t := range x.shown {
		if _, ok := current[t]; !ok && x.remove(t) {
			delete(x.shown, t)
		}
	}
	for t, counts := range current {
		x.left(t)
		s := x.shown[t]
		for m, n := range counts {
			if s.known[m] && s.counts[m] == n {
				continue
			}
			if err := sdk.Measure(metricName(metric(m), t), float64(n)); err != nil {
				return
			}
			s.known[m], s.counts[m] = true, n
		}
	}
}

// remove tells whether the broker has no metric of the topic any more.
func (x *exports) remove(t string) bool {
	for m := range metrics {
		if err := sdk.RemoveMetric(metricName(m, t)); err != nil && !errors.Is(err, sdk.ErrNotFound) {
			return false
		}
	}
	return true
}
