package test

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// receiver is a subscriber with a session that outlives its connections: it
// remembers what the standard tells it to and counts what comes.
type receiver struct {
	id   string
	held map[uint16]bool // QoS 2 packet ids whose PUBREL has not come
	next int             // the number that comes next
	dups int
}

// lost is how many answers at the end of a connection do not reach the broker:
// fewer than its window holds, so that packets come until all have been lost.
const lost = 20

// take reads from c until the number to has come, or until answers are lost, to
// PUBLISH and PUBREL alike, from where some stop messages have come on this
// connection.
func (r *receiver) take(c *client, to, stop int) error {
	for n, unanswered := 0, 0; r.next < to && unanswered < lost; {
		p, err := c.tryRead()
		if err != nil {
			return err
		}
		if n < stop-lost {
			if err := c.answer(p); err != nil {
				return err
			}
		} else {
			unanswered++
		}
		switch p := p.(type) {
		case *packet.Ack:
			if p.Kind == packet.TypePubrel {
				delete(r.held, p.PacketID)
			}
		case *packet.Publish:
			n++
			if p.QoS == 2 && r.held[p.PacketID] {
				continue // known: the answer was lost
			}
			if p.QoS == 2 {
				r.held[p.PacketID] = true
			}
			if err := r.count(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// count insists that p is the next number, or at QoS 1 one that comes again.
func (r *receiver) count(p *packet.Publish) error {
	number, err := strconv.Atoi(string(p.Payload))
	switch {
	case err != nil:
		return err
	case number == r.next:
		r.next++
	case number < r.next && p.QoS == 1 && p.Dup:
		r.dups++
	default:
		return fmt.Errorf("got %d (QoS %d, DUP %v), want %d", number, p.QoS, p.Dup, r.next)
	}
	return nil
}

// TestOrderAcrossBrokenConnections: twenty thousand messages, through the offline
// queue and on live connections that break again and again in the middle, come
// in order: at QoS 1 with duplicates that say so, at QoS 2 exactly once
// [MQTT-4.4.0-1], [MQTT-4.6.0-6].
func TestOrderAcrossBrokenConnections(t *testing.T) {
	const (
		queued = 10_000
		total  = 20_000
		chunk  = 50
		breaks = 700 // messages on one connection
	)
	b := start(t, setup{config: "[zone.external]\nmax_mqueue_len = 0\n"})
	for _, v := range []packet.Version{v311, v5} {
		for qos := byte(1); qos <= 2; qos++ {
			t.Run(fmt.Sprintf("%v QoS %d", v, qos), func(t *testing.T) {
				topic := fmt.Sprintf("numbers/%d/%d", v, qos)
				r := &receiver{id: "receiver/" + topic, held: map[uint16]bool{}}
				first := b.dial(v)
				first.resume(r.id)
				first.subscribe(topic, qos)
				first.close()
				pub := b.dial(v)
				pub.connect("publisher/" + topic)
				publish := func(from, to int) error {
					for at := from; at < to; at += chunk {
						var ps []packet.Packet
						for i := at; i < at+chunk; i++ {
							ps = append(ps, &packet.Publish{Topic: topic, Payload: fmt.Append(nil, i), QoS: qos, PacketID: uint16(i - at + 1)})
						}
						if err := errors.Join(pub.trySend(ps...), pub.await(chunk)); err != nil {
							return err
						}
					}
					return nil
				}
				if err := publish(0, queued); err != nil {
					t.Fatal(err)
				}
				live := make(chan error, 1)
				go func() { live <- publish(queued, total) }()
				connections := 0
				for ; r.next < total; connections++ {
					c := b.dial(v)
					if ack := c.resume(r.id); !ack.SessionPresent {
						t.Fatal("the session is gone")
					}
					if err := r.take(c, total, breaks); err != nil && err != io.EOF {
						t.Fatal(err)
					}
					c.close()
				}
				if err := <-live; err != nil {
					t.Fatal(err)
				}
				t.Logf("%d connections, %d duplicates", connections, r.dups)
				if qos == 1 && r.dups == 0 {
					t.Error("nothing came twice: no connection broke in the middle")
				}
				last := b.dial(v)
				last.resume(r.id)
				for _, p := range last.ping() {
					if !p.Dup {
						t.Errorf("after the end came %q without DUP", p.Payload)
					}
				}
				last.close()
			})
		}
	}
}
