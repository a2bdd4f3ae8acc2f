package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// counters are the values of `ctl broker metrics`.
func (b *broker) counters() map[string]int64 {
	b.t.Helper()
	m := map[string]int64{}
	if err := json.Unmarshal([]byte(b.ctl("broker", "metrics", "-o", "json")), &m); err != nil {
		b.t.Fatal(err)
	}
	return m
}

// meter tells what each thing that clients do counts, and nothing besides.
type meter struct {
	*broker
	last  map[string]int64 // the counters after the last step
	moved map[string]bool
}

// counts insists that do moves each counter of want by 1, or by n for "name=n",
// and no other. Bytes are left out: they move with every packet.
func (m *meter) counts(what string, do func(), want ...string) {
	m.t.Helper()
	expected := map[string]int64{}
	for _, w := range want {
		for _, name := range strings.Fields(w) {
			n := int64(1)
			if at := strings.IndexByte(name, '='); at > 0 {
				if _, err := fmt.Sscan(name[at+1:], &n); err != nil {
					m.t.Fatal(err)
				}
				name = name[:at]
			}
			expected[name] += n
		}
	}
	before := m.last
	do()
	var delta map[string]int64
	for end := time.Now().Add(patience / 4); time.Now().Before(end); {
		delta, m.last = map[string]int64{}, m.counters()
		for name, v := range m.last {
			if d := v - before[name]; d != 0 && !strings.HasPrefix(name, "bytes.") {
				delta[name] = d
			}
		}
		if maps.Equal(delta, expected) {
			break
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if delta[name] != expected[name] {
			m.t.Errorf("%s: %s moved by %d, want %d", what, name, delta[name], expected[name])
		}
	}
	for name := range expected {
		m.moved[name] = true
	}
}

// What a packet or an event counts as a whole.
const (
	cIn      = "packets.received "
	cOut     = "packets.sent "
	checked  = "client.check_acl client.acl.allow "
	denied   = "client.check_acl client.acl.deny "
	accepted = cIn + cOut + "packets.connect.received packets.connack.sent client.connect client.connack client.connected " +
		"client.authenticate client.auth.success client.auth.success.anonymous "
	refused    = cIn + cOut + "packets.connect.received packets.connack.sent packets.connack.error client.connect client.connack "
	subscribed = cIn + cOut + "packets.subscribe.received packets.suback.sent client.subscribe " + checked
	published  = cIn + "packets.publish.received messages.received messages.publish " + checked
	delivered  = cOut + "packets.publish.sent messages.sent messages.delivered "
	unheard    = "messages.dropped messages.dropped.no_subscribers "
	left       = cIn + "packets.disconnect.received client.disconnected "
	sentAway   = cOut + "packets.disconnect.sent client.disconnected "
	puback     = cOut + "packets.puback.sent "
	lostAs     = "delivery.dropped delivery.dropped."
)

const meteredListeners = `
[listener.tcp.external]
bind = "127.0.0.1:0"
[listener.tcp.strict]
bind = "127.0.0.1:0"
zone = "strict"
[listener.tcp.closed]
bind = "127.0.0.1:0"
zone = "closed"
[listener.tcp.hasty]
bind = "127.0.0.1:0"
zone = "hasty"
[zone.hasty]
await_rel_timeout = "1s"
[zone.external]
mqueue_store_qos0 = false
max_mqueue_len = 1
max_awaiting_rel = 2
[listener.tcp.narrow]
bind = "127.0.0.1:0"
zone = "narrow"
[zone.narrow]
max_mqueue_bytes = 200
[zone.strict]
allow_anonymous = false
enable_acl = true
[zone.closed]
enable_acl = true
acl_nomatch = "deny"
`

// idle are the counters that no client moves here, with the reason in
// docs/metrics.md; those of plugins are moved in the tests of core/channel.
var idle = []string{
	"messages.forward", "messages.delayed", // no cluster, no delayed publish
	"client.acl.cache_hit", "packets.auth.sent", // need a plugin
}

// Each counter moves with what it counts, and with nothing else.
func TestEachCounterCounts(t *testing.T) {
	m := &meter{start(t, setup{plugins: []string{"retainer"}, listeners: meteredListeners}), nil, map[string]bool{}}
	m.last = m.counters()
	m.countConnections()
	m.countTraffic()
	m.countOddities()
	m.countDrops()
	m.countDenials()
	all := m.last
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if moved := m.moved[name] || strings.HasPrefix(name, "bytes.") && all[name] > 0; moved == slices.Contains(idle, name) {
			t.Errorf("%s: the test has moved it: %v", name, moved)
		}
	}
}

