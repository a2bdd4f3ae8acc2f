package channel_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/dunlinmq/dunlin/core/packet"
)

// person is a client with a session that outlives its connections.
type person struct {
	m    *model
	i    int
	id   string
	qos  byte
	v    packet.Version
	link *link // nil: not connected

	greeted bool // CONNACK has come on this connection
	known   bool // it has come once
	packet  uint16

	// Of the publisher.
	n      int
	under  []sending
	firsts [][people]int // by number less 1: the epochs of the subscriptions when it was sent first
	// Of the subscriber.
	subs map[string]byte // acknowledged
	open *subscribing    // under way
	held map[uint16]string
	from [people]stream
}

type sending struct {
	n    int
	id   uint16
	rel  bool
	done bool
}

type subscribing struct {
	id     uint16
	filter string
	leave  bool
}

// stream is what came of one publisher.
type stream struct {
	epoch int // of the subscription; 0: there is none for sure
	last  int // its latest epoch
	max   int
	got   map[int]bool
	due   []int
}

func topicOfPerson(i int) string { return "m/" + strconv.Itoa(i) }

func (p *person) send(ps ...packet.Packet) {
	var b []byte
	for _, k := range ps {
		b = packet.Append(b, p.v, k)
	}
	if p.link != nil && len(b) > 0 {
		p.link.receive(b)
		p.m.w.run()
	}
}

func (p *person) connect() {
	if p.link != nil && !p.link.closed {
		return
	}
	p.greeted = false
	p.link = p.m.w.open(p.id, "", "", "")
	p.link.version = p.v
	c := &packet.Connect{Version: p.v, ClientID: p.id}
	if p.v == packet.V50 {
		c.Props = packet.AppendUint32Prop(nil, packet.PropSessionExpiry, 100_000)
	}
	p.send(c)
}

// cut ends the connection, perhaps after reading some more.
func (p *person) cut() error {
	if p.link == nil {
		return nil
	}
	l := p.link
	err := p.gone()
	l.lost()
	p.m.w.run()
	return err
}

// gone forgets the connection. What was sent before may still arrive.
func (p *person) gone() error {
	if p.link == nil {
		return nil
	}
	l := p.link
	l.rest = nil
	err := p.take(l, p.m.rng.IntN(10), false)
	p.link, p.greeted = nil, false
	if p.open != nil { // it is not sent again: what became of it is seen by who looks
		p.open = &subscribing{filter: p.open.filter, leave: p.open.leave}
	}
	return err
}

// read takes up to n packets (negative: all) and answers them.
func (p *person) read(n int) error {
	if p.link == nil {
		return nil
	}
	return p.take(p.link, n, true)
}

func (p *person) take(l *link, n int, answers bool) error {
	d := packet.Decoder{FromServer: true, Version: p.v}
	var out []packet.Packet
	for ; n != 0 && len(l.pending) > 0; n-- {
		k, size, err := d.Next(l.pending)
		if err != nil || size == 0 {
			return fmt.Errorf("%s was sent %x: %w", p.id, l.pending, err)
		}
		answer, err := p.handle(k)
		if err != nil {
			return err
		}
		l.pending = l.pending[size:]
		out = append(out, answer...)
	}
	if answers {
		p.send(out...)
	}
	if p.link != nil && p.link.closed && len(l.pending) == 0 {
		p.link, p.greeted = nil, false
	}
	return nil
}

func (p *person) handle(k packet.Packet) ([]packet.Packet, error) {
	switch k := k.(type) {
	case *packet.Connack:
		return p.greet(k)
	case *packet.Publish:
		return p.got(k)
	case *packet.Suback:
		return nil, p.changed(k.PacketID)
	case *packet.Unsuback:
		return nil, p.changed(k.PacketID)
	case *packet.Ack:
		return p.acked(k), nil
	case *packet.Disconnect:
		return nil, fmt.Errorf("%s is sent away with %v", p.id, k.Code)
	}
	return nil, fmt.Errorf("%s was sent %T", p.id, k)
}

func (p *person) greet(k *packet.Connack) (out []packet.Packet, err error) {
	if k.Code != packet.Success || p.known && !k.SessionPresent {
		return nil, fmt.Errorf("%s is greeted with %v, present %v", p.id, k.Code, k.SessionPresent)
	}
	p.greeted, p.known = true, true
	if p.open != nil && p.open.id == 0 { // ask again what was not answered
		p.packet++
		p.open.id = p.packet
		out = append(out, p.open.packet())
	}
	for i := range p.under {
		switch u := &p.under[i]; {
		case u.done:
		case u.rel:
			out = append(out, &packet.Ack{Kind: packet.TypePubrel, PacketID: u.id})
		default:
			out = append(out, p.publication(u, true))
		}
	}
	return out, nil
}

func (s *subscribing) packet() packet.Packet {
	if s.leave {
		return &packet.Unsubscribe{PacketID: s.id, Filters: []string{s.filter}}
	}
	return &packet.Subscribe{PacketID: s.id, Filters: []packet.Filter{{Filter: s.filter, QoS: 2}}}
}

