package test

import (
	binaries "encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// A pair of clients that keep their own promises over lost connections, and a
// broker that is killed under them, again and again.

// killRounds is how often the broker is killed; killWindow how many messages the
// publisher has under way.
const (
	killRounds = 6
	killWindow = 40
	killStep   = 300 // messages that are acknowledged between two kills
)

// giver publishes numbered messages to one topic. Its state outlives
// connections; its methods belong to one goroutine at a time.
type giver struct {
	id     string
	topic  string
	qos    byte
	next   uint64   // the number to send next
	open   []inHand // unacknowledged, oldest first
	lastID uint16
	acked  atomic.Uint64 // numbers below it are acknowledged
	last   atomic.Uint64 // nothing from it on is sent; 0: no end
}

type inHand struct {
	number uint64
	id     uint16
	rel    bool // the broker has it: PUBREL is due
}

func (s *giver) packet(o *inHand, dup bool) packet.Packet {
	if o.rel {
		return &packet.Ack{Kind: packet.TypePubrel, PacketID: o.id}
	}
	return &packet.Publish{Topic: s.topic, QoS: s.qos, PacketID: o.id, Dup: dup, Payload: binaries.BigEndian.AppendUint64(nil, o.number)}
}

// run publishes over a connection until it breaks or all is acknowledged.
func (s *giver) run(c *client) error {
	if _, err := c.tryConnect(&packet.Connect{ClientID: s.id, KeepAlive: 60, Props: forAnHour(c.v)}); err != nil {
		return err
	}
	for i := range s.open {
		if err := c.trySend(s.packet(&s.open[i], true)); err != nil {
			return err
		}
	}
	for {
		if err := s.fill(c); err != nil {
			return err
		}
		if len(s.open) == 0 {
			return nil
		}
		p, err := c.tryRead()
		if err != nil {
			return err
		}
		ack, ok := p.(*packet.Ack)
		if !ok {
			return fmt.Errorf("the publisher got %v", p.Type())
		}
		if err := s.take(c, ack); err != nil {
			return err
		}
	}
}

func forAnHour(v packet.Version) packet.Props {
	if v != v5 {
		return nil
	}
	return packet.AppendUint32Prop(nil, packet.PropSessionExpiry, 3600)
}

func (s *giver) fill(c *client) error {
	for len(s.open) < killWindow && (s.last.Load() == 0 || s.next < s.last.Load()) {
		s.lastID = s.lastID%60_000 + 1
		o := inHand{number: s.next, id: s.lastID}
		s.next++
		s.open = append(s.open, o)
		if err := c.trySend(s.packet(&o, false)); err != nil {
			return err
		}
	}
	return nil
}

// take handles an acknowledgement. They come in order.
func (s *giver) take(c *client, ack *packet.Ack) error {
	for i := range s.open {
		o := &s.open[i]
		if o.id != ack.PacketID {
			continue
		}
		if ack.Code >= packet.UnspecifiedError && ack.Kind != packet.TypePubcomp {
			return fmt.Errorf("%v for %d says %v", ack.Kind, o.number, ack.Code)
		}
		if ack.Kind == packet.TypePubrec {
			o.rel = true
			return c.trySend(s.packet(o, false))
		}
		s.open = append(s.open[:i], s.open[i+1:]...)
		break
	}
	acked := s.next
	if len(s.open) > 0 {
		acked = s.open[0].number
	}
	s.acked.Store(acked)
	return nil
}

// taker takes messages of two givers over a session that survives.
type taker struct {
	id    string
	held  map[uint16]bool // QoS 2 identifiers between PUBLISH and PUBREL
	next  map[string]uint64
	again map[string]int
	wrong []string
	got   atomic.Uint64
	one   atomic.Uint64 // next of kill/1 and kill/2, for those who wait
	two   atomic.Uint64
}

// complete tells whether all that the givers have sent has come.
func (r *taker) complete(givers []*giver) bool {
	return r.one.Load() == givers[0].last.Load() && r.two.Load() == givers[1].last.Load()
}

func (r *taker) run(c *client) error {
	ack, err := c.tryConnect(&packet.Connect{ClientID: r.id, KeepAlive: 60, Props: forAnHour(c.v)})
	if err != nil {
		return err
	}
	if !ack.SessionPresent {
		if r.got.Load() > 0 {
			r.wrong = append(r.wrong, "the session is gone")
		}
		if err := c.trySend(&packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: "kill/#", QoS: 2}}}); err != nil {
			return err
		}
	}
	for {
		p, err := c.tryRead()
		if err != nil {
			return err
		}
		if err := r.take(c, p); err != nil {
			return err
		}
	}
}

