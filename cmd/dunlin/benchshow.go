package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/dunlinmq/dunlin/bench/load"
)

// grouped writes a number with commas: 1,234,567.
func grouped(f float64) string {
	s := strconv.FormatFloat(f, 'f', 0, 64)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// showBench prints what a person wants of a result first. Wide: all of it.
func (a *app) showBench(r *load.Result, wide bool) error {
	rows := [][]string{{"FIGURE", "VALUE"}}
	row := func(show bool, name, format string, args ...any) {
		if show {
			rows = append(rows, []string{name, fmt.Sprintf(format, args...)})
		}
	}
	what := map[load.Kind]string{load.Conn: "until ready", load.Pub: "until acknowledged", load.Storm: "of a cycle"}[r.Kind]
	if what == "" {
		what = "of the delivery"
	}
	messages := r.Kind != load.Conn && r.Kind != load.Storm
	row(true, "measured", "%.1f s, MQTT %s by %s", r.Seconds, r.Version, r.Layers)
	row(r.Kind != load.Storm, "clients ready", "%d of %d", r.Ready, r.Clients)
	row(r.Kind == load.Conn || wide && r.Kind != load.Storm, "connected", "%s a second, in %.2f s", grouped(r.PerSecond), r.RampSeconds)
	row(r.Failed > 0, "failed", "%d", r.Failed)
	row(r.Closed > 0, "closed by the broker", "%d", r.Closed)
	row(r.Kind == load.Storm, "cycles", "%s a second, %d in all", grouped(r.CyclesPerSecond), r.Cycles)
	row(messages && r.Kind != load.Sub, "sent", "%s a second, %d in all", grouped(r.SentPerSecond), r.Sent)
	row(messages && r.Kind != load.Pub, "received", "%s a second, %d in all", grouped(r.ReceivedPerSecond), r.Received)
	row(messages, "lost, out of order, twice", "%d, %d, %d", r.Lost, r.OutOfOrder, r.Duplicates)
	row(r.Refused > 0, "refused", "%d", r.Refused)
	row(r.Foreign > 0, "of others, or too short", "%d", r.Foreign)
	row(r.Withheld > 0, "not sent, broker too slow", "%d", r.Withheld)
	row(r.Late > 0 && wide, "sent late", "%d", r.Late)
	row(r.Stalls > 0, "windows reopened", "%d", r.Stalls)
	row(r.Latency.Max > 0, "latency "+what, "p50 %s, p99 %s, p99.9 %s, max %s us", grouped(r.Latency.P50), grouped(r.Latency.P99), grouped(r.Latency.P999), grouped(r.Latency.Max))
	row(true, "generator's processor", "%.0f %%", 100*r.Generator)
	if b := r.Broker; b != nil {
		unit := map[load.Kind]string{load.Storm: "a cycle", load.Conn: "a message"}[r.Kind]
		if unit == "" {
			unit = "a message"
		}
		row(true, "broker's processor", "%.0f %%", 100*b.CPU)
		row(b.MicrosPer > 0, "broker's processor "+unit, "%.2f us", b.MicrosPer)
		row(true, "broker's memory", "%.1f MB resident, %.1f MB its own share", float64(b.Resident)/(1<<20), float64(b.Proportional)/(1<<20))
		row(r.Kind == load.Conn || wide, "broker's cost of a connection", "%s bytes, %.1f us", grouped(b.PerConnection), b.RampMicros)
	}
	for _, text := range slices.Sorted(maps.Keys(r.Faults)) {
		row(true, "fault", "%d x %s", r.Faults[text], text)
	}
	row(r.Interrupted, "note", "interrupted")
	return a.table(rows, nil)
}
