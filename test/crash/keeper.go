package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/dunlinmq/dunlin/core/packet"
)

// keeper changes retained messages and its own subscriptions one after another,
// and looks after each kill whether they are what was acknowledged. Of a change
// under way the old and the new are right.
type keeper struct {
	b        *broker
	t        *tally
	rng      *rand.Rand
	retained bool

	// Owned by run.
	known  bool
	packet uint16
	number int
	values map[string]string // retained topics and payloads
	subs   map[string]byte   // filters and QoS
	open   *change           // sent and not acknowledged
}

// change is one change of a topic's message or a filter.
type change struct {
	id     uint16
	topic  string // "": a subscription
	filter string
	value  string // ""; cleared
	qos    byte
	leave  bool // UNSUBSCRIBE
}

const keeperID = "keeper"

func newKeeper(b *broker, t *tally, retained bool, rng *rand.Rand) *keeper {
	return &keeper{b: b, t: t, rng: rng, retained: retained, values: map[string]string{}, subs: map[string]byte{}}
}

// run changes things until stop.
func (k *keeper) run(ctx context.Context, stop <-chan struct{}) {
	for ctx.Err() == nil {
		c, err := k.b.connect(keeperID, packet.V50, false)
		if err != nil {
			_ = wait(ctx, retryAfter)
			continue
		}
		if k.known && !c.present {
			k.t.wrong(&k.t.Sessions, 1, "%s: the session is gone", keeperID)
		}
		first := !k.known
		k.known = true
		if first || k.look() == nil {
			k.speak(c, stop)
		}
		c.close()
		select {
		case <-stop:
			if k.open == nil {
				return
			}
		default:
		}
	}
}

// speak makes changes over one connection until it breaks or stop comes.
func (k *keeper) speak(c *conn, stop <-chan struct{}) {
	for {
		if k.open == nil {
			select {
			case <-stop:
				return
			default:
			}
			k.open = k.think()
		}
		k.send(c, k.open)
		for k.open != nil {
			p, err := c.read()
			if err != nil {
				return
			}
			k.take(p)
		}
	}
}

// think is the next change.
func (k *keeper) think() *change {
	k.packet = k.packet%0xFFFF + 1
	ch := &change{id: k.packet}
	which := strconv.Itoa(k.rng.IntN(50))
	if k.retained && k.rng.IntN(2) == 0 {
		ch.topic = "r/" + which
		if k.rng.IntN(4) > 0 {
			k.number++
			ch.value = strconv.Itoa(k.number)
		}
		return ch
	}
	ch.filter, ch.qos, ch.leave = "s/"+which, byte(k.rng.IntN(3)), k.rng.IntN(3) == 0
	return ch
}

func (k *keeper) send(c *conn, ch *change) {
	switch {
	case ch.topic != "":
		c.send(&packet.Publish{Topic: ch.topic, Payload: []byte(ch.value), QoS: 1, PacketID: ch.id, Retain: true})
	case ch.leave:
		c.send(&packet.Unsubscribe{PacketID: ch.id, Filters: []string{ch.filter}})
	default:
		c.send(&packet.Subscribe{PacketID: ch.id, Filters: []packet.Filter{{Filter: ch.filter, QoS: ch.qos}}})
	}
}

// take applies what is acknowledged.
func (k *keeper) take(p packet.Packet) {
	ch := k.open
	switch p := p.(type) {
	case *packet.Ack:
		if p.PacketID != ch.id || ch.topic == "" {
			return
		}
	case *packet.Suback:
		if p.PacketID != ch.id || p.Codes[0] >= packet.UnspecifiedError {
			return
		}
	case *packet.Unsuback:
		if p.PacketID != ch.id {
			return
		}
	default:
		return
	}
	k.apply(ch)
	k.open = nil
}

func (k *keeper) apply(ch *change) {
	switch {
	case ch.topic != "" && ch.value == "":
		delete(k.values, ch.topic)
	case ch.topic != "":
		k.values[ch.topic] = ch.value
	case ch.leave:
		delete(k.subs, ch.filter)
	default:
		k.subs[ch.filter] = ch.qos
	}
}

// look compares the broker with what was acknowledged. An error says that the
// broker went away meanwhile.
func (k *keeper) look() error {
	subs, err := k.b.subscriptions(keeperID)
	if err != nil {
		return err
	}
	values := map[string]string{}
	if k.retained {
		if values, err = k.b.kept("r/#"); err != nil {
			return err
		}
	}
	// The change under way: take over what has become of it.
	if ch := k.open; ch != nil {
		qos, there := subs[ch.filter]
		switch {
		case ch.topic != "" && values[ch.topic] == ch.value, ch.filter != "" && there != ch.leave && (ch.leave || qos == ch.qos):
			k.apply(ch)
		}
		if ch.filter != "" {
			k.open = nil // SUBSCRIBE is not sent again [MQTT-4.4.0-1]
		}
	}
	differ(k.t, score{"retained", &k.t.Retained, &k.t.RetainedOK}, k.values, values)
	differ(k.t, score{"subscription", &k.t.Subscribed, &k.t.SubscribedOK}, k.subs, subs)
	k.values, k.subs = values, subs
	return nil
}

// score is where a comparison is counted.
type score struct {
	what      string
	bad, good *int64
}

// differ counts the keys whose values differ, and those that agree.
func differ[V comparable](t *tally, s score, want, got map[string]V) {
	for key, v := range want {
		if g, ok := got[key]; !ok || g != v {
			t.wrong(s.bad, 1, "%s %s is %v (there: %v), acknowledged was %v", s.what, key, g, ok, v)
		} else {
			t.add(s.good, 1)
		}
	}
	for key, g := range got {
		if _, ok := want[key]; !ok {
			t.wrong(s.bad, 1, "%s %s is %v, acknowledged was that it is gone", s.what, key, g)
		}
	}
}

// kept is what is retained for a filter, read by a client of its own.
func (b *broker) kept(filter string) (map[string]string, error) {
	c, err := b.connect("looker", packet.V50, true)
	if err != nil {
		return nil, err
	}
	defer c.close()
	got := map[string]string{}
	c.send(&packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: filter, QoS: 1}}})
	// Messages of its own mark the end of what is retained.
	c.send(&packet.Subscribe{PacketID: 2, Filters: []packet.Filter{{Filter: "end/looker", QoS: 1, RetainHandling: 2}}})
	for quiet := 0; quiet < 2; {
		p, err := c.read()
		if err != nil {
			return nil, err
		}
		switch p := p.(type) {
		case *packet.Publish:
			if p.Topic == "end/looker" {
				quiet++
				if quiet < 2 {
					c.send(&packet.Publish{Topic: "end/looker", QoS: 0})
				}
				continue
			}
			quiet = 0
			got[p.Topic] = string(p.Payload)
			if p.QoS > 0 {
				c.send(&packet.Ack{Kind: packet.TypePuback, PacketID: p.PacketID})
			}
		case *packet.Suback:
			if p.Codes[0] >= packet.UnspecifiedError {
				return nil, fmt.Errorf("SUBSCRIBE is refused with %v", p.Codes[0])
			}
			if p.PacketID == 2 {
				c.send(&packet.Publish{Topic: "end/looker", QoS: 0})
			}
		}
	}
	return got, nil
}