func (m *meter) countConnections() {
	a := m.dial(v5)
	m.counts("connect", func() { a.connect("a") }, accepted, "session.created")
	m.counts("ping", func() { a.ping() }, cIn, cOut, "packets.pingreq.received packets.pingresp.sent")
	m.counts("disconnect", func() { a.send(&packet.Disconnect{}); a.closed() }, left, "session.terminated")
	var c *client
	m.counts("keep a session", func() { c = m.dial(v5); c.resume("c") }, accepted, "session.created")
	m.counts("take over", func() { d := m.dial(v5); d.resume("c"); c.closed(); c = d }, accepted, sentAway, "session.takeovered session.resumed")
	m.counts("kick", func() { m.ctl("clients", "kick", "c"); c.closed() }, sentAway)
	m.counts("begin anew", func() { c = m.dial(v5); c.connect("c") }, accepted, "session.discarded session.created")
	m.counts("no login", func() { m.dialAt("tcp:strict", v5).connect("s") },
		refused, "packets.connack.auth_error client.authenticate client.auth.failure")
	m.counts("no client id", func() { m.dial(v311).connectWith(&packet.Connect{}) }, refused)
	stray := &packet.Auth{Code: packet.ReAuthenticate, Props: packet.AppendStringProp(nil, packet.PropAuthMethod, "x")}
	m.counts("AUTH out of place", func() { c.send(stray); c.closed() },
		cIn, "packets.auth.received", sentAway, "session.terminated")
}

func (m *meter) countTraffic() {
	a := m.dial(v5)
	m.counts("connect", func() { a.connect("a") }, accepted, "session.created")
	m.counts("subscribe", func() { a.subscribe("t/#", 2) }, subscribed)
	m.counts("QoS 0", func() { a.publish("t/0", "x", 0); a.expect("t/0", "x") },
		published, delivered, "messages.qos0.received messages.qos0.sent")
	m.counts("QoS 1", func() { a.publish("t/1", "x", 1); a.expect("t/1", "x") },
		published, delivered, puback, cIn, "packets.puback.received messages.qos1.received messages.qos1.sent messages.acked")
	m.counts("QoS 2", func() {
		a.publish("t/2", "x", 2)
		for done := 0; done < 2; { // own PUBCOMP, and PUBREL of the delivery
			p := a.read()
			if err := a.answer(p); err != nil {
				m.t.Fatal(err)
			}
			if k, ok := p.(*packet.Ack); ok && k.Kind != packet.TypePubrec {
				done++
			}
		}
	}, published, delivered, "packets.received=3 packets.sent=3 messages.qos2.received messages.qos2.sent messages.acked",
		"packets.pubrec.received packets.pubrec.sent packets.pubrel.received packets.pubrel.sent packets.pubcomp.received packets.pubcomp.sent")
	m.counts("nobody listens", func() { a.publishSync(&packet.Publish{Topic: "nobody", QoS: 1}) },
		published, puback, unheard, "messages.qos1.received")
	m.counts("retain", func() { a.publishSync(&packet.Publish{Topic: "kept", Payload: []byte("x"), QoS: 1, Retain: true}) },
		published, puback, unheard, "messages.qos1.received messages.retained")
	m.counts("read retained", func() { a.subscribe("kept", 0); a.expect("kept", "x") }, subscribed, delivered, "messages.qos0.sent")
	m.counts("unsubscribe", func() { a.send(&packet.Unsubscribe{PacketID: 9, Filters: []string{"kept"}}); a.read() },
		cIn, cOut, "packets.unsubscribe.received packets.unsuback.sent client.unsubscribe")
}

