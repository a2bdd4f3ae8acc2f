// Package sys publishes what the node says about itself under $SYS: version,
// uptime, date and counts, under EMQ X 4's names and under mosquitto's, and
// alarms. It owns the clock of these topics, the highest value of each count, the
// registry of alarms and the watch over the process's memory; it refuses to count
// anything itself and to know who subscribes.
package sys

import (
	"context"
	"runtime"
	"strconv"
	"time"
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
	Connections         int64 // gauge: clients with a connection
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

	// Owned by Run.
	highest map[string]int64
	peak    int64 // most connections at once
}

// New returns a Sys that publishes to to what from tells. The uptime counts
// from now.
func New(cfg Config, to Publisher, from Source) *Sys {
	return &Sys{cfg: cfg, to: to, from: from, started: time.Now(), highest: map[string]int64{}}
}

// With is s with another configuration, for when s's Run has returned: uptime
// and highest values go on.
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
	s.peak = max(s.peak, n.Connections)
	if s.cfg.Names&EMQX != 0 {
		s.to.Publish("$SYS/brokers", []byte(s.cfg.Node), true)
		s.emqx("version", Version, true)
		s.emqx("sysdescr", Description, true)
		for _, g := range emqxStats {
			s.stat(g.name, g.of(&n))
		}
		for _, c := range emqxMetrics {
			s.emqx("metrics/"+c.name, strconv.FormatUint(c.of(&n), 10), false)
		}
	}
	if s.cfg.Names&Mosquitto != 0 {
		s.mosquitto("version", "dunlin version "+Version)
		for _, t := range mosquittoTopics {
			s.mosquitto(t.name, t.text(&n, s.peak))
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		s.mosquitto("heap/current", strconv.FormatUint(m.HeapAlloc, 10))
	}
}

// stat publishes a gauge and its highest value since the start.
func (s *Sys) stat(name string, v int64) {
	s.highest[name] = max(s.highest[name], v)
	s.emqx("stats/"+name+".count", strconv.FormatInt(v, 10), false)
	s.emqx("stats/"+name+".max", strconv.FormatInt(s.highest[name], 10), false)
}

func (s *Sys) emqx(name, text string, retain bool) {
	s.to.Publish("$SYS/brokers/"+s.cfg.Node+"/"+name, []byte(text), retain)
}

// mosquitto publishes retained, as that broker does: dashboards read the last
// value when they connect.
func (s *Sys) mosquitto(name, text string) {
	s.to.Publish("$SYS/broker/"+name, []byte(text), true)
}
