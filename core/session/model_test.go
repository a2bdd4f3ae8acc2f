package session

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
)

// wire is one packet between the session and the simulated client.
type wire struct {
	kind packet.Type
	id   uint16
	qos  byte
	dup  bool
	code packet.ReasonCode
	n    int // number of the message
}

// world is a session, a client that obeys the standard, and a connection that
// breaks at random and then loses what is on its way in both directions.
type world struct {
	rng *rand.Rand
	cfg Config
	s   *Session
	e   Effects
	now int64

	connected  bool
	held       bool
	receiveMax int
	toClient   []wire
	toServer   []wire
	// outstanding are the identifiers of PUBLISHes of this connection whose quota
	// is not returned.
	outstanding map[uint16]bool

	published int          // messages delivered to the session so far
	mustCome  map[int]bool // QoS 1 and 2 without expiry
	optional  map[int]bool // with expiry; may also be skipped or refused
	client    client
	taken     []int // inbound messages that the broker published
}

// client is the other side; its state outlives connections.
type client struct {
	awaitingRel map[uint16]bool // QoS 2 received, PUBREL not
	first       [3]int          // number of the newest message by QoS: order
	got         map[int]int     // times that a message was handed to the application
	refused     map[int]bool

	sent   []wire // own QoS 2 publishes: PUBLISH or PUBREL state, in order
	next   int    // number of the next own message
	nextID uint16
}

func newWorld(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 7))
	w := &world{rng: rng, now: epoch, outstanding: map[uint16]bool{}, optional: map[int]bool{}, mustCome: map[int]bool{}}
	w.cfg = Config{
		MaxInflight: uint16(1 + rng.IntN(12)),
		StoreQoS0:   rng.IntN(2) == 0,
		UpgradeQoS:  rng.IntN(4) == 0,
	}
	if rng.IntN(2) == 0 {
		w.cfg.RetryInterval = time.Second
	}
	w.s = New("c", &w.cfg, w.now)
	w.client = client{awaitingRel: map[uint16]bool{}, got: map[int]int{}, refused: map[int]bool{}}
	return w
}

// flush puts the session's effects on the wire and checks the sender's promises.
func (w *world) flush() error {
	for i := 0; i < len(w.e.Send); i++ { // by index: Skip appends
		o := w.e.Send[i]
		if !w.connected {
			return fmt.Errorf("sends without connection: %+v", o)
		}
		if o.Rel {
			w.toClient = append(w.toClient, wire{kind: packet.TypePubrel, id: o.PacketID})
			continue
		}
		n := int(o.Msg.ID.Seq)
		if o.QoS > 0 && w.optional[n] && w.rng.IntN(4) == 0 { // too large for this client
			w.s.Skip(o.PacketID, w.now, &w.e)
			continue
		}
		if o.QoS > 0 {
			if o.PacketID == 0 || (w.outstanding[o.PacketID] && !o.Dup) {
				return fmt.Errorf("identifier %d is in use", o.PacketID)
			}
			w.outstanding[o.PacketID] = true
			if limit := min(w.receiveMax, int(w.cfg.MaxInflight)); len(w.outstanding) > limit {
				return fmt.Errorf("%d outstanding, the window is %d", len(w.outstanding), limit)
			}
		}
		w.toClient = append(w.toClient, wire{kind: packet.TypePublish, id: o.PacketID, qos: o.QoS, dup: o.Dup, n: n})
	}
	for _, d := range w.e.Drops {
		n := int(d.Msg.ID.Seq)
		if d.Msg.QoS > 0 && !w.optional[n] {
			return fmt.Errorf("dropped %d: %s", n, d.Reason)
		}
	}
	w.e.Reset()
	return checkInvariants(w.s)
}

func (w *world) connect() {
	w.connected, w.held = true, false
	w.receiveMax = 1 + w.rng.IntN(15)
	clear(w.outstanding)
	w.s.Attach(w.now, uint16(w.receiveMax), w.cfg.RetryInterval > 0, &w.e)
	for i := range w.client.sent { // the client's own redelivery [MQTT-4.4.0-1]
		w.client.sent[i].dup = w.client.sent[i].kind == packet.TypePublish
		w.toServer = append(w.toServer, w.client.sent[i])
	}
}

