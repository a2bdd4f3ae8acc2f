package load

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/dunlinmq/dunlin/core/packet"
)

// link is the bytes of one connection. Its client calls it with the worker's lock.
type link interface {
	// write takes what it can and never blocks. When it has not taken all,
	// client.writable follows.
	write(p []byte) (int, error)
	// close ends the connection, at once for the client.
	close()
}

// state is how far a client has come.
type state byte

const (
	idle        state = iota // not begun, or ended
	dialing                  // no connection yet
	connecting               // CONNECT is sent
	subscribing              // SUBSCRIBE is sent
	ready
)

// client is one MQTT client. All of it is guarded by its worker's lock.
type client struct {
	worker *worker
	name   naming
	filter string // to subscribe; "": none
	state  state
	since  int64 // when the connection was begun

	link    link
	dec     packet.Decoder
	rest    []byte // the beginning of a packet
	out     []byte // to send
	blocked bool   // the link has not taken all of out
	queued  bool   // in worker.dirty

	pingEvery, pingAt int64 // nanoseconds; 0: no pings

	pub    *publisher // nil: none
	tracks map[uint64]*track
	shared bool // a shared subscription: what others receive is no gap
}

// naming is what %i, %c and %u stand for.
type naming struct {
	number   int
	id, user string
}

// fill puts the names into a topic, filter or user name.
func (n naming) fill(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	return strings.NewReplacer("%i", strconv.Itoa(n.number), "%c", n.id, "%u", n.user).Replace(s)
}

// subscribes makes c a subscriber of the topic or filter.
func (c *client) subscribes(filter string) {
	c.filter = c.name.fill(filter)
	c.shared = strings.HasPrefix(c.filter, "$share/") || strings.HasPrefix(c.filter, "$queue/")
	c.tracks = map[uint64]*track{}
}

// opened is called when there is a connection.
func (c *client) opened(l link) {
	cfg := &c.worker.run.cfg.Clients
	c.link, c.state, c.blocked = l, connecting, false
	c.rest, c.out = c.rest[:0], c.out[:0]
	c.dec = packet.Decoder{Version: cfg.Version, FromServer: true, MaxSize: 2 * MaxSize}
	p := &packet.Connect{ClientID: c.name.id, KeepAlive: cfg.KeepAlive, CleanStart: !cfg.Persist}
	if c.name.user != "" {
		p.Username, p.HasUsername = c.name.user, true
	}
	if cfg.Password != "" {
		p.Password, p.HasPassword = []byte(cfg.Password), true
	}
	if cfg.Persist && cfg.Version == packet.V50 {
		p.Props = packet.AppendUint32Prop(nil, packet.PropSessionExpiry, 3600)
	}
	c.pingEvery = int64(cfg.KeepAlive) * 1e9 * 3 / 4
	c.send(p)
}

// send encodes p for the end of the round.
func (c *client) send(p packet.Packet) {
	c.out = packet.Append(c.out, c.worker.run.cfg.Clients.Version, p)
	c.worker.mark(c)
}

// ack answers a message or an acknowledgement.
func (c *client) ack(kind packet.Type, id uint16) {
	c.out = packet.AppendAck(c.out, c.worker.run.cfg.Clients.Version, &packet.Ack{Kind: kind, PacketID: id})
	c.worker.mark(c)
}

// feed takes bytes that have arrived on l.
func (c *client) feed(l link, b []byte) {
	c.worker.now = c.worker.run.clock.now()
	if len(c.rest) > 0 {
		c.rest = append(c.rest, b...)
		b = c.rest
	}
	for {
		p, n, err := c.dec.Next(b)
		if err == nil && p != nil {
			err = c.handle(p)
		}
		if c.link != l {
			return // it has ended; there may be a new one already
		}
		if err != nil {
			c.lost(l, err)
			return
		}
		if p == nil {
			break
		}
		b = b[n:]
	}
	if c.rest = append(c.rest[:0], b...); len(b) == 0 && cap(c.rest) > 64<<10 {
		c.rest = nil
	}
}

// handle answers one packet of the broker.
func (c *client) handle(p packet.Packet) error {
	switch p := p.(type) {
	case *packet.Publish:
		c.received(p)
	case *packet.Ack:
		switch {
		case p.Kind == packet.TypePubrel:
			c.ack(packet.TypePubcomp, p.PacketID)
		case p.Kind == packet.TypePubrec && p.Code < 0x80:
			c.ack(packet.TypePubrel, p.PacketID)
		case c.pub != nil:
			c.pub.acked(p.PacketID, p.Code)
		}
	case *packet.Connack:
		return c.connected(p)
	case *packet.Suback:
		for _, code := range p.Codes {
			if code >= 0x80 {
				return fmt.Errorf("subscription of %s refused: %s", c.filter, code)
			}
		}
		c.settled()
	case *packet.Disconnect:
		return fmt.Errorf("disconnected: %s", p.Code)
	}
	return nil
}