func (m *meter) countOddities() {
	a := m.dial(v5)
	m.counts("connect", func() { a.connect("odd") }, accepted, "session.created")
	m.counts("subscribe", func() { a.subscribe("o/#", 2) }, subscribed)
	m.counts("acknowledge nothing", func() {
		for _, kind := range []packet.Type{packet.TypePuback, packet.TypePubrec, packet.TypePubrel, packet.TypePubcomp} {
			a.send(&packet.Ack{Kind: kind, PacketID: 999})
		}
		a.read() // PUBREL
		a.read() // PUBCOMP
	}, "packets.received=4 packets.sent=2 packets.puback.received packets.puback.missed packets.pubrec.received packets.pubrec.missed",
		"packets.pubrel.received packets.pubrel.missed packets.pubcomp.received packets.pubcomp.missed packets.pubrel.sent packets.pubcomp.sent")
	m.counts("acknowledge by the wrong packet", func() {
		a.publish("o/2", "x", 2)
		var id uint16
		for id == 0 {
			if p, ok := a.read().(*packet.Publish); ok {
				id = p.PacketID
			}
		}
		a.send(&packet.Ack{Kind: packet.TypePuback, PacketID: id}, &packet.Ack{Kind: packet.TypePubcomp, PacketID: id})
		a.ping()
	}, published, delivered, "messages.qos2.received messages.qos2.sent packets.pubrec.sent packets.pubcomp.received packets.pubcomp.inuse",
		"packets.puback.received packets.puback.inuse packets.received=3 packets.sent=2 packets.pingreq.received packets.pingresp.sent")
	m.counts("PUBREC for QoS 1", func() {
		a.publish("o/1", "x", 1)
		p, _ := a.read().(*packet.Publish)
		if p == nil {
			p = a.read().(*packet.Publish)
		}
		a.send(&packet.Ack{Kind: packet.TypePubrec, PacketID: p.PacketID})
		for pubrel := false; !pubrel; {
			k, ok := a.read().(*packet.Ack)
			pubrel = ok && k.Kind == packet.TypePubrel
		}
	}, published, delivered, puback, cIn, cOut, "messages.qos1.received messages.qos1.sent packets.pubrec.received packets.pubrec.inuse packets.pubrel.sent")
	m.counts("repeat QoS 2", func() { a.send(&packet.Publish{Topic: "o/2", QoS: 2, PacketID: a.next - 1, Dup: true}); a.read() },
		cIn, cOut, "packets.publish.received messages.received messages.qos2.received packets.publish.inuse packets.pubrec.sent")
	m.counts("bad filters", func() {
		a.send(&packet.Subscribe{PacketID: 21, Filters: []packet.Filter{{Filter: "a/#/b"}}}, &packet.Unsubscribe{PacketID: 22, Filters: []string{"a/#/b"}})
		a.read()
		a.read()
	}, "packets.received=2 packets.sent=2 packets.subscribe.received packets.subscribe.error packets.suback.sent client.subscribe",
		"packets.unsubscribe.received packets.unsubscribe.error packets.unsuback.sent client.unsubscribe")
	m.counts("more QoS 2 than the receive maximum", func() {
		a.send(&packet.Publish{Topic: "x", QoS: 2, PacketID: 101})
		a.read()
		a.send(&packet.Publish{Topic: "x", QoS: 2, PacketID: 102})
		a.closed()
	}, published, cOut, "packets.pubrec.sent", unheard, "packets.received packets.publish.received messages.received messages.qos2.received=2",
		"packets.publish.dropped packets.publish.error", sentAway, "session.terminated")
}