func (w *world) cut() {
	w.connected = false
	w.s.Detach()
	// Each side got some of what was under way; then the rest is lost.
	for w.rng.IntN(3) > 0 && len(w.toClient) > 0 {
		w.clientTakes()
	}
	w.toClient, w.toServer = nil, nil
}

func (w *world) deliver() {
	w.published++
	m := &message.Message{Topic: "t", QoS: byte(w.rng.IntN(3)), ID: message.ID{Seq: uint64(w.published)}}
	if w.rng.IntN(5) > 0 {
		if m.QoS > 0 {
			w.mustCome[w.published] = true
		}
	} else {
		w.optional[w.published] = true
		m.Expiry = w.now + int64(time.Duration(w.rng.IntN(3000))*time.Millisecond)
	}
	w.s.Deliver(w.now, message.Delivery{Msg: m, Opts: message.SubOptions{QoS: 2}}, &w.e)
}

// clientTakes handles the next packet at the client.
func (w *world) clientTakes() error {
	p := w.toClient[0]
	w.toClient = w.toClient[1:]
	c := &w.client
	switch p.kind {
	case packet.TypePublish:
		return w.clientTakesPublish(p)
	case packet.TypePubrel:
		delete(c.awaitingRel, p.id)
		w.answer(wire{kind: packet.TypePubcomp, id: p.id})
	case packet.TypePubrec:
		for i := range c.sent {
			if c.sent[i].id == p.id {
				c.sent[i].kind = packet.TypePubrel
				w.answer(wire{kind: packet.TypePubrel, id: p.id})
			}
		}
	case packet.TypePubcomp:
		for i := range c.sent {
			if c.sent[i].id == p.id && c.sent[i].kind == packet.TypePubrel {
				c.sent = append(c.sent[:i:i], c.sent[i+1:]...)
				break
			}
		}
	}
	return nil
}

func (w *world) clientTakesPublish(p wire) error {
	c := &w.client
	isNew := true
	switch p.qos {
	case 1:
		w.answer(wire{kind: packet.TypePuback, id: p.id})
		isNew = c.got[p.n] == 0
	case 2:
		if isNew = !c.awaitingRel[p.id]; isNew && w.optional[p.n] && (c.refused[p.n] || w.rng.IntN(3) == 0) {
			c.refused[p.n] = true
			w.answer(wire{kind: packet.TypePubrec, id: p.id, code: 0x97})
			return nil
		}
		if !isNew && !p.dup {
			return fmt.Errorf("new message %d under identifier %d, which the client holds", p.n, p.id)
		}
		c.awaitingRel[p.id] = true
		w.answer(wire{kind: packet.TypePubrec, id: p.id})
	}
	c.got[p.n]++
	if p.qos != 1 && isNew && c.got[p.n] > 1 {
		return fmt.Errorf("message %d with QoS %d came %d times", p.n, p.qos, c.got[p.n])
	}
	if !isNew {
		c.got[p.n] = 1
		return nil
	}
	if p.n <= c.first[p.qos] {
		return fmt.Errorf("QoS %d: message %d came after %d", p.qos, p.n, c.first[p.qos])
	}
	c.first[p.qos] = p.n
	return nil
}

func (w *world) answer(p wire) {
	if w.connected {
		w.toServer = append(w.toServer, p)
	}
}

// clientPublishes sends the client's own QoS 2 message.
func (w *world) clientPublishes() {
	c := &w.client
	if len(c.sent) >= 8 {
		return
	}
	c.next++
	c.nextID = c.nextID%20 + 1
	for _, p := range c.sent {
		if p.id == c.nextID {
			c.next--
			return
		}
	}
	p := wire{kind: packet.TypePublish, id: c.nextID, qos: 2, n: c.next}
	c.sent = append(c.sent, p)
	w.answer(p)
}