func (r *taker) take(c *client, p packet.Packet) error {
	switch p := p.(type) {
	case *packet.Publish:
		if p.QoS == 2 && r.held[p.PacketID] {
			return c.trySend(&packet.Ack{Kind: packet.TypePubrec, PacketID: p.PacketID})
		}
		r.count(p)
		kind := packet.TypePuback
		if p.QoS == 2 {
			kind, r.held[p.PacketID] = packet.TypePubrec, true
		}
		return c.trySend(&packet.Ack{Kind: kind, PacketID: p.PacketID})
	case *packet.Ack:
		delete(r.held, p.PacketID)
		return c.trySend(&packet.Ack{Kind: packet.TypePubcomp, PacketID: p.PacketID})
	}
	return nil
}

// count checks a message that is new to the taker's protocol.
func (r *taker) count(p *packet.Publish) {
	n, want := binaries.BigEndian.Uint64(p.Payload), r.next[p.Topic]
	switch {
	case n == want:
		r.next[p.Topic]++
	case n > want:
		r.wrong = append(r.wrong, fmt.Sprintf("%s: %d came where %d was due", p.Topic, n, want))
		r.next[p.Topic] = n + 1
	case p.QoS == 2:
		r.wrong = append(r.wrong, fmt.Sprintf("%s: %d came twice", p.Topic, n))
	default:
		r.again[p.Topic]++
	}
	r.got.Add(1)
	r.one.Store(r.next["kill/1"])
	r.two.Store(r.next["kill/2"])
}

// TestKill: what was acknowledged arrives after a kill -9, in order, QoS 2 once.
func TestKill(t *testing.T) {
	for _, c := range []struct {
		durability string
		version    packet.Version
	}{{"async", v311}, {"sync", v5}} {
		t.Run(c.durability, func(t *testing.T) {
			t.Parallel()
			b := start(t, setup{config: "[zone.external]\nmax_mqueue_len = 0\ndurability = \"" + c.durability + "\"\n"})
			givers := []*giver{{id: "one", topic: "kill/1", qos: 1}, {id: "two", topic: "kill/2", qos: 2}}
			r := &taker{id: "r", held: map[uint16]bool{}, next: map[string]uint64{}, again: map[string]int{}}
			subscribeFirst(b, c.version, r.id)
			for round := range killRounds {
				killRound(b, c.version, givers, r, uint64((round+1)*killStep))
			}
			for _, s := range givers {
				s.last.Store(s.next)
			}
			killRound(b, c.version, givers, r, 0)
			for _, s := range givers {
				if r.next[s.topic] != s.next {
					t.Errorf("%s: %d of %d arrived", s.topic, r.next[s.topic], s.next)
				}
			}
			for _, w := range r.wrong[:min(10, len(r.wrong))] {
				t.Error(w)
			}
			t.Logf("%d and %d messages, %d of QoS 1 came again", givers[0].next, givers[1].next, r.again["kill/1"])
		})
	}
}

// subscribeFirst makes the taker's session, so that no message finds nobody.
func subscribeFirst(b *broker, v packet.Version, id string) {
	c := b.dial(v)
	c.resume(id)
	c.subscribe("kill/#", 2)
	c.close()
}

// killRound lets everybody work until the givers have so many acknowledgements,
// and kills the broker; 0: until all has arrived.
func killRound(b *broker, v packet.Version, givers []*giver, r *taker, acked uint64) {
	if b.cmd == nil {
		b.run()
	}
	var wg sync.WaitGroup
	var conns []*client
	work := func(run func(*client) error) {
		c := b.dial(v)
		conns = append(conns, c)
		wg.Go(func() { _ = run(c) })
	}
	work(r.run)
	for _, s := range givers {
		work(s.run)
	}
	if acked == 0 {
		b.eventually("everything arrives", func() bool {
			return givers[0].acked.Load() == givers[0].last.Load() && givers[1].acked.Load() == givers[1].last.Load() &&
				r.complete(givers)
		})
		for _, c := range conns {
			c.close()
		}
	} else {
		b.eventually("the givers get on", func() bool { return givers[0].acked.Load() >= acked && givers[1].acked.Load() >= acked })
		b.kill()
	}
	wg.Wait()
}
