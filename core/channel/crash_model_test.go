package channel_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/core/store/pebble"
	"github.com/dunlinmq/dunlin/core/store/storetest"
)

// model is clients that keep their side of MQTT's promises around a node that crashes, and what the node owes them.
type model struct {
	w       *world
	rng     *rand.Rand
	clients []*person
	power   func() store.Store // ends the disk as a loss of power does, and opens it again; nil: what was written stays
	crashes int
}

const people = 4

func newModel(seed uint64, st store.Store) *model {
	m := &model{w: newWorld(), rng: rand.New(rand.NewPCG(seed, 9))}
	z := &m.w.zone
	z.Durability = store.Async
	z.Session = session.Config{MaxInflight: 4, StoreQoS0: true}
	z.MaxSessionExpiry = 0xFFFFFFFF
	m.w.disk = &disk{Gate: storetest.NewGate(st), mem: st}
	m.w.disk.open()
	m.w.build()
	for i := range people {
		p := &person{m: m, i: i, id: "c" + strconv.Itoa(i), qos: byte(1 + i%2), v: []packet.Version{packet.V50, packet.V311}[i/2%2],
			subs: map[string]byte{}, held: map[uint16]string{}}
		for j := range p.from {
			p.from[j].got = map[int]bool{}
		}
		m.clients = append(m.clients, p)
	}
	return m
}

// step does one random thing.
func (m *model) step() error {
	p := m.clients[m.rng.IntN(people)]
	switch n := m.rng.IntN(100); {
	case n < 25:
		p.publish(1 + m.rng.IntN(6))
	case n < 60:
		return p.read(m.rng.IntN(8))
	case n < 75:
		return m.release(m.rng.IntN(4))
	case n < 80:
		return m.release(-1)
	case n < 86:
		p.change()
	case n < 92:
		return p.cut()
	case n < 93:
		m.w.advance(time.Duration(m.rng.IntN(int(time.Minute))))
	case n == 93 && m.rng.IntN(2) == 0:
		return m.crash()
	default:
		p.connect()
	}
	return nil
}

func (m *model) release(n int) error {
	err := m.w.disk.Release(n)
	m.w.run()
	return err
}

// crash ends the node with what is not safe, and compares what comes back.
func (m *model) crash() error {
	m.crashes++
	for _, p := range m.clients {
		if err := p.gone(); err != nil {
			return err
		}
	}
	if m.power != nil {
		m.w.disk.mem = m.power()
	}
	if err := m.w.crash(); err != nil {
		return err
	}
	for _, p := range m.clients {
		if err := p.compare(); err != nil {
			return err
		}
	}
	return nil
}

// settle lets everybody come and have everything, and says what is owed.
func (m *model) settle() error {
	for range 10_000 {
		busy := false
		for _, p := range m.clients {
			p.connect()
			if err := p.read(-1); err != nil {
				return err
			}
			busy = busy || len(p.under) > 0 || p.open != nil || p.link != nil && len(p.link.pending) > 0
		}
		waiting, _ := m.w.disk.Waiting()
		if !busy && waiting == 0 {
			break
		}
		if err := m.release(-1); err != nil {
			return err
		}
	}
	for _, p := range m.clients {
		if len(p.under) > 0 {
			return fmt.Errorf("%s has no acknowledgement of %d", p.id, p.under[0].n)
		}
		for j := range p.from {
			for _, n := range p.from[j].due {
				if !p.from[j].got[n] {
					return fmt.Errorf("%s has not got %d of %s, which was acknowledged", p.id, n, m.clients[j].id)
				}
			}
		}
	}
	return nil
}

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

// run has everybody subscribe, does some steps and settles.
func (m *model) run(t *testing.T, seed uint64, steps int) {
	t.Helper()
	for range people * people {
		for _, p := range m.clients {
			p.connect()
			if len(p.subs) < people {
				p.change()
			}
		}
		if err := m.settle(); err != nil {
			t.Fatalf("seed %d, at the start: %v", seed, err)
		}
	}
	for i := range steps {
		if err := m.step(); err != nil {
			t.Fatalf("seed %d, step %d, after %d crashes: %v", seed, i, m.crashes, err)
		}
	}
	if err := m.settle(); err != nil {
		t.Fatalf("seed %d, at the end, after %d crashes: %v", seed, m.crashes, err)
	}
}

// TestCrashModel: random clients, acknowledgements of the disk at random times, and crashes that take what the disk has not
// acknowledged: sessions, subscriptions and messages are as was acknowledged, QoS 2 once, in order.
func TestCrashModel(t *testing.T) {
	crashes, got := 0, 0
	for seed := range uint64(60) {
		m := newModel(seed, mem.New())
		m.run(t, seed, 600)
		crashes += m.crashes
		for _, p := range m.clients {
			for i := range p.from {
				got += len(p.from[i].got)
			}
		}
	}
	if crashes < 100 || got < 10_000 {
		t.Errorf("only %d crashes and %d messages", crashes, got)
	}
}

// TestLyingDisk: as TestCrashModel in the class sync, with a store on a disk that loses a part of what was not synced.
func TestLyingDisk(t *testing.T) {
	for seed := range uint64(8) {
		fs := vfs.NewCrashableMem()
		open := func() *pebble.Store {
			s, err := pebble.Open(pebble.Config{Dir: "/s", FS: fs, MemTableBytes: 256 << 10, SyncInterval: time.Hour})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			return s
		}
		on := open()
		m := newModel(seed, prompt{on})
		m.w.zone.Durability = store.Sync
		m.power = func() store.Store {
			lost := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: m.rng.IntN(100), RNG: m.rng})
			if err := on.Close(); err != nil {
				t.Fatal(err)
			}
			fs = lost
			on = open()
			return prompt{on}
		}
		m.run(t, seed, 500)
		if err := on.Close(); err != nil {
			t.Error(err)
		}
	}
}

// prompt is a store that has completed a batch when Commit returns, on the caller's goroutine.
type prompt struct{ store.Store }

func (p prompt) Commit(b *store.Batch, d store.Durability, done store.Completion) error {
	done.Done(store.Apply(context.Background(), p.Store, b, d))
	return nil
}
