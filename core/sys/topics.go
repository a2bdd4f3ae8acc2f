package sys

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// emqxStats are the gauges of $SYS/brokers/<node>/stats (emqx4 §6.3).
var emqxStats = []struct {
	name string
	of   func(*Snapshot) int64
}{
	{"connections", func(n *Snapshot) int64 { return n.Connections }},
	{"live_connections", func(n *Snapshot) int64 { return n.Connections }},
	{"sessions", func(n *Snapshot) int64 { return n.Sessions }},
	{"subscriptions", func(n *Snapshot) int64 { return n.Subscriptions }},
	{"subscriptions.shared", func(n *Snapshot) int64 { return n.SharedSubscriptions }},
	{"topics", func(n *Snapshot) int64 { return n.Routes }},
	{"routes", func(n *Snapshot) int64 { return n.Routes }},
	{"retained", func(n *Snapshot) int64 { return n.Retained }},
}

// emqxMetrics are the counters of $SYS/brokers/<node>/metrics (emqx4 §6.2).
var emqxMetrics = []struct {
	name string
	of   func(*Snapshot) uint64
}{
	{"bytes/received", func(n *Snapshot) uint64 { return n.BytesReceived }},
	{"bytes/sent", func(n *Snapshot) uint64 { return n.BytesSent }},
	{"messages/received", func(n *Snapshot) uint64 { return n.MessagesReceived }},
	{"messages/sent", func(n *Snapshot) uint64 { return n.MessagesSent }},
	{"messages/dropped", func(n *Snapshot) uint64 { return n.MessagesDropped }},
}

// mosquittoTopics are the names below $SYS/broker that exporters and dashboards
// of mosquitto read (mosquitto(8), BROKER STATUS).
var mosquittoTopics = []struct {
	name string
	text func(n *Snapshot, peak int64) string
}{
	{"clients/connected", func(n *Snapshot, _ int64) string { return gauge(n.Connections) }},
	{"clients/active", func(n *Snapshot, _ int64) string { return gauge(n.Connections) }},
	{"clients/disconnected", func(n *Snapshot, _ int64) string { return gauge(n.Sessions - n.Connections) }},
	{"clients/inactive", func(n *Snapshot, _ int64) string { return gauge(n.Sessions - n.Connections) }},
	{"clients/total", func(n *Snapshot, _ int64) string { return gauge(n.Sessions) }},
	{"clients/maximum", func(_ *Snapshot, peak int64) string { return gauge(peak) }},
	{"subscriptions/count", func(n *Snapshot, _ int64) string { return gauge(n.Subscriptions) }},
	{"shared_subscriptions/count", func(n *Snapshot, _ int64) string { return gauge(n.SharedSubscriptions) }},
	{"retained messages/count", func(n *Snapshot, _ int64) string { return gauge(n.Retained) }},
	{"store/messages/count", func(n *Snapshot, _ int64) string { return gauge(n.Retained) }},
	{"store/messages/bytes", func(n *Snapshot, _ int64) string { return gauge(n.RetainedBytes) }},
	{"bytes/received", func(n *Snapshot, _ int64) string { return counter(n.BytesReceived) }},
	{"bytes/sent", func(n *Snapshot, _ int64) string { return counter(n.BytesSent) }},
	{"messages/received", func(n *Snapshot, _ int64) string { return counter(n.MessagesReceived) }},
	{"messages/sent", func(n *Snapshot, _ int64) string { return counter(n.MessagesSent) }},
	{"publish/messages/received", func(n *Snapshot, _ int64) string { return counter(n.MessagesReceived) }},
	{"publish/messages/sent", func(n *Snapshot, _ int64) string { return counter(n.MessagesSent) }},
	{"publish/messages/dropped", func(n *Snapshot, _ int64) string { return counter(n.MessagesDropped) }},
}

// gauge never shows less than nothing: a snapshot's numbers are not of one instant.
func gauge(v int64) string { return strconv.FormatInt(max(v, 0), 10) }

func counter(v uint64) string { return strconv.FormatUint(v, 10) }

// Uptime writes a duration as EMQ X 4 does: "4 days, 3 hours, 2 minutes, 1
// seconds", from the first part that is not zero.
func Uptime(d time.Duration) string {
	s := int64(d / time.Second)
	parts := []struct {
		n    int64
		unit string
	}{{s / 86400, "days"}, {s / 3600 % 24, "hours"}, {s / 60 % 60, "minutes"}, {s % 60, "seconds"}}
	var out []string
	for i, p := range parts {
		if p.n > 0 || len(out) > 0 || i == len(parts)-1 {
			out = append(out, fmt.Sprintf("%d %s", p.n, p.unit))
		}
	}
	return strings.Join(out, ", ")
}
