package sys

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlinmq/dunlin/core/metrics"
)

// board keeps what was published, in order and by topic.
type board struct {
	sent   []string
	last   map[string]string
	retain map[string]bool
}

func newBoard() *board { return &board{last: map[string]string{}, retain: map[string]bool{}} }

func (b *board) Publish(topic string, payload []byte, retain bool) {
	b.sent = append(b.sent, topic)
	b.last[topic], b.retain[topic] = string(payload), retain
}

func (b *board) count(topic string) int {
	n := 0
	for _, t := range b.sent {
		if t == topic {
			n++
		}
	}
	return n
}

// source is counts that a test may change while a Sys runs.
type source struct{ n atomic.Pointer[Snapshot] }

func sourceOf(n Snapshot) *source {
	s := new(source)
	s.n.Store(&n)
	return s
}

func (s *source) Snapshot() Snapshot { return *s.n.Load() }

// run starts a Sys in a synctest bubble and returns the function that ends it.
func run(t *testing.T, cfg Config, to Publisher, from Source) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	s := New(cfg, to, from)
	go func() { done <- s.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// pass lets the bubble's clock run on.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

var both = Config{Node: "n1@host", Names: EMQX | Mosquitto, Interval: time.Minute, Heartbeat: 30 * time.Second}

func TestPublishesBothFamiliesAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		defer run(t, both, b, sourceOf(Snapshot{
			Connections: 3, MostConnections: 9, Sessions: 5, Subscriptions: 7, MessagesReceived: 11,
			Plugins: []Named{{"acl", "quarantined"}}, PluginNumbers: []Named{{"acl/hooks/acl/calls", "7"}},
			Stats:   []metrics.Sample{{Name: "subscriptions.shared.max", Value: 8, Gauge: true}},
			Metrics: []metrics.Sample{{Name: "packets.connect.received", Value: 12}},
		}))()
		want := map[string]string{
			"$SYS/brokers":                                          "n1@host",
			"$SYS/brokers/n1@host/plugins/acl/state":                "quarantined",
			"$SYS/brokers/n1@host/plugins/acl/hooks/acl/calls":      "7",
			"$SYS/brokers/n1@host/version":                          Version,
			"$SYS/brokers/n1@host/sysdescr":                         Description,
			"$SYS/brokers/n1@host/uptime":                           "0 seconds",
			"$SYS/brokers/n1@host/datetime":                         time.Now().Format(time.DateTime),
			"$SYS/brokers/n1@host/stats/subscriptions.shared.max":   "8",
			"$SYS/brokers/n1@host/metrics/packets/connect/received": "12",
			"$SYS/broker/publish/messages/received":                 "11",
			"$SYS/broker/clients/maximum":                           "9",
			"$SYS/broker/version":                                   "dunlin version " + Version,
			"$SYS/broker/uptime":                                    "0 seconds",
			"$SYS/broker/clients/connected":                         "3",
			"$SYS/broker/clients/disconnected":                      "2",
			"$SYS/broker/clients/total":                             "5",
			"$SYS/broker/subscriptions/count":                       "7",
		}
		for topic, payload := range want {
			if got, ok := b.last[topic]; !ok || got != payload {
				t.Errorf("%s = %q, want %q", topic, got, payload)
			}
		}
	})
}

func TestIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		stop := run(t, both, b, sourceOf(Snapshot{Stats: []metrics.Sample{{Name: "routes.count"}}, Metrics: []metrics.Sample{{Name: "bytes.sent"}}}))
		pass(5 * time.Minute)
		stop()
		if got := b.count("$SYS/brokers/n1@host/version"); got != 6 {
			t.Errorf("version was published %d times in 5 minutes, want 6", got)
		}
		if got := b.count("$SYS/brokers/n1@host/uptime"); got != 11 {
			t.Errorf("uptime was published %d times in 5 minutes, want 11", got)
		}
		if got, want := b.last["$SYS/brokers/n1@host/uptime"], "5 minutes, 0 seconds"; got != want {
			t.Errorf("uptime = %q, want %q", got, want)
		}
		if got, want := b.last["$SYS/broker/uptime"], "300 seconds"; got != want {
			t.Errorf("mosquitto's uptime = %q, want %q", got, want)
		}
	})
}

func TestFamiliesAndPeriodsCanBeOff(t *testing.T) {
	for _, c := range []struct {
		name     string
		cfg      Config
		has, not string
	}{
		{"emqx", Config{Node: "n", Names: EMQX, Interval: time.Second, Heartbeat: time.Second}, "$SYS/brokers/n/version", "$SYS/broker/version"},
		{"mosquitto", Config{Node: "n", Names: Mosquitto, Interval: time.Second, Heartbeat: time.Second}, "$SYS/broker/version", "$SYS/brokers/n/version"},
		{"no interval", Config{Node: "n", Names: EMQX | Mosquitto, Heartbeat: time.Second}, "$SYS/broker/uptime", "$SYS/broker/version"},
		{"no heartbeat", Config{Node: "n", Names: EMQX | Mosquitto, Interval: time.Second}, "$SYS/broker/version", "$SYS/broker/uptime"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBoard()
				defer run(t, c.cfg, b, sourceOf(Snapshot{Stats: []metrics.Sample{{Name: "routes.count"}}, Metrics: []metrics.Sample{{Name: "bytes.sent"}}}))()
				pass(10 * time.Second)
				if _, ok := b.last[c.has]; !ok {
					t.Errorf("%s was not published", c.has)
				}
				if _, ok := b.last[c.not]; ok {
					t.Errorf("%s was published", c.not)
				}
			})
		})
	}
}

// What a client finds when it connects late: EMQ X retains version and
// description, mosquitto everything (emqx4 §6.1).
func TestRetainedTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		defer run(t, both, b, sourceOf(Snapshot{Stats: []metrics.Sample{{Name: "routes.count"}}, Metrics: []metrics.Sample{{Name: "bytes.sent"}}}))()
		for _, topic := range slices.Sorted(maps.Keys(b.retain)) {
			want := strings.HasPrefix(topic, "$SYS/broker/") || topic == "$SYS/brokers" ||
				strings.HasSuffix(topic, "/version") || strings.HasSuffix(topic, "/sysdescr")
			if b.retain[topic] != want {
				t.Errorf("%s: retain is %t, want %t", topic, b.retain[topic], want)
			}
		}
	})
}

// A snapshot is not of one instant: more connections than sessions may be seen.
func TestNoNegativeGauge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		defer run(t, both, b, sourceOf(Snapshot{Connections: 3, Sessions: 2}))()
		if got := b.last["$SYS/broker/clients/disconnected"]; got != "0" {
			t.Errorf("clients/disconnected = %q, want 0", got)
		}
	})
}

func TestUptime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                              "0 seconds",
		1500 * time.Millisecond:        "1 seconds",
		4*time.Minute + 52*time.Second: "4 minutes, 52 seconds",
		time.Hour:                      "1 hours, 0 minutes, 0 seconds",
		4*24*time.Hour + 3*time.Hour + 2*time.Minute + time.Second: "4 days, 3 hours, 2 minutes, 1 seconds",
	} {
		if got := Uptime(d); got != want {
			t.Errorf("Uptime(%v) = %q, want %q", d, got, want)
		}
	}
}
