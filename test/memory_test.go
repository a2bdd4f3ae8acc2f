package test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// openListener accepts as fast as clients come.
const openListener = "[listener.tcp.external]\nbind = \"127.0.0.1:0\"\nmax_conn_rate = 0\n"

// bounded insists that the broker has never had more memory than limit.
func (b *broker) bounded(limit int64) {
	b.t.Helper()
	peak := b.peakRSS()
	b.t.Logf("most memory: %d MiB, now %d MiB", peak/MiB, b.rss()/MiB)
	if peak > limit {
		b.t.Errorf("the broker had %d MiB, want at most %d", peak/MiB, limit/MiB)
	}
}

// A subscriber that never reads costs its bounded queue and backlog, however
// much is published to it, and the others get everything.
func TestMemoryOfASubscriberThatNeverReads(t *testing.T) {
	const (
		messages = 40_000
		payload  = 4 << 10 // 160 MB altogether
		chunk    = 100
		limit    = 128 * MiB
	)
	for qos := range byte(2) {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			b := start(t, setup{listeners: openListener})
			for i := range 4 {
				deaf := b.dial(v311)
				if err := deaf.conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
					t.Fatal(err)
				}
				deaf.connect(fmt.Sprintf("deaf-%d", i))
				deaf.subscribe("flood/#", qos)
			}
			reader := b.dial(v311)
			reader.connect("reader")
			reader.subscribe("flood/#", qos)
			pub := b.dial(v311)
			pub.connect("publisher")
			body := strings.Repeat("x", payload)
			for range messages / chunk {
				for range chunk {
					pub.publish("flood/x", body, qos)
				}
				if qos == 0 {
					pub.ping()
				} else if err := pub.await(chunk); err != nil {
					t.Fatal(err)
				}
				for range chunk {
					reader.message()
				}
			}
			b.bounded(limit)
			b.alive()
		})
	}
}

// Ten thousand wildcard filters of one client, and as many that overlap, are
// served and given back.
func TestMemoryOfWildcardFilters(t *testing.T) {
	const (
		filters = 10_000
		levels  = 13 // 2^13 filters match one topic
		limit   = 160 * MiB
	)
	b := start(t, setup{listeners: openListener})
	c := b.dial(v311)
	c.connect("collector")
	var batch []packet.Filter
	add := func(filter string) {
		if batch = append(batch, packet.Filter{Filter: filter, QoS: 1}); len(batch) == 500 {
			c.subscribeWith(batch...)
			batch = nil
		}
	}
	for i := range filters {
		add(fmt.Sprintf("wild/%d/+/#", i))
	}
	for mask := range 1 << levels {
		level := make([]string, levels)
		for i := range level {
			level[i] = string('a' + rune(i))
			if mask>>i&1 == 1 {
				level[i] = "+"
			}
		}
		add(strings.Join(level, "/"))
	}
	if len(batch) > 0 {
		c.subscribeWith(batch...)
	}
	if got := b.nodeStatus().Subscriptions; got != filters+1<<levels {
		t.Errorf("%d subscriptions", got)
	}
	pub := b.dial(v311)
	pub.connect("publisher")
	for i := range 200 {
		topic := fmt.Sprintf("wild/%d/x/y", i*37%filters)
		pub.publish(topic, "one", 1)
		c.expect(topic, "one")
	}
	for range 10 {
		pub.publish("a/b/c/d/e/f/g/h/i/j/k/l/m", "many", 1)
		if err := pub.await(1); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.ping()) == 0 {
		t.Error("overlapping filters got nothing")
	}
	b.bounded(limit)
	b.alive()
	c.close()
	b.eventually("the filters are given back", func() bool {
		s := b.nodeStatus()
		return s.Subscriptions == 0 && s.Routes == 0
	})
}

