package metrics

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// emqx4 is every counter name of EMQ X 4 (emqx4 §6.2).
const emqx4 = `bytes.received bytes.sent
packets.received packets.sent packets.connect.received packets.connack.sent packets.connack.error packets.connack.auth_error
packets.publish.received packets.publish.sent packets.publish.inuse packets.publish.error packets.publish.auth_error packets.publish.dropped
packets.puback.received packets.puback.sent packets.puback.inuse packets.puback.missed
packets.pubrec.received packets.pubrec.sent packets.pubrec.inuse packets.pubrec.missed
packets.pubrel.received packets.pubrel.sent packets.pubrel.missed
packets.pubcomp.received packets.pubcomp.sent packets.pubcomp.inuse packets.pubcomp.missed
packets.subscribe.received packets.subscribe.error packets.subscribe.auth_error packets.suback.sent
packets.unsubscribe.received packets.unsubscribe.error packets.unsuback.sent
packets.pingreq.received packets.pingresp.sent packets.disconnect.received packets.disconnect.sent packets.auth.received packets.auth.sent
messages.received messages.sent messages.qos0.received messages.qos0.sent messages.qos1.received messages.qos1.sent messages.qos2.received messages.qos2.sent
messages.publish messages.dropped messages.dropped.await_pubrel_timeout messages.dropped.no_subscribers messages.forward messages.retained messages.delayed messages.delivered messages.acked
delivery.dropped delivery.dropped.no_local delivery.dropped.too_large delivery.dropped.qos0_msg delivery.dropped.queue_full delivery.dropped.expired
client.connect client.connack client.connected client.authenticate client.check_acl client.subscribe client.unsubscribe client.disconnected
session.created session.resumed session.takeovered session.discarded session.terminated
client.auth.success client.auth.success.anonymous client.auth.failure client.acl.allow client.acl.deny client.acl.cache_hit`

const emqx4Stats = `connections live_connections channels sessions topics suboptions subscribers subscriptions subscriptions.shared routes retained delayed`

func namesOf(ss []Sample) []string {
	var ns []string
	for _, s := range ss {
		ns = append(ns, s.Name)
	}
	return ns
}

// ours are the names that EMQ X 4 has not.
const ours = `delivery.dropped.queue_bytes`

// TestNames: all names of EMQ X 4 and our own are there, once, and are well formed.
func TestNames(t *testing.T) {
	r := New(1)
	got, want := namesOf(r.Counters(nil)), strings.Fields(emqx4+" "+ours)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("counters:\n got %q\nwant %q", got, want)
	}
	var stats []string
	for _, n := range strings.Fields(emqx4Stats) {
		stats = append(stats, n+".count", n+".max")
	}
	if got := namesOf(r.Stats(nil)); !slices.Equal(got, stats) {
		t.Errorf("gauges:\n got %q\nwant %q", got, stats)
	}
	for _, n := range append(got, stats...) {
		if !validName(n) {
			t.Errorf("name %q", n)
		}
	}
}

// TestLayout: Counters may be used as an array of numbers.
func TestLayout(t *testing.T) {
	typ := reflect.TypeFor[Counters]()
	if typ.NumField() != size {
		t.Fatalf("%d fields, size %d", typ.NumField(), size)
	}
	for i := range typ.NumField() {
		if f := typ.Field(i); f.Type.Kind() != reflect.Uint64 || f.Offset != uintptr(8*i) {
			t.Errorf("field %s is no uint64 at %d", f.Name, 8*i)
		}
	}
}

func TestFlush(t *testing.T) {
	r := New(4)
	var wg sync.WaitGroup
	for loop := range 8 { // more loops than stripes
		wg.Go(func() {
			var c Counters
			s := r.Stripe(loop)
			for range 1000 {
				c.BytesReceived += 10
				c.SessionTerminated++
				s.Flush(&c)
				if c != (Counters{}) {
					t.Error("Flush leaves numbers")
				}
				s.Add(&Counters{MessagesAcked: 2})
			}
		})
	}
	wg.Wait()
	want := Counters{BytesReceived: 80_000, SessionTerminated: 8000, MessagesAcked: 16_000}
	if got := r.Totals(); got != want {
		t.Errorf("Totals() = %+v", got)
	}
	for _, s := range r.Counters(nil) {
		if s.Name == "bytes.received" && s.Value != 80_000 || s.Name == "bytes.sent" && s.Value != 0 || s.Gauge {
			t.Errorf("%+v", s)
		}
	}
	var c Counters
	if n := testing.AllocsPerRun(100, func() { c.BytesSent++; r.Stripe(-1).Flush(&c) }); n != 0 {
		t.Errorf("Flush allocates %v", n)
	}
}

func TestGauge(t *testing.T) {
	r := New(1)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				r.Gauges.Connections.Add(1)
			}
			for range 1000 {
				r.Gauges.Connections.Add(-1)
			}
		})
	}
	wg.Wait()
	r.Gauges.Retained.Set(7)
	r.Gauges.Retained.Set(3)
	g := &r.Gauges.Connections
	if g.Value() != 0 || g.Max() < 1000 || g.Max() > 4000 {
		t.Errorf("connections %d max %d", g.Value(), g.Max())
	}
	for _, s := range r.Stats(nil) {
		if s.Name == "retained.count" && s.Value != 3 || s.Name == "retained.max" && s.Value != 7 || !s.Gauge {
			t.Errorf("%+v", s)
		}
	}
}

func TestCustom(t *testing.T) {
	r := New(1)
	c, err := r.Counter("webhook.client_connected")
	if err != nil {
		t.Fatal(err)
	}
	c.Inc(3)
	if again, _ := r.Counter("webhook.client_connected"); again != c {
		t.Error("the same name is another counter")
	}
	g, err := r.Gauge("rules")
	if err != nil {
		t.Fatal(err)
	}
	g.Gauge().Set(5)
	cs, gs := r.Counters(nil), r.Stats(nil)
	if last := cs[len(cs)-1]; last != (Sample{Name: "webhook.client_connected", Value: 3}) {
		t.Errorf("counter %+v", last)
	}
	if two := gs[len(gs)-2:]; two[0] != (Sample{"rules.count", 5, true}) || two[1] != (Sample{"rules.max", 5, true}) {
		t.Errorf("gauge %+v", two)
	}
	for _, n := range []string{"", ".", "a.", ".a", "a..b", "A", "a b", "ä", "connections.count", "rules.max", strings.Repeat("x", 129)} {
		if _, err := r.Counter(n); !errors.Is(err, ErrName) {
			t.Errorf("Counter(%q): %v", n, err)
		}
	}
	for _, n := range []string{"bytes.received", "connections", "rules"} {
		if _, err := r.Counter(n); !errors.Is(err, ErrKind) {
			t.Errorf("Counter(%q): %v", n, err)
		}
	}
	for i := range MaxCustom {
		_, err = r.Counter(fmt.Sprint("x.", i))
	}
	if !errors.Is(err, ErrTooMany) {
		t.Errorf("beyond MaxCustom: %v", err)
	}
}

func BenchmarkFlush(b *testing.B) {
	s := New(2).Stripe(0)
	var c Counters
	for b.Loop() {
		c.BytesReceived += 100
		c.PacketsReceived++
		c.PacketsPublishReceived++
		c.MessagesReceived++
		c.MessagesQoS0Received++
		c.MessagesPublish++
		s.Flush(&c)
	}
}