func (m *meter) countDrops() {
	p, c := m.dial(v5), m.dial(v5)
	m.counts("connect", func() { p.connect("p") }, accepted, "session.created")
	m.counts("a small client", func() {
		c.connectWith(&packet.Connect{ClientID: "small", KeepAlive: 60, Props: packet.AppendUint32Prop(
			packet.AppendUint32Prop(nil, packet.PropMaximumPacketSize, 60), packet.PropSessionExpiry, 3600)})
	}, accepted, "session.created")
	m.counts("subscribe", func() { c.subscribe("d/#", 1) }, subscribed)
	m.counts("too large", func() { p.publishSync(&packet.Publish{Topic: "d", Payload: make([]byte, 100), QoS: 1}) },
		published, puback, "messages.qos1.received", lostAs+"too_large")
	m.counts("no local", func() {
		p.subscribeWith(packet.Filter{Filter: "own", NoLocal: true})
		p.publishSync(&packet.Publish{Topic: "own", QoS: 1})
	}, subscribed, published, puback, "messages.qos1.received", lostAs+"no_local")
	m.counts("go offline", func() { c.send(&packet.Disconnect{}); c.closed() }, left)
	m.counts("QoS 0 for nobody", func() { p.publishSync(&packet.Publish{Topic: "d", QoS: 0}) },
		published, cIn, cOut, "messages.qos0.received packets.pingreq.received packets.pingresp.sent", lostAs+"qos0_msg")
	m.counts("a full queue", func() {
		p.publishSync(&packet.Publish{Topic: "d", QoS: 1})
		p.publishSync(&packet.Publish{Topic: "d", QoS: 1, Props: packet.AppendUint32Prop(nil, packet.PropMessageExpiry, 1)})
	}, published, published, puback, puback, "messages.qos1.received=2", lostAs+"queue_full")
	n := m.dialAt("tcp:narrow", v5)
	m.counts("connect", func() { n.resume("narrow") }, accepted, "session.created")
	m.counts("subscribe", func() { n.subscribe("n", 1) }, subscribed)
	m.counts("go offline", func() { n.send(&packet.Disconnect{}); n.closed() }, left)
	m.counts("a queue with its bytes", func() {
		p.publishSync(&packet.Publish{Topic: "n", Payload: make([]byte, 100), QoS: 1})
		p.publishSync(&packet.Publish{Topic: "n", Payload: make([]byte, 100), QoS: 1})
	}, published, published, puback, puback, "messages.qos1.received=2", lostAs+"queue_full delivery.dropped.queue_bytes")
	kept := time.Now()
	m.eventually("the message has expired", func() bool { return time.Since(kept) > 1100*time.Millisecond })
	m.counts("expired", func() { c = m.dial(v5); c.resume("small") }, accepted, "session.resumed", lostAs+"expired")
}

func (m *meter) countDenials() {
	h := m.dialAt("tcp:hasty", v5)
	m.counts("connect", func() { h.connect("hasty") }, accepted, "session.created")
	m.counts("no PUBREL in time", func() { h.publish("x", "", 2); h.read() }, published, cOut, "packets.pubrec.sent messages.qos2.received",
		unheard, "messages.dropped messages.dropped.await_pubrel_timeout")
	a := m.dialAt("tcp:closed", v5)
	m.counts("connect", func() { a.connect("denied") }, accepted, "session.created")
	m.counts("publish", func() { a.publish("x", "", 1); a.read() }, cIn, puback, denied,
		"packets.publish.received messages.received messages.qos1.received packets.publish.error packets.publish.auth_error")
	m.counts("subscribe", func() { a.send(&packet.Subscribe{PacketID: 7, Filters: []packet.Filter{{Filter: "x"}}}); a.read() },
		cIn, cOut, denied, "packets.subscribe.received packets.subscribe.error packets.subscribe.auth_error packets.suback.sent client.subscribe")
}

// The gauges are of now and remember their highest values; what the node says
// about itself is no retained message of its users.
func TestStatsAreOfNow(t *testing.T) {
	b := start(t, setup{plugins: []string{"retainer"}, listeners: plainListener})
	stats := func() map[string]int64 {
		m := map[string]int64{}
		if err := json.Unmarshal([]byte(b.ctl("broker", "stats", "-o", "json")), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	a, c := b.dial(v5), b.dial(v5)
	a.connect("a")
	c.resume("c")
	a.subscribeWith(packet.Filter{Filter: "x/+"}, packet.Filter{Filter: "$share/g/y"})
	a.publishSync(&packet.Publish{Topic: "kept", Payload: []byte("x"), QoS: 1, Retain: true})
	got := stats()
	for name, want := range map[string]int64{
		"connections.count": 2, "live_connections.count": 2, "channels.count": 2, "sessions.count": 2, "topics.count": 2, "routes.count": 2,
		"subscriptions.count": 2, "suboptions.count": 2, "subscribers.count": 1, "subscriptions.shared.count": 1, "retained.count": 1, "delayed.count": 0,
	} {
		if got[name] != want {
			t.Errorf("%s = %d, want %d", name, got[name], want)
		}
	}
	a.send(&packet.Disconnect{})
	a.closed()
	c.send(&packet.Disconnect{})
	c.closed()
	b.eventually("the clients have gone", func() bool { got = stats(); return got["connections.count"] == 0 && got["sessions.count"] == 1 })
	for name, want := range map[string]int64{"connections.max": 2, "sessions.max": 2, "routes.max": 2, "subscriptions.count": 0, "retained.max": 1} {
		if got[name] != want {
			t.Errorf("%s = %d, want %d", name, got[name], want)
		}
	}
}
