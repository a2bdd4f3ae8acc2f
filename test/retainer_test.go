package test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// quietSys keeps the node's own retained messages out of the counts.
const quietSys = "[sys]\ninterval = \"0\"\nheartbeat = \"0\"\n"

// retained is what a subscription to filter gets at once; v5, so that a marker
// can tell the end.
func (b *broker) retained(filter string) map[string]string {
	b.t.Helper()
	c := b.dial(v5)
	defer c.close()
	c.connect("reads-" + filter)
	c.subscribe(filter, 1)
	got := map[string]string{}
	for {
		before := len(got)
		for _, p := range c.ping() {
			if !p.Retain {
				b.t.Errorf("%s came without RETAIN", p.Topic)
			}
			got[p.Topic] = string(p.Payload)
		}
		if len(got) == before {
			return got
		}
	}
}

// TestRetainedLife: a retained message is kept, replaced, cleared and forgotten
// when it expires [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.2-5].
func TestRetainedLife(t *testing.T) {
	b := start(t, setup{plugins: []string{"retainer"}, config: quietSys})
	pub := b.dial(v5)
	pub.connect("publisher")
	keep := func(topic, payload string, props packet.Props) {
		t.Helper()
		pub.publishSync(&packet.Publish{Topic: topic, Payload: []byte(payload), Props: props, QoS: 1, Retain: true})
	}
	insist := func(want map[string]string) {
		t.Helper()
		b.eventually(fmt.Sprintf("%v is retained", want), func() bool {
			return fmt.Sprint(b.retained("home/#")) == fmt.Sprint(want)
		})
	}
	keep("home/hall", "on", nil)
	keep("home/attic", "off", nil)
	insist(map[string]string{"home/hall": "on", "home/attic": "off"})
	keep("home/hall", "dim", nil)
	insist(map[string]string{"home/hall": "dim", "home/attic": "off"})
	keep("home/attic", "", nil)
	insist(map[string]string{"home/hall": "dim"})
	if n := b.nodeStatus().Retained; n != 1 {
		t.Errorf("the node says it retains %d", n)
	}
	keep("home/oven", "hot", packet.AppendUint32Prop(nil, packet.PropMessageExpiry, 2))
	insist(map[string]string{"home/hall": "dim", "home/oven": "hot"})
	insist(map[string]string{"home/hall": "dim"})
	// What is not marked is not kept.
	pub.publishSync(&packet.Publish{Topic: "home/cellar", Payload: []byte("x"), QoS: 1})
	insist(map[string]string{"home/hall": "dim"})
}

// TestRetainedLimits: what the operator's configuration does not let in is routed
// and not kept.
func TestRetainedLimits(t *testing.T) {
	b := start(t, setup{plugins: []string{"retainer"}, etc: map[string]string{
		"etc/plugins/retainer.toml": "[plugin]\ngrant = [\"topicstore\"]\n[config]\nmax_retained_messages = 3\nmax_payload_size = 8\nexclude_sys = true\n",
	}})
	c := b.dial(v5)
	c.connect("both")
	c.subscribe("limit/#", 1)
	for i := range 5 {
		topic := fmt.Sprintf("limit/%d", i)
		c.publishWith(&packet.Publish{Topic: topic, Payload: []byte("small"), QoS: 1, Retain: true})
		c.expect(topic, "small")
	}
	c.publishWith(&packet.Publish{Topic: "limit/0", Payload: []byte("too large to keep"), QoS: 1, Retain: true})
	c.expect("limit/0", "too large to keep")
	if got := b.retained("limit/#"); len(got) != 3 || got["limit/0"] != "small" {
		t.Errorf("retained: %v", got)
	}
}

// TestWildcardReadDoesNotHoldUp: while twenty thousand retained messages go to a
// new subscription, the client's other messages come through among them.
func TestWildcardReadDoesNotHoldUp(t *testing.T) {
	const (
		kept  = 20_000
		live  = 50
		chunk = 500
		bound = 3 * time.Second // of a live message; the read as a whole has the test's patience
	)
	b := start(t, setup{plugins: []string{"retainer"}, config: quietSys})
	pub := b.dial(v5)
	pub.connect("publisher")
	for at := 0; at < kept; at += chunk {
		for i := at; i < at+chunk; i++ {
			pub.publishWith(&packet.Publish{Topic: fmt.Sprintf("store/%d/x", i), Payload: make([]byte, 200), QoS: 1, Retain: true})
		}
		if err := pub.await(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.nodeStatus().Retained; n != kept {
		t.Fatalf("%d are retained", n)
	}
	for qos := range byte(2) {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			c := b.dial(v5)
			c.connect(fmt.Sprintf("reader-%d", qos))
			c.subscribe("live", 1)
			c.next++
			c.send(&packet.Subscribe{PacketID: c.next, Filters: []packet.Filter{{Filter: "store/#", QoS: qos}}})
			got, lives, last := map[string]bool{}, 0, 0
			var worst time.Duration
			sent := time.Now()
			pub.publish("live", "0", 0)
			for len(got) < kept || lives < live {
				p := c.message()
				if p.Topic != "live" {
					got[p.Topic] = true
					last = lives
					continue
				}
				worst = max(worst, time.Since(sent))
				if lives++; lives < live {
					sent = time.Now()
					pub.publish("live", fmt.Sprint(lives), 0)
				}
			}
			t.Logf("the slowest live message took %v; %d of %d came before the last retained one", worst, last, live)
			if worst > bound {
				t.Errorf("a live message waited %v", worst)
			}
			if last == 0 {
				t.Error("no live message came before the read was done")
			}
		})
	}
	b.alive()
}

// TestRetainedSurvives: what was acknowledged is there after kill -9, what was
// cleared is not, and expiry runs on; in every class of durability as it says.
func TestRetainedSurvives(t *testing.T) {
	for _, class := range []string{"async", "sync", "memory"} {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			b := start(t, setup{plugins: []string{"retainer"}, config: quietSys + fmt.Sprintf("[mqtt]\ndurability = %q\n", class)})
			pub := b.dial(v5)
			pub.connect("publisher")
			keep := func(topic, payload string, props packet.Props) {
				pub.publishSync(&packet.Publish{Topic: topic, Payload: []byte(payload), Props: props, QoS: 1, Retain: true})
			}
			want := map[string]string{}
			for i := range 50 {
				topic := fmt.Sprintf("home/%d", i)
				keep(topic, "old", nil)
				if keep(topic, "new", nil); i%3 == 0 {
					keep(topic, "", nil)
				} else if class != "memory" {
					want[topic] = "new"
				}
			}
			keep("short", "x", packet.AppendUint32Prop(nil, packet.PropMessageExpiry, 1))
			b.kill()
			b.run()
			if got := b.retained("home/#"); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("after kill -9: %v, want %v", got, want)
			}
			b.eventually("the short-lived message is gone", func() bool { return len(b.retained("short")) == 0 })
			b.stop()
			b.run()
			if got := b.retained("#"); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("after a stop: %v, want %v", got, want)
			}
		})
	}
}
