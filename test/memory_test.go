package test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

const mb = 1 << 20

// bounded insists that the broker has never had more memory than limit, after
// what is going on.
func (b *broker) bounded(what string, limit int64) {
	b.t.Helper()
	if rss := b.peakRSS(); rss > limit {
		b.t.Errorf("%s: %d MB resident, limit %d MB", what, rss/mb, limit/mb)
	}
}

// TestNeverReading: a subscriber that never reads costs bounded memory however
// much is published to it, and its publisher and others go on.
func TestNeverReading(t *testing.T) {
	b := start(t, setup{})
	deaf := b.dial(v311)
	deaf.connect("deaf")
	deaf.subscribe("flood", 1)
	pub := b.dial(v311)
	pub.connect("pub")
	payload := strings.Repeat("x", 1000)
	for qos := range byte(2) {
		var out []byte
		for i := range 100 {
			out = packet.Append(out, v311, &packet.Publish{Topic: "flood", Payload: []byte(payload), QoS: qos, PacketID: uint16(i+1) * uint16(qos)})
		}
		for range 1000 { // 100 MB
			if err := pub.raw(out); err != nil {
				t.Fatal(err)
			}
			for n := 0; qos > 0 && n < 100; n++ {
				pub.read()
			}
		}
		pub.send(&packet.Pingreq{})
		if _, ok := pub.read().(*packet.Pingresp); !ok {
			t.Fatal("the publisher was not served")
		}
		b.bounded(fmt.Sprintf("100 MB at QoS %d to a subscriber that never reads", qos), 160*mb)
	}
	b.alive()
}

// TestPublisherThatNeverReads: acknowledgements that nobody reads do not pile up.
func TestPublisherThatNeverReads(t *testing.T) {
	b := start(t, setup{})
	pub := b.dial(v311)
	pub.connect("pub")
	var out []byte
	for i := range 1000 {
		out = packet.Append(out, v311, &packet.Publish{Topic: "t", QoS: 1, PacketID: uint16(i + 1)})
	}
	// The broker stops reading at some time; 20 M acknowledgements would be 80 MB.
	_ = pub.conn.SetWriteDeadline(time.Now().Add(3 * time.Second))
	for range 20_000 {
		if _, err := pub.conn.Write(out); err != nil {
			break
		}
	}
	b.bounded("acknowledgements that are not read", 120*mb)
	b.alive()
}

// TestManyFilters: 10,000 wildcard filters of one client, the worst that match
// one topic among them, and topics of 65,535 bytes with as many levels.
func TestManyFilters(t *testing.T) {
	b := start(t, setup{config: "[zone.external]\nmax_topic_levels = 0\n"})
	c := b.dial(v311)
	c.connect("many")
	for at := 0; at < 10_000; at += 100 {
		s := &packet.Subscribe{PacketID: 1}
		for i := range 100 {
			// The binary digits of the number say where a + stands.
			levels := strings.Split(strings.Repeat("a", 14), "")
			for bit := range levels {
				if (at+i)>>bit&1 == 1 {
					levels[bit] = "+"
				}
			}
			s.Filters = append(s.Filters, packet.Filter{Filter: strings.Join(levels, "/") + "/x"})
		}
		c.send(s)
		if _, ok := c.read().(*packet.Suback); !ok {
			t.Fatal("no SUBACK")
		}
	}
	b.bounded("10,000 filters", 120*mb)
	deep := strings.Repeat("/", 65_535)
	c.send(&packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: deep}, {Filter: strings.Repeat("+/", 32_767) + "#"}}})
	if ack, ok := c.read().(*packet.Suback); !ok || ack.Codes[0] != 0 {
		t.Fatalf("SUBACK %+v", ack)
	}
	for range 200 {
		c.publish(deep, "deep", 0)
		c.message() // one for each filter
		c.message()
	}
	b.bounded("65,535 levels", 160*mb)
	// A default zone refuses such topics.
	other := start(t, setup{})
	d := other.dial(v5)
	d.connect("deep")
	d.publish(deep, "deep", 0)
	if code := d.closed(); code != packet.TopicNameInvalid {
		t.Errorf("a topic of 65,536 levels ended with %v", code)
	}
}

// TestTakeoverStorm: many connections fight for one client id; one wins, the
// others are told or closed, memory stays.
func TestTakeoverStorm(t *testing.T) {
	b := start(t, setup{config: "[zone.external]\nidle_timeout = \"5s\"\n", listeners: fastListener})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 100 {
				conn, err := net.Dial("tcp", b.addr("tcp:external"))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = conn.Write(packet.Append(nil, v5, &packet.Connect{Version: v5, ClientID: "one", KeepAlive: 60,
					Props: packet.AppendUint32Prop(nil, packet.PropSessionExpiry, 100)}))
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				if _, err := conn.Read(make([]byte, 64)); err != nil {
					t.Errorf("neither CONNACK nor an end: %v", err)
				}
				_ = conn.Close()
			}
		})
	}
	wg.Wait()
	b.bounded("2,000 takeovers", 100*mb)
	c := b.dial(v5)
	if ack := c.connectWith(&packet.Connect{ClientID: "one", KeepAlive: 60}); !ack.SessionPresent {
		t.Error("the session did not survive the storm")
	}
	b.alive()
}

const fastListener = "[listener.tcp.external]\nbind = \"127.0.0.1:0\"\nmax_conn_rate = 100000\n"

// TestConnectFlood: thousands of connections, half of which never say anything.
func TestConnectFlood(t *testing.T) {
	b := start(t, setup{config: "[zone.external]\nidle_timeout = \"3s\"\n", listeners: fastListener})
	conns := make([]net.Conn, 5000)
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	var wg sync.WaitGroup
	for w := range 10 {
		wg.Go(func() {
			for i := w; i < len(conns); i += 10 {
				c, err := net.Dial("tcp", b.addr("tcp:external"))
				if err != nil {
					t.Error(err)
					return
				}
				conns[i] = c
				if i%2 == 0 {
					_, _ = c.Write(packet.Append(nil, v311, &packet.Connect{Version: v311, ClientID: fmt.Sprint("c", i), CleanStart: true}))
				}
			}
		})
	}
	wg.Wait()
	b.bounded("5,000 connections", 120*mb)
	b.alive()
	// The silent half is closed by the idle timeout, the others are not.
	for i := range conns {
		_ = conns[i].SetReadDeadline(time.Now().Add(patience))
		n, err := conns[i].Read(make([]byte, 16))
		if i%2 == 0 && n != 4 {
			t.Fatalf("connection %d read %d bytes, %v; want a CONNACK", i, n, err)
		}
		if i%2 == 1 && (n != 0 || err == nil) {
			t.Fatalf("silent connection %d read %d bytes, %v; want its end", i, n, err)
		}
	}
	b.alive()
}

// A node without plugins rests in 20 MB: what only the start needed is given back.
func TestMemoryAtRest(t *testing.T) {
	b := start(t, setup{})
	const most = 20 * mb
	var rss int64
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if rss = b.procStatus("VmRSS"); rss <= most {
			b.alive()
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", b.cmd.Process.Pid))
	t.Errorf("%d MB resident, limit %d MB\n%s", rss/mb, most/mb, maps)
}
