//go:build !wasip1

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
)

// exports are the counters that the broker shows as the plugin's metrics. The broker
// keeps metrics while processes come and go, so a file says which topics have some:
// a process takes away what the one before it has left. Owned by one goroutine.
type exports struct {
	file  string // "": none
	shown map[string]*shown
}

// shown is what the broker has of one topic.
type shown struct {
	counts [metrics]uint64
	known  [metrics]bool // the broker has it from this process
}

// exportsFile holds the topics that have metrics, as a JSON list.
const exportsFile = "topics.json"

// load reads which topics have metrics from before. A file that is missing or broken
// leaves metrics of old topics until the plugin is unloaded, no more.
func (x *exports) load(dir string) {
	x.shown = map[string]*shown{}
	if dir == "" {
		return
	}
	x.file = filepath.Join(dir, exportsFile)
	text, err := os.ReadFile(x.file)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	var list []string
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		sdk.Log(sdk.Warn, "metrics of topics that are not registered any more may stay until the plugin is unloaded: "+err.Error())
	}
	for _, t := range list {
		x.shown[t] = &shown{}
	}
}

// metricName is the name of a topic's counter among the plugin's metrics.
func metricName(m metric, topic string) string { return names[m] + ".count/" + topic }

// show makes the metrics those of current. What the broker does not take is tried
// again by the next call.
func (x *exports) show(current map[string][metrics]uint64) {
	x.note(current)
	for t := range x.shown {
		if _, ok := current[t]; !ok && x.remove(t) {
			delete(x.shown, t)
		}
	}
	for t, counts := range current {
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

// note writes new topics down before they have metrics.
func (x *exports) note(current map[string][metrics]uint64) {
	fresh := false
	for t := range current {
		if x.shown[t] == nil {
			x.shown[t], fresh = &shown{}, true
		}
	}
	if !fresh || x.file == "" {
		return
	}
	list := make([]string, 0, len(x.shown))
	for t := range x.shown {
		list = append(list, t)
	}
	text, err := json.Marshal(list)
	if err == nil {
		err = os.WriteFile(x.file, text, 0o600)
	}
	if err != nil {
		sdk.Log(sdk.Warn, fmt.Sprintf("%s: %v", exportsFile, err))
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
