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

// TestDeafSubscribersHinderNobody: subscribers that never read cost their bounded
// queues and backlogs, and another of the same messages gets every one.
func TestDeafSubscribersHinderNobody(t *testing.T) {
	const (
		messages = 30_000
		payload  = 4 << 10 // 120 MB altogether
		chunk    = 100
		limit    = 128 * mb
	)
	for qos := range byte(2) {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			b := start(t, setup{listeners: fastListener})
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
			b.bounded(fmt.Sprintf("120 MB at QoS %d to four that never read", qos), limit)
			b.alive()
		})
	}
}

// TestFiltersAreGivenBack: ten thousand wildcard filters of one client, and as
// many that all match one topic, are served, and nothing stays of them.
func TestFiltersAreGivenBack(t *testing.T) {
	const (
		filters = 10_000
		levels  = 13 // 2^13 filters match one topic
		limit   = 160 * mb
	)
	b := start(t, setup{listeners: fastListener})
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
		if err := pub.await(1); err != nil {
			t.Fatal(err)
		}
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
	b.bounded("18,192 filters", limit)
	b.alive()
	c.close()
	b.eventually("the filters are given back", func() bool {
		s := b.nodeStatus()
		return s.Subscriptions == 0 && s.Routes == 0
	})
}

// TestTakenOverConnectionsEnd: two thousand connections that claim one client id
// from many sides at once, and that leave it to the broker to end them: one
// stays, and nothing is left of the others.
func TestTakenOverConnectionsEnd(t *testing.T) {
	const (
		dialers  = 20
		connects = 100 // each
		limit    = 128 * mb
	)
	b := start(t, setup{listeners: fastListener})
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
	b.bounded("2,000 connections of one client id", limit)
}

// takenOver tells whether a connection was refused or ended because of another,
// or reset.
func takenOver(err error) bool {
	text := err.Error()
	return strings.Contains(text, "DISCONNECT") || strings.Contains(text, "reset") || strings.Contains(text, "broken pipe")
}
