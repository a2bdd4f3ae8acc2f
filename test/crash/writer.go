package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/packet"
)

// window is how many publications a writer has under way.
const window = 16

// writer publishes numbered messages, each again until it is acknowledged, as a
// client does that has its session on a disk.
type writer struct {
	b     *broker
	t     *tally
	rng   *rand.Rand
	id    string
	topic string
	qos   byte
	v     packet.Version

	// Owned by run.
	under  []under // oldest first
	number uint64  // the last
	packet uint16  // the last identifier
	known  bool    // the broker has the session

	acked atomic.Uint64 // all numbers up to it are acknowledged
}

// under is a publication under way.
type under struct {
	number  uint64
	id      uint16
	rel     bool // PUBREC has come
	done    bool // acknowledged, and one before it is not
	payload []byte
}

func newWriter(b *broker, t *tally, i int, rng *rand.Rand) *writer {
	w := &writer{b: b, t: t, rng: rng, id: "writer-" + strconv.Itoa(i), qos: qosOf(i), v: versionOf(i), topic: topicOf(i)}
	return w
}

func qosOf(i int) byte { return byte(1 + i%2) }

func versionOf(i int) packet.Version {
	if i/2%2 == 1 {
		return packet.V311
	}
	return packet.V50
}

func topicOf(writer int) string { return fmt.Sprintf("w/%d/q%d", writer, qosOf(writer)) }

// run publishes until stop, and then until all is acknowledged or ctx ends.
func (w *writer) run(ctx context.Context, stop <-chan struct{}) {
	for ctx.Err() == nil {
		select {
		case <-stop:
			if len(w.under) == 0 {
				return
			}
		default:
		}
		c, err := w.b.connect(w.id, w.v, false)
		if err != nil {
			_ = wait(ctx, retryAfter)
			continue
		}
		if w.known && !c.present {
			w.t.wrong(&w.t.Sessions, 1, "%s: the session is gone", w.id)
		}
		w.known = true
		w.speak(ctx, c, stop)
		c.close()
	}
}

// speak resends and goes on over one connection until it breaks, or is cut.
func (w *writer) speak(ctx context.Context, c *conn, stop <-chan struct{}) {
	for i := range w.under {
		if !w.under[i].done {
			w.send(c, &w.under[i], true)
		}
	}
	for ctx.Err() == nil {
		select {
		case <-stop:
			if len(w.under) == 0 {
				return
			}
		default:
			w.fill(c)
		}
		p, err := c.read()
		if err != nil {
			return
		}
		if ack, ok := p.(*packet.Ack); ok {
			w.take(c, ack)
		}
		if w.rng.IntN(w.b.cfg.Cut) == 0 {
			w.t.add(&w.t.Cut, 1)
			return
		}
	}
}

// One packet in so many makes a client cut its connection, if Config does not say.
const cutOne = 20_000

func (w *writer) fill(c *conn) {
	for len(w.under) < window {
		w.number++
		w.packet = w.packet%0xFFFF + 1
		u := under{number: w.number, id: w.packet, payload: strconv.AppendUint(nil, w.number, 10)}
		u.payload = append(append(u.payload, ' '), make([]byte, w.rng.IntN(200))...)
		w.under = append(w.under, u)
		w.send(c, &w.under[len(w.under)-1], false)
	}
}

func (w *writer) send(c *conn, u *under, again bool) {
	if u.rel {
		c.send(&packet.Ack{Kind: packet.TypePubrel, PacketID: u.id})
		return
	}
	w.t.add(&w.t.Sent, 1)
	c.send(&packet.Publish{Topic: w.topic, Payload: u.payload, QoS: w.qos, PacketID: u.id, Dup: again})
}

// take works off an acknowledgement.
func (w *writer) take(c *conn, ack *packet.Ack) {
	at := -1
	for i := range w.under {
		if w.under[i].id == ack.PacketID && !w.under[i].done {
			at = i
		}
	}
	switch {
	case at < 0:
		return // of a repetition
	case ack.Code >= packet.UnspecifiedError && ack.Kind != packet.TypePubcomp:
		w.t.wrong(&w.t.Lost, 1, "%s: %d is refused with %v", w.id, w.under[at].number, ack.Code)
	case ack.Kind == packet.TypePubrec:
		w.under[at].rel = true
		c.send(&packet.Ack{Kind: packet.TypePubrel, PacketID: ack.PacketID})
		return
	}
	w.under[at].done = true
	n := 0
	for n < len(w.under) && w.under[n].done {
		w.acked.Store(w.under[n].number)
		n++
	}
	w.under = append(w.under[:0], w.under[n:]...)
	w.t.add(&w.t.Acknowledged, int64(n))
}