func (c *client) connected(p *packet.Connack) error {
	if p.Code != packet.Success {
		return fmt.Errorf("refused: %s", p.Code)
	}
	if alive, ok := p.Props.Uint16(packet.PropServerKeepAlive); ok {
		c.pingEvery = int64(alive) * 1e9 * 3 / 4
	}
	if most, ok := p.Props.Uint16(packet.PropReceiveMaximum); ok && c.pub != nil {
		c.pub.window = min(c.pub.window, int(most))
	}
	if c.filter == "" {
		c.settled()
		return nil
	}
	c.state = subscribing
	c.send(&packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: c.filter, QoS: c.worker.run.cfg.Flow.QoS}}})
	return nil
}

// settled ends the handshakes.
func (c *client) settled() {
	w := c.worker
	c.state = ready
	c.pingAt = w.now + c.pingEvery
	w.count.ready++
	if w.run.cfg.Kind == Storm {
		c.pub.emit(w.now)
		return
	}
	if w.run.cfg.Kind == Conn {
		w.latency.add(w.now - c.since)
	}
	w.run.arrived()
	w.mark(c)
}

// received counts a message and answers it.
func (c *client) received(p *packet.Publish) {
	w := c.worker
	switch p.QoS {
	case 1:
		c.ack(packet.TypePuback, p.PacketID)
	case 2:
		c.ack(packet.TypePubrec, p.PacketID)
	}
	s, ok := readStamp(p.Payload)
	if !ok {
		w.count.foreign++
		return
	}
	from := w.run.publisherOf(s)
	if from == nil && w.run.cfg.Kind != Sub {
		w.count.foreign++
		return
	}
	key := uint64(s.run)<<32 | uint64(s.publisher)
	t := c.tracks[key]
	if t == nil {
		t = &track{begun: w.run.cfg.Kind != Sub}
		c.tracks[key] = t
	}
	before := t.next
	fresh, late := t.see(s.seq)
	if late {
		w.count.late++
	}
	if !fresh {
		w.count.duplicates++
		return
	}
	w.count.received++
	if w.measuring && w.run.cfg.Kind != Storm {
		w.latency.add(w.now - s.at)
	}
	if from != nil {
		// What was passed over is lost or late: the window does not wait for it.
		if !late {
			from.seen += t.next - before
		}
		w.mark(from.client)
		if w.run.cfg.Kind == Storm {
			c.cycled()
		}
	}
}

// cycled ends one cycle of a storm and begins the next.
func (c *client) cycled() {
	w := c.worker
	w.count.cycles++
	if w.measuring {
		w.latency.add(w.now - c.since)
	}
	c.hangUp()
	if w.flowing {
		w.begin(c)
	}
}

// hangUp takes leave.
func (c *client) hangUp() {
	if c.link == nil {
		return
	}
	if c.state >= connecting {
		c.send(&packet.Disconnect{})
	}
	c.flush()
	if c.state == ready {
		c.worker.count.ready--
	}
	if l := c.link; l != nil {
		c.link = nil
		l.close()
	}
	c.state = idle
}

// flush sends what is there.
func (c *client) flush() {
	if c.state < connecting || len(c.out) == 0 || c.blocked {
		return
	}
	n, err := c.link.write(c.out)
	if err != nil {
		c.lost(c.link, err)
		return
	}
	c.out = c.out[:copy(c.out, c.out[n:])]
	c.blocked = len(c.out) > 0
}

// writable is called when the link takes bytes again.
func (c *client) writable(l link) {
	if c.link == l {
		c.blocked = false
		c.worker.mark(c)
	}
}

// lost is called when the connection has failed (l is it; nil: there is none yet) or
// has been closed by the broker (io.EOF).
func (c *client) lost(l link, err error) {
	if c.link != l || c.state == idle {
		return
	}
	w, was := c.worker, c.state
	if c.link = nil; l != nil {
		l.close()
	}
	c.state = idle
	if errors.Is(err, io.EOF) {
		err = errors.New("closed by the broker")
	}
	switch {
	case w.run.cfg.Kind == Storm:
		if was == ready {
			w.count.ready--
		}
		w.count.failed++
		w.idle = append(w.idle, c)
		w.run.note(err)
	case was == ready:
		w.count.ready--
		w.count.closed++
		w.run.note(err)
	default:
		w.count.failed++
		w.run.failed(err)
	}
}