// Topics of 65,536 levels: refused by the limit, and without it served without
// hurting anybody.
func TestMemoryOfDeepTopics(t *testing.T) {
	deep := strings.Repeat("/", 65535)
	t.Run("over the limit", func(t *testing.T) {
		b := start(t, setup{listeners: openListener})
		c := b.dial(v5)
		c.connect("deep")
		c.send(&packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: deep, QoS: 1}, {Filter: "ok", QoS: 1}}})
		if ack, ok := c.read().(*packet.Suback); !ok || ack.Codes[0] < packet.UnspecifiedError || ack.Codes[1] != packet.GrantedQoS1 {
			t.Errorf("SUBACK %+v", ack)
		}
		c.send(&packet.Publish{Topic: deep, QoS: 1, PacketID: 2})
		switch p := c.read().(type) {
		case *packet.Ack:
			if p.Code != packet.TopicNameInvalid {
				t.Errorf("PUBACK %v", p.Code)
			}
		case *packet.Disconnect:
			if p.Code != packet.TopicNameInvalid {
				t.Errorf("DISCONNECT %v", p.Code)
			}
		default:
			t.Errorf("a topic over the limit was answered by %T", p)
		}
		b.alive()
	})
	t.Run("without a limit", func(t *testing.T) {
		b := start(t, setup{listeners: openListener, config: "[zone.external]\nmax_topic_levels = 0\n"})
		c := b.dial(v5)
		c.connect("deep")
		c.subscribe(deep, 1)
		c.subscribe(strings.TrimSuffix(strings.Repeat("+/", 32768), "/"), 1)
		c.subscribe("/#", 1)
		pub := b.dial(v5)
		pub.connect("publisher")
		for i := range 50 {
			body := fmt.Sprint(i)
			pub.publish(deep, body, 1)
			if err := pub.await(1); err != nil {
				t.Fatal(err)
			}
			for _, m := range c.ping() {
				if m.Topic != deep || string(m.Payload) != body {
					t.Errorf("got %d bytes of topic, %q", len(m.Topic), m.Payload)
				}
			}
		}
		b.bounded(160 * MiB)
		b.alive()
	})
}

// Two thousand connections that all claim one client id, from many sides at
// once: each gets its CONNACK, one stays, and nothing is left of the others.
func TestMemoryOfATakeoverStorm(t *testing.T) {
	const (
		dialers  = 20
		connects = 100 // each
		limit    = 128 * MiB
	)
	b := start(t, setup{listeners: openListener})
	var group sync.WaitGroup
	last := make([]*client, dialers)
	for d := range dialers {
		group.Go(func() {
			for i := range connects {
				conn, err := b.transport("tcp:external")
				if err != nil {
					t.Error(err)
					return
				}
				c := b.client(conn, v5)
				p := &packet.Connect{ClientID: "contested", CleanStart: i%2 == 0, KeepAlive: 60,
					Props: packet.AppendUint32Prop(nil, packet.PropSessionExpiry, 60)}
				ack, err := c.tryConnect(p)
				// Whoever waits may be overtaken before it is served.
				if err != nil && err != io.EOF && ack == nil && !takenOver(err) {
					t.Errorf("dialer %d, connection %d: %v", d, i, err)
				}
				if last[d] != nil {
					last[d].close()
				}
				last[d] = c
			}
		})
	}
	group.Wait()
	b.eventually("one connection is left", func() bool { return b.nodeStatus().Connections == 1 })
	if s := b.nodeStatus(); s.Sessions != 1 {
		t.Errorf("%d sessions", s.Sessions)
	}
	b.alive()
	for _, c := range last {
		c.close()
	}
	b.eventually("no connection is left", func() bool { return b.nodeStatus().Connections == 0 })
	b.bounded(limit)
}

// takenOver tells whether a connection was refused or ended because of another,
// or reset.
func takenOver(err error) bool {
	text := err.Error()
	return strings.Contains(text, "DISCONNECT") || strings.Contains(text, "reset") || strings.Contains(text, "broken pipe")
}

// Five thousand clients at once, and as many that never say who they are.
func TestMemoryOfAFloodOfConnects(t *testing.T) {
	const (
		clients = 5000
		dialers = 50
		limit   = 192 * MiB
	)
	b := start(t, setup{listeners: openListener, config: "[zone.external]\nidle_timeout = \"3s\"\n"})
	var mu sync.Mutex
	var open []net.Conn
	flood := func(greet bool) {
		var group sync.WaitGroup
		for d := range dialers {
			group.Go(func() {
				for i := range clients / dialers {
					conn, err := b.transport("tcp:external")
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					open = append(open, conn)
					mu.Unlock()
					if !greet {
						continue
					}
					c := b.client(conn, v311)
					_, err = c.tryConnect(&packet.Connect{ClientID: fmt.Sprintf("c-%d-%d", d, i), CleanStart: true, KeepAlive: 600})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		group.Wait()
	}
	flood(true)
	if got := b.nodeStatus().Connections; got != clients {
		t.Errorf("%d connections", got)
	}
	b.alive()
	flood(false)
	b.alive()
	b.eventually("the silent are gone", func() bool { return b.nodeStatus().Listeners[0].Connections == clients })
	b.bounded(limit)
	for _, conn := range open {
		_ = conn.Close()
	}
	b.eventually("all are gone", func() bool { return b.nodeStatus().Connections == 0 })
	b.alive()
}
