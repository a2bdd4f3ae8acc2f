package sys

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// mosquittoTopics are the names below $SYS/broker that exporters and dashboards
// of mosquitto read (mosquitto(8), BROKER STATUS).
var mosquittoTopics = []struct {
	name string
	text func(n *Snapshot) string
}{
	{"clients/connected", func(n *Snapshot) string { return gauge(n.Connections) }},
	{"clients/active", func(n *Snapshot) string { return gauge(n.Connections) }},
	{"clients/disconnected", func(n *Snapshot) string { return gauge(n.Sessions - n.Connections) }},
	{"clients/inactive", func(n *Snapshot) string { return gauge(n.Sessions - n.Connections) }},
	{"clients/total", func(n *Snapshot) string { return gauge(n.Sessions) }},
	{"clients/maximum", func(n *Snapshot) string { return gauge(n.MostConnections) }},
	{"subscriptions/count", func(n *Snapshot) string { return gauge(n.Subscriptions) }},
	{"shared_subscriptions/count", func(n *Snapshot) string { return gauge(n.SharedSubscriptions) }},
	{"retained messages/count", func(n *Snapshot) string { return gauge(n.Retained) }},
	{"store/messages/count", func(n *Snapshot) string { return gauge(n.Retained) }},
	{"store/messages/bytes", func(n *Snapshot) string { return gauge(n.RetainedBytes) }},
	{"bytes/received", func(n *Snapshot) string { return counter(n.BytesReceived) }},
	{"bytes/sent", func(n *Snapshot) string { return counter(n.BytesSent) }},
	{"messages/received", func(n *Snapshot) string { return counter(n.MessagesReceived) }},
	{"messages/sent", func(n *Snapshot) string { return counter(n.MessagesSent) }},
	{"publish/messages/received", func(n *Snapshot) string { return counter(n.MessagesReceived) }},
	{"publish/messages/sent", func(n *Snapshot) string { return counter(n.MessagesSent) }},
	{"publish/messages/dropped", func(n *Snapshot) string { return counter(n.MessagesDropped) }},
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
