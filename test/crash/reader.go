package crash

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// retryAfter is how long a client waits before it tries to connect again.
const retryAfter = 5 * time.Millisecond

// reader gets the messages of every writer in a session that outlives its
// connections, and keeps what a client has to keep.
type reader struct {
	b   *broker
	t   *tally
	rng *rand.Rand
	id  string
	v   packet.Version

	// Owned by run.
	held map[uint16]uint64 // QoS 2 identifiers that wait for PUBREL, with the number

	max []atomic.Uint64 // the largest number of each writer: all below it have come
}

func newReader(b *broker, t *tally, i int) *reader {
	writers, rng := b.cfg.Writers, rand.New(rand.NewPCG(b.cfg.Seed, uint64(100+i)))
	return &reader{b: b, t: t, rng: rng, id: "reader-" + strconv.Itoa(i), v: versionOf(2 * i), held: map[uint16]uint64{}, max: make([]atomic.Uint64, writers)}
}

// subscribe makes the session, before anybody writes.
func (r *reader) subscribe(ctx context.Context) error {
	c, err := r.b.connect(r.id, r.v, false)
	if err != nil {
		return err
	}
	defer c.close()
	c.send(&packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: "w/#", QoS: 2}}})
	p, err := c.read()
	if err != nil {
		return err
	}
	if ack, ok := p.(*packet.Suback); !ok || ack.Codes[0] != 2 {
		return fmt.Errorf("%+v answers SUBSCRIBE", p)
	}
	return ctx.Err()
}

// owed is how many acknowledged messages have not come.
func (r *reader) owed(writers []*writer) (n int64) {
	for i, w := range writers {
		if acked, got := w.acked.Load(), r.max[i].Load(); acked > got {
			n += int64(acked - got)
		}
	}
	return n
}

func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := r.b.connect(r.id, r.v, false)
		if err != nil {
			_ = wait(ctx, retryAfter)
			continue
		}
		if !c.present {
			r.t.wrong(&r.t.Sessions, 1, "%s: the session is gone", r.id)
		}
		end := context.AfterFunc(ctx, c.close)
		r.speak(c)
		end()
		c.close()
		if r.rng.IntN(3) == 0 {
			_ = wait(ctx, time.Duration(r.rng.Int64N(int64(300*time.Millisecond)))) // messages wait meanwhile
		}
	}
}

// speak takes messages over one connection until it breaks, or is cut.
func (r *reader) speak(c *conn) {
	for taken := 0; ; {
		p, err := c.read()
		if err != nil {
			return
		}
		switch p := p.(type) {
		case *packet.Publish:
			r.take(c, p)
			if taken++; r.b.cfg.Lag > 0 && taken%32 == 0 {
				_ = wait(context.Background(), r.b.cfg.Lag)
			}
		case *packet.Ack:
			if p.Kind == packet.TypePubrel {
				delete(r.held, p.PacketID)
				c.send(&packet.Ack{Kind: packet.TypePubcomp, PacketID: p.PacketID})
			}
		}
		if r.rng.IntN(r.b.cfg.Cut) == 0 {
			r.t.add(&r.t.Cut, 1)
			return
		}
	}
}

func (r *reader) take(c *conn, p *packet.Publish) {
	head, _, _ := bytes.Cut(p.Payload, []byte{' '})
	number, err := strconv.ParseUint(string(head), 10, 64)
	level := strings.Split(p.Topic, "/")
	writer, err2 := strconv.Atoi(level[min(1, len(level)-1)])
	if err != nil || err2 != nil || writer >= len(r.max) || p.QoS != qosOf(writer) {
		r.t.wrong(&r.t.Disorder, 1, "%s got %q with QoS %d", r.id, p.Topic, p.QoS)
		return
	}
	if p.QoS == 1 {
		r.count(writer, number, p)
		c.send(&packet.Ack{Kind: packet.TypePuback, PacketID: p.PacketID})
		return
	}
	switch before, held := r.held[p.PacketID]; {
	case held && before == number:
		// a repetition, which is none to the application
	case held:
		r.t.wrong(&r.t.Duplicates2, 1, "%s: packet identifier %d of %d is used for %d", r.id, p.PacketID, before, number)
	default:
		r.held[p.PacketID] = number
		r.count(writer, number, p)
	}
	c.send(&packet.Ack{Kind: packet.TypePubrec, PacketID: p.PacketID})
}

// count compares a message with what has come before.
func (r *reader) count(writer int, number uint64, p *packet.Publish) {
	r.t.add(&r.t.Delivered, 1)
	switch last := r.max[writer].Load(); {
	case number == last+1:
		r.max[writer].Store(number)
	case number > last:
		r.t.wrong(&r.t.Disorder, 1, "%s: %d of %s comes after %d, dup %v", r.id, number, p.Topic, last, p.Dup)
		r.max[writer].Store(number)
	case p.QoS == 2:
		r.t.wrong(&r.t.Duplicates2, 1, "%s: %d of %s comes after %d, dup %v", r.id, number, p.Topic, last, p.Dup)
	default:
		r.t.add(&r.t.Duplicates1, 1)
	}
}
