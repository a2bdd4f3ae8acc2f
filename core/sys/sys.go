// Package sys publishes what the node says about itself under $SYS: version,
// uptime, date and counts, under EMQ X 4's names and under mosquitto's, and
// alarms. It owns the clock of these topics, the registry of alarms and the watch over the process's memory; it refuses to count
// anything itself and to know who subscribes.
package sys

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/metrics"
)

// Publisher takes a message of the broker's own into the publish pipeline.
type Publisher interface {
	// Publish sends payload to topic at QoS 0. It must not wait for subscribers
	// and keeps neither argument.
	Publish(topic string, payload []byte, retain bool)
}

// Source tells the numbers of now. It is asked once per interval.
type Source interface {
	Snapshot() Snapshot
}

// Snapshot is what the node counts. Gauges are of now; counters only grow.
type Snapshot struct {
	// Metrics and Stats are all counters and gauges under EMQ X 4's names; a stat
	// comes with its highest value (emqx4 §6.2, §6.3).
	Metrics, Stats []metrics.Sample

	Plugins       []Named // the states of the loaded plugins
	PluginNumbers []Named // what they cost and count: the plugin's name and the number's, with slashes

	Connections         int64 // gauge: clients with a connection
	MostConnections     int64 // the highest value of Connections since the start
	Sessions            int64 // gauge: with and without a connection
	Subscriptions       int64 // gauge
	SharedSubscriptions int64 // gauge
	Routes              int64 // gauge: different filters
	Retained            int64 // gauge
	RetainedBytes       int64 // gauge

	BytesReceived    uint64
	BytesSent        uint64
	MessagesReceived uint64 // PUBLISH packets from clients
	MessagesSent     uint64 // PUBLISH packets to clients
	MessagesDropped  uint64
}

// Named is a word about something with a name.
type Named struct{ Name, Word string }

// Names says which families of topics are published; a set.
type Names byte

// The families.
const (
	EMQX      Names = 1 << iota // $SYS/brokers/<node>/...
	Mosquitto                   // $SYS/broker/...
)

// Config says what is published and how often.
type Config struct {
	Node      string
	Names     Names
	Interval  time.Duration // version, description and counts; 0: never
	Heartbeat time.Duration // uptime and date; 0: never
}

// Sys publishes. See [New].
type Sys struct {
	// Immutable.
	cfg     Config
	to      Publisher
	from    Source
	started time.Time
}

// New returns a Sys that publishes to to what from tells. The uptime counts
// from now.
func New(cfg Config, to Publisher, from Source) *Sys {
	return &Sys{cfg: cfg, to: to, from: from, started: time.Now()}
}

// With is s with another configuration, for when s's Run has returned: the
// uptime goes on.
func (s *Sys) With(cfg Config) *Sys {
	next := *s
	next.cfg = cfg
	return &next
}

// Run publishes at once and then at each interval, until ctx ends.
func (s *Sys) Run(ctx context.Context) error {
	s.counts()
	s.beat()
	interval, stopInterval := ticker(s.cfg.Interval)
	defer stopInterval()
	heartbeat, stopHeartbeat := ticker(s.cfg.Heartbeat)
	defer stopHeartbeat()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-interval:
			s.counts()
		case <-heartbeat:
			s.beat()
		}
	}
}

// ticker is a time.Ticker that never ticks when d is 0.
func ticker(d time.Duration) (<-chan time.Time, func()) {
	if d <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// beat publishes what changes by itself.
func (s *Sys) beat() {
	if s.cfg.Heartbeat <= 0 {
		return
	}
	now := time.Now()
	up := now.Sub(s.started)
	if s.cfg.Names&EMQX != 0 {
		s.emqx("uptime", Uptime(up), false)
		s.emqx("datetime", now.Format(time.DateTime), false)
	}
	if s.cfg.Names&Mosquitto != 0 {
		s.mosquitto("uptime", strconv.FormatInt(int64(up/time.Second), 10)+" seconds")
	}
}

// counts publishes what the node is and counts.
func (s *Sys) counts() {
	if s.cfg.Interval <= 0 {
		return
	}
	n := s.from.Snapshot()
	if s.cfg.Names&EMQX != 0 {
		s.to.Publish("$SYS/brokers", []byte(s.cfg.Node), true)
		s.emqx("version", Version, true)
		s.emqx("sysdescr", Description, true)
		for _, g := range n.Stats {
			s.emqx("stats/"+g.Name, strconv.FormatInt(g.Value, 10), false)
		}
		for _, p := range n.Plugins {
			s.emqx("plugins/"+p.Name+"/state", p.Word, true)
		}
		for _, p := range n.PluginNumbers {
			s.emqx("plugins/"+p.Name, p.Word, false)
		}
		for _, c := range n.Metrics {
			s.emqx("metrics/"+strings.ReplaceAll(c.Name, ".", "/"), strconv.FormatInt(c.Value, 10), false)
		}
	}
	if s.cfg.Names&Mosquitto != 0 {
		s.mosquitto("version", "dunlin version "+Version)
		for _, t := range mosquittoTopics {
			s.mosquitto(t.name, t.text(&n))
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		s.mosquitto("heap/current", strconv.FormatUint(m.HeapAlloc, 10))
	}
}

func (s *Sys) emqx(name, text string, retain bool) {
	s.to.Publish("$SYS/brokers/"+s.cfg.Node+"/"+name, []byte(text), retain)
}

// mosquitto publishes retained, as that broker does: dashboards read the last
// value when they connect.
func (s *Sys) mosquitto(name, text string) {
	s.to.Publish("$SYS/broker/"+name, []byte(text), true)
}