// change subscribes or unsubscribes.
func (p *person) change() {
	if !p.greeted || p.open != nil {
		return
	}
	p.packet++
	s := &subscribing{id: p.packet, filter: topicOfPerson(p.m.rng.IntN(people))}
	_, s.leave = p.subs[s.filter]
	if s.leave && p.m.rng.IntN(10) > 0 {
		return // mostly they stay
	}
	i, _ := strconv.Atoi(s.filter[2:])
	p.from[i].epoch = 0
	p.open = s
	p.send(s.packet())
}

func (p *person) changed(id uint16) error {
	if p.open == nil || p.open.id != id {
		return nil
	}
	i, _ := strconv.Atoi(p.open.filter[2:])
	f := &p.from[i]
	delete(p.subs, p.open.filter)
	if !p.open.leave {
		p.subs[p.open.filter] = 2
		f.last++
		f.epoch = f.last
	}
	p.open = nil
	return nil
}

// compare looks at what the node has of the client after a crash.
func (p *person) compare() error {
	c := p.m.w.env.Registry.Lookup(p.id)
	if c == nil {
		if p.known {
			return fmt.Errorf("the session of %s is gone", p.id)
		}
		return nil
	}
	got := maps.Collect(func(yield func(string, byte) bool) {
		for f, o := range c.Session().Subscriptions() {
			if !yield(f, o.QoS) {
				return
			}
		}
	})
	if o := p.open; o != nil {
		delete(got, o.filter)
	}
	want := maps.Clone(p.subs)
	if o := p.open; o != nil {
		delete(want, o.filter)
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("%s has subscribed %v, acknowledged was %v", p.id, got, want)
	}
	return nil
}

func (p *person) publish(n int) {
	if !p.greeted {
		return
	}
	var out []packet.Packet
	for ; n > 0 && len(p.under) < 8; n-- {
		p.n++
		p.packet = p.packet%0xFFFF + 1
		p.under = append(p.under, sending{n: p.n, id: p.packet})
		var epochs [people]int
		for j, s := range p.m.clients {
			epochs[j] = s.from[p.i].epoch
		}
		p.firsts = append(p.firsts, epochs)
		out = append(out, p.publication(&p.under[len(p.under)-1], false))
	}
	p.send(out...)
}

func (p *person) publication(u *sending, again bool) packet.Packet {
	return &packet.Publish{Topic: topicOfPerson(p.i), Payload: strconv.AppendInt(nil, int64(u.n), 10), QoS: p.qos, PacketID: u.id, Dup: again}
}

func (p *person) acked(k *packet.Ack) []packet.Packet {
	if k.Kind == packet.TypePubrel {
		delete(p.held, k.PacketID)
		return []packet.Packet{&packet.Ack{Kind: packet.TypePubcomp, PacketID: k.PacketID}}
	}
	at := slices.IndexFunc(p.under, func(u sending) bool { return u.id == k.PacketID && !u.done })
	if at < 0 {
		return nil
	}
	u := &p.under[at]
	if k.Kind == packet.TypePuback || k.Kind == packet.TypePubrec && !u.rel {
		for j, s := range p.m.clients {
			if e := p.firsts[u.n-1][j]; e != 0 && e == s.from[p.i].epoch {
				s.from[p.i].due = append(s.from[p.i].due, u.n)
			}
		}
	}
	if k.Kind == packet.TypePubrec {
		u.rel = true
		return []packet.Packet{&packet.Ack{Kind: packet.TypePubrel, PacketID: u.id}}
	}
	u.done = true
	for len(p.under) > 0 && p.under[0].done {
		p.under = p.under[1:]
	}
	return nil
}

func (p *person) got(k *packet.Publish) ([]packet.Packet, error) {
	i, err1 := strconv.Atoi(k.Topic[2:])
	n, err2 := strconv.Atoi(string(k.Payload))
	if err1 != nil || err2 != nil || k.QoS != p.m.clients[i].qos {
		return nil, fmt.Errorf("%s got %+v", p.id, k)
	}
	f, text := &p.from[i], k.Topic+" "+string(k.Payload)
	ack := &packet.Ack{Kind: packet.TypePuback, PacketID: k.PacketID}
	if k.QoS == 2 {
		ack.Kind = packet.TypePubrec
		switch held, ok := p.held[k.PacketID]; {
		case ok && held == text:
			return []packet.Packet{ack}, nil
		case ok:
			return nil, fmt.Errorf("%s got %s with the identifier of %s", p.id, text, held)
		case f.got[n]:
			return nil, fmt.Errorf("%s got %s a second time, dup %v", p.id, text, k.Dup)
		}
		p.held[k.PacketID] = text
	}
	// Who subscribes between a publication and its repetition may get it after others.
	if first := p.m.clients[i].firsts[n-1][p.i]; !f.got[n] && n < f.max && first != 0 && first == f.epoch {
		return nil, fmt.Errorf("%s got %s after %d", p.id, text, f.max)
	}
	f.got[n], f.max = true, max(f.max, n)
	return []packet.Packet{ack}, nil
}
