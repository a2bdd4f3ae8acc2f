package test

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// exactPublisher publishes n numbered messages with QoS 2, one after the other, over
// whatever happens to the broker at addr: it keeps its session and repeats what is open
// as the standard wants it.
func exactPublisher(t *testing.T, addr, id, topic string, n int, done *atomic.Int64) {
	deadline := time.Now().Add(6 * patience)
	at, released := 0, false // the message under way, and whether its PUBREC has come
	for at < n {
		if time.Now().After(deadline) {
			t.Errorf("%s: %d of %d messages are published", id, at, n)
			return
		}
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			<-time.After(20 * time.Millisecond)
			continue
		}
		c := (&broker{t: t}).client(conn, v5)
		ack, err := c.tryConnect(&packet.Connect{ClientID: id, KeepAlive: 60, Props: forAnHour(v5)})
		if err == nil && !ack.SessionPresent {
			if released { // the broker has the message and does not know that it had to be released
				at, released = at+1, false
				done.Add(1)
			}
		}
		for again := true; err == nil && at < n; again = false {
			if !released {
				p := &packet.Publish{Topic: topic, Payload: fmt.Appendf(nil, "%s/%d", id, at), QoS: 2, PacketID: uint16(at%1000 + 1), Dup: again}
				if err = c.trySend(p); err == nil {
					err = awaitAck(c, packet.TypePubrec, p.PacketID)
				}
				released = err == nil
			}
			if released {
				if err = c.trySend(&packet.Ack{Kind: packet.TypePubrel, PacketID: uint16(at%1000 + 1)}); err == nil {
					err = awaitAck(c, packet.TypePubcomp, uint16(at%1000+1))
				}
				if err == nil {
					at, released = at+1, false
					done.Add(1)
				}
			}
		}
		c.close()
	}
}

// awaitAck reads until an acknowledgement comes.
func awaitAck(c *client, kind packet.Type, id uint16) error {
	for {
		p, err := c.tryRead()
		if err != nil {
			return err
		}
		switch a := p.(type) {
		case *packet.Ack:
			if a.Kind == kind && a.PacketID == id {
				if a.Code.Failed() && kind == packet.TypePubrec {
					return fmt.Errorf("PUBREC %v", a.Code)
				}
				return nil
			}
		case *packet.Disconnect:
			return fmt.Errorf("DISCONNECT %v", a.Code)
		}
	}
}

// exactReader counts each payload that comes to a session, over whatever happens to the
// broker at addr, until n different ones have come; it takes each identifier once until
// its PUBREL.
func exactReader(t *testing.T, addr, id string, n int) map[string]int {
	t.Helper()
	got, held := map[string]int{}, map[uint16]bool{}
	deadline := time.Now().Add(6 * patience)
	quiet := false // all have come: the rest of what comes is read
	for !quiet {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d messages came", len(got), n)
		}
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			<-time.After(20 * time.Millisecond)
			continue
		}
		c := (&broker{t: t}).client(conn, v5)
		ack, err := c.tryConnect(&packet.Connect{ClientID: id, KeepAlive: 60, Props: forAnHour(v5)})
		if err == nil && !ack.SessionPresent {
			t.Fatal("the reader's session is gone")
		}
		for err == nil && !quiet {
			if len(got) == n {
				quiet = true
				for _, p := range c.ping() {
					if p.QoS == 2 && !held[p.PacketID] {
						got[string(p.Payload)]++
					}
				}
				break
			}
			var p packet.Packet
			if p, err = c.tryRead(); err != nil {
				break
			}
			switch p := p.(type) {
			case *packet.Publish:
				if !held[p.PacketID] {
					held[p.PacketID] = true
					got[string(p.Payload)]++
				}
				err = c.trySend(&packet.Ack{Kind: packet.TypePubrec, PacketID: p.PacketID})
			case *packet.Ack:
				delete(held, p.PacketID)
				err = c.trySend(&packet.Ack{Kind: packet.TypePubcomp, PacketID: p.PacketID})
			}
		}
		c.close()
	}
	return got
}

// TestBridgeExactlyOnce: messages with QoS 2 come once, out and in, while the plugin,
// this broker and the other one are killed; mosquitto is not killed, since it keeps
// nothing then.
func TestBridgeExactlyOnce(t *testing.T) {
	t.Parallel()
	const writers, each = 6, 150
	for _, kind := range []string{"dunlin", "mosquitto"} {
		t.Run(kind, func(t *testing.T) {
			var addrB string
			kills := []func(){nil, nil, nil}
			if kind == "dunlin" {
				far := start(t, setup{listeners: fixedTCP(freePort(t)), config: "mqtt.max_mqueue_len = 100000\n"})
				addrB = far.addr("tcp:external")
				kills = append(kills, func() { far.kill(); far.run() })
			} else {
				addrB = startMosquitto(t).addr()
			}
			s := module("bridge_mqtt", fmt.Sprintf(`[plugin]
grant = ["publish", "kv:durable"]
[config.bridges.far]
address = "tcp://%s"
reconnect_min = "20ms"
reconnect_max = "200ms"
topics = [{filter = "out/#", direction = "out", qos = 2}, {filter = "in/#", direction = "in", qos = 2}]
`, addrB))
			s.listeners, s.config = fixedTCP(freePort(t)), "mqtt.max_mqueue_len = 100000\n"
			near := start(t, s)
			addrA := near.addr("tcp:external")
			near.connected()
			kills[0], kills[2] = near.killPlugin, near.killPlugin
			kills[1] = func() { near.kill(); near.run() }
			for i, way := range []struct{ topic, from, to string }{{"out/n", addrA, addrB}, {"in/n", addrB, addrA}} {
				reader := dialAddr(t, way.to, v5)
				id := fmt.Sprintf("reader%d", i)
				reader.resume(id)
				reader.subscribe(way.topic, 2)
				reader.close()
				var published atomic.Int64
				var all sync.WaitGroup
				for w := range writers {
					all.Go(func() { exactPublisher(t, way.from, "w"+strconv.Itoa(w), way.topic, each, &published) })
				}
				for k, kill := range kills {
					near.eventually("messages go on", func() bool { return published.Load() >= int64((k+1)*writers*each/(len(kills)+2)) })
					kill()
				}
				all.Wait()
				twice := 0
				for payload, n := range exactReader(t, way.to, id, writers*each) {
					if n != 1 {
						twice++
						t.Logf("%s came %d times", payload, n)
					}
				}
				if twice > 0 {
					t.Errorf("%s: %d messages came more than once", way.topic, twice)
				}
			}
		})
	}
}
