package test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// numbered reads messages "0", "1", ... of each topic and insists on their order
// and, but for QoS 0, that each comes once.
type numbered struct {
	t    *testing.T
	next map[string]int
}

func (n *numbered) take(p *packet.Publish) {
	n.t.Helper()
	if want := fmt.Sprint(n.next[p.Topic]); string(p.Payload) != want {
		n.t.Fatalf("%s: got %s, want %s", p.Topic, p.Payload, want)
	}
	n.next[p.Topic]++
}

// receive reads count PUBLISHes and goes through the receiver's half of their QoS.
func (n *numbered) receive(c *client, count int) {
	n.t.Helper()
	for got := 0; got < count; {
		switch p := c.read().(type) {
		case *packet.Publish:
			n.take(p)
			got++
			switch p.QoS {
			case 1:
				c.send(&packet.Ack{Kind: packet.TypePuback, PacketID: p.PacketID})
			case 2:
				c.send(&packet.Ack{Kind: packet.TypePubrec, PacketID: p.PacketID})
			}
		case *packet.Ack:
			if p.Kind == packet.TypePubrel {
				c.send(&packet.Ack{Kind: packet.TypePubcomp, PacketID: p.PacketID})
			}
		case nil:
			n.t.Fatal("the broker closed the connection")
		}
	}
}

// burst sends count numbered messages to each of two topics, in writes of many
// packets, at most window unacknowledged, and completes their QoS.
func burst(c *client, prefix string, qos byte, count int) {
	const window = 50
	for at := 0; at < count; at += window {
		var out []byte
		pending := 0
		for i := at; i < min(at+window, count); i++ {
			for _, topic := range []string{prefix + "/a", prefix + "/b"} {
				p := &packet.Publish{Topic: topic, Payload: fmt.Append(nil, i), QoS: qos}
				if qos > 0 {
					pending++
					p.PacketID = uint16(pending)
				}
				out = packet.Append(out, c.v, p)
			}
		}
		if err := c.raw(out); err != nil {
			c.t.Fatal(err)
		}
		if qos == 2 {
			pending *= 2 // PUBREC and PUBCOMP
		}
		for ; pending > 0; pending-- {
			ack, ok := c.read().(*packet.Ack)
			if !ok {
				c.t.Fatal("no acknowledgement")
			}
			if ack.Kind == packet.TypePubrec {
				c.send(&packet.Ack{Kind: packet.TypePubrel, PacketID: ack.PacketID})
			}
		}
	}
}

// TestOrder: per publisher and topic, to each subscriber, for each QoS
// [MQTT-4.6.0-6]; several publishers and subscribers at once.
func TestOrder(t *testing.T) {
	const count = 5000
	// The subscribers may fall behind by all that the publishers have.
	b := start(t, setup{config: "[zone.external]\nmax_mqueue_len = 100000\n"})
	for _, v := range []packet.Version{v311, v5} {
		for qos := range byte(3) {
			t.Run(fmt.Sprintf("%v QoS %d", v, qos), func(t *testing.T) {
				prefix := fmt.Sprintf("order/%d/%d", v, qos)
				done := make(chan struct{})
				subs := make([]*client, 2)
				for i := range subs {
					subs[i] = b.dial(v)
					subs[i].connect(fmt.Sprint(prefix, "/sub", i))
					subs[i].subscribe(prefix+"/#", qos)
				}
				go func() {
					defer close(done)
					for i := range 2 {
						p := b.dial(v)
						p.connect(fmt.Sprint(prefix, "/pub", i))
						burst(p, fmt.Sprint(prefix, "/", i), qos, count/2)
					}
				}()
				for _, s := range subs {
					(&numbered{t, map[string]int{}}).receive(s, 2*count)
				}
				<-done
			})
		}
	}
}

// TestOrderThroughTheQueue: what comes while the subscriber is away, and what it
// had not acknowledged, comes before what is new; QoS 2 once.
func TestOrderThroughTheQueue(t *testing.T) {
	b := start(t, setup{config: "[zone.external]\nmax_mqueue_len = 10000\n"})
	for qos := byte(1); qos <= 2; qos++ {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			prefix := fmt.Sprintf("queue/%d", qos)
			pub := b.dial(v311)
			pub.connect(prefix + "/pub")
			sub := b.dial(v311)
			resume := &packet.Connect{ClientID: prefix + "/sub", KeepAlive: 60}
			sub.connectWith(resume)
			sub.subscribe(prefix+"/#", qos)
			n := &numbered{t, map[string]int{}}
			burst(pub, prefix, qos, 10) // its first 20 stay unacknowledged
			sub.message0(t)
			sub.close()
			b.eventually("the subscriber is gone", func() bool { return strings.Contains(b.ctl("status"), "connections   : 1") })
			continueBurst(pub, prefix, qos, 10, 1000)
			again := b.dial(v311)
			if ack := again.connectWith(resume); !ack.SessionPresent {
				t.Fatal("the session is gone")
			}
			n.receive(again, 2*1000)
			again.close()
			pub.close()
			b.eventually("all clients are gone", func() bool { return strings.Contains(b.ctl("status"), "connections   : 0") })
			if n.next[prefix+"/a"] != 1000 || n.next[prefix+"/b"] != 1000 {
				t.Errorf("got %v", n.next)
			}
		})
	}
}

// message0 reads one PUBLISH without acknowledging it.
func (c *client) message0(t *testing.T) {
	t.Helper()
	if _, ok := c.read().(*packet.Publish); !ok {
		t.Fatal("no PUBLISH")
	}
}

// continueBurst is burst from a number on.
func continueBurst(c *client, prefix string, qos byte, from, to int) {
	for i := from; i < to; i++ {
		for _, topic := range []string{prefix + "/a", prefix + "/b"} {
			c.send(&packet.Publish{Topic: topic, Payload: fmt.Append(nil, i), QoS: qos, PacketID: 1})
			ack, ok := c.read().(*packet.Ack)
			if ok && ack.Kind == packet.TypePubrec {
				c.send(&packet.Ack{Kind: packet.TypePubrel, PacketID: 1})
				_, ok = c.read().(*packet.Ack)
			}
			if !ok {
				c.t.Fatal("no acknowledgement")
			}
		}
	}
}