// serverTakes handles the next packet at the session.
func (w *world) serverTakes() error {
	p := w.toServer[0]
	w.toServer = w.toServer[1:]
	switch p.kind {
	case packet.TypePublish:
		if w.s.Receive(p.id, w.now) == ReceiveNew {
			w.taken = append(w.taken, p.n)
		}
		w.toClient = append(w.toClient, wire{kind: packet.TypePubrec, id: p.id})
	case packet.TypePubrel:
		w.s.Release(p.id)
		w.toClient = append(w.toClient, wire{kind: packet.TypePubcomp, id: p.id})
	case packet.TypePuback:
		delete(w.outstanding, p.id)
		w.s.Puback(w.now, p.id, &w.e)
	case packet.TypePubrec:
		if p.code >= 0x80 {
			delete(w.outstanding, p.id)
		}
		if !w.s.Pubrec(w.now, p.id, p.code, &w.e) && p.code < 0x80 {
			w.toClient = append(w.toClient, wire{kind: packet.TypePubrel, id: p.id, code: 0x92})
		}
	case packet.TypePubcomp:
		delete(w.outstanding, p.id)
		w.s.Pubcomp(w.now, p.id, &w.e)
	}
	return nil
}

// restart moves the session through its byte form, as a restart does.
func (w *world) restart() error {
	b, _ := w.s.AppendBinary(nil)
	s := New("", &w.cfg, 0)
	if err := s.UnmarshalBinary(b); err != nil {
		return err
	}
	w.s = s
	return nil
}

// step does one thing at random.
func (w *world) step() (err error) {
	w.now += int64(w.rng.IntN(20)) * int64(time.Millisecond)
	switch k := w.rng.IntN(100); {
	case k < 25:
		w.deliver()
	case k < 30:
		w.clientPublishes()
	case k < 60 && len(w.toClient) > 0:
		err = w.clientTakes()
	case k < 94 && len(w.toServer) > 0:
		err = w.serverTakes()
	case k < 95 && w.connected:
		w.cut()
	case k < 96 && !w.connected:
		err = w.restart()
	case k < 97 && w.connected:
		w.held = !w.held
		w.s.Hold(w.held)
		w.s.Pump(w.now, &w.e)
	case !w.connected:
		w.connect()
	default:
		if at := w.s.NextTick(); at != 0 && at <= w.now {
			w.s.Tick(w.now, &w.e)
		}
	}
	if err != nil {
		return err
	}
	return w.flush()
}

// settle lets a good connection finish everything.
func (w *world) settle() error {
	if w.connected {
		w.cut()
	}
	w.connect()
	for err := w.flush(); ; {
		switch {
		case err != nil:
			return err
		case len(w.toClient) > 0:
			err = w.clientTakes()
		case len(w.toServer) > 0:
			err = w.serverTakes()
		default:
			return nil
		}
		if err == nil {
			err = w.flush()
		}
	}
}

func (w *world) run(steps int) error {
	for range steps {
		if err := w.step(); err != nil {
			return err
		}
	}
	if err := w.settle(); err != nil {
		return err
	}
	if i := w.s.Info(); i.Inflight+i.Queue+i.AwaitingRel != 0 {
		return fmt.Errorf("not finished: %+v", i)
	}
	for i, n := range w.taken {
		if n != i+1 {
			return fmt.Errorf("inbound QoS 2: message %d is number %d", n, i+1)
		}
	}
	if len(w.taken) != w.client.next {
		return fmt.Errorf("inbound QoS 2: took %d of %d", len(w.taken), w.client.next)
	}
	return nil
}

// TestLossyPeer: QoS 2 exactly once [MQTT-4.3.3], QoS 1 at least once
// [MQTT-4.3.2], QoS 0 at most once [MQTT-4.3.1], in order within each QoS
// [MQTT-4.6.0-6], never more outstanding than the window [MQTT-3.3.4-9],
// identifiers never 0 nor in use [MQTT-2.2.1-4], over lost connections and
// restarts.
func TestLossyPeer(t *testing.T) {
	for seed := range uint64(120) {
		w := newWorld(seed)
		if err := w.run(1000); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := w.complete(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// complete checks that nothing is missing that must come.
func (w *world) complete() error {
	for n := range w.mustCome {
		if w.client.got[n] == 0 {
			return fmt.Errorf("message %d was lost", n)
		}
	}
	return nil
}
