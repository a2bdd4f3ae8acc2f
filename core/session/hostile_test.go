package session

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
)

// hostile drives a session with bytes: each asks for one call, with arguments
// that no good client and no good caller would choose.
type hostile struct {
	cfg  Config
	s    *Session
	e    Effects
	now  int64
	data []byte
}

// next takes one byte; 0 when there is none left.
func (h *hostile) next() byte {
	if len(h.data) == 0 {
		return 0
	}
	v := h.data[0]
	h.data = h.data[1:]
	return v
}

// id is an identifier that is in use in about half of all cases.
func (h *hostile) id() uint16 {
	v := h.next()
	if v < 128 {
		return uint16(v) % 20
	}
	return uint16(v) << 8
}

func (h *hostile) configure() {
	h.cfg = Config{
		MaxInflight:           uint16(h.next() % 6),
		RetryInterval:         time.Duration(h.next()%3) * time.Second,
		MaxAwaitingRel:        int(h.next() % 5),
		AwaitRelTimeout:       time.Duration(h.next()%3) * time.Second,
		MaxQueueLen:           1 + int(h.next()%5),
		Priorities:            map[string]uint8{"b": h.next(), "c": h.next()},
		DefaultPriorityLowest: h.next()&1 == 0,
		StoreQoS0:             h.next()&1 == 0,
		DropNewest:            h.next()&1 == 0,
		UpgradeQoS:            h.next()&1 == 0,
	}
}

func (h *hostile) deliver() {
	k := h.next()
	m := &message.Message{Topic: string("abc"[k%3]), QoS: k % 3, From: string("cd"[k%2])}
	if k&64 != 0 {
		m.Expiry = h.now + int64(k)*int64(time.Millisecond)
	}
	d := message.Delivery{Msg: m, Opts: message.SubOptions{QoS: k >> 2 % 3, NoLocal: k&128 != 0}}
	h.s.Deliver(h.now, d, &h.e)
}

// step makes one call.
func (h *hostile) step() {
	h.now += int64(h.next()) * int64(time.Millisecond)
	switch op := h.next() % 20; op {
	case 0:
		h.s.Attach(h.now, uint16(h.next()%8), h.next()&1 == 0, &h.e)
	case 1:
		h.s.Detach()
	case 2:
		h.s.Hold(h.next()&1 == 0)
	case 3:
		h.s.Pump(h.now, &h.e)
	case 4, 5:
		h.s.Tick(h.now, &h.e)
	case 6, 7:
		h.s.Puback(h.now, h.id(), &h.e)
	case 8, 9:
		h.s.Pubrec(h.now, h.id(), packet.ReasonCode(h.next()), &h.e)
	case 10, 11:
		h.s.Pubcomp(h.now, h.id(), &h.e)
	case 12:
		h.s.Skip(h.id(), h.now, &h.e)
	case 13:
		h.s.Receive(h.id()|1, h.now)
	case 14:
		h.s.Release(h.id())
	default:
		h.deliver()
	}
}

// check looks at what must hold after any call.
func (h *hostile) check(sent int) error {
	if err := checkInvariants(h.s); err != nil {
		return err
	}
	i := h.s.Info()
	if i.Inflight > i.MaxInflight || i.Queue > 3*h.cfg.MaxQueueLen {
		return fmt.Errorf("not bounded: %+v", i)
	}
	if limit := h.cfg.MaxAwaitingRel; limit > 0 && i.AwaitingRel > limit {
		return fmt.Errorf("%d identifiers wait, the limit is %d", i.AwaitingRel, limit)
	}
	if !h.s.Attached() && (sent > 0 || h.s.NextTick() != 0) {
		return fmt.Errorf("without connection: %d sent, next tick %d", sent, h.s.NextTick())
	}
	for _, o := range h.e.Send {
		if o.Rel == (o.Msg != nil) || (o.PacketID == 0) != (o.QoS == 0) || (o.Dup && o.QoS == 0) {
			return fmt.Errorf("nonsense is sent: %+v", o)
		}
	}
	return nil
}

// run makes calls until the bytes are used up; then a good client finishes.
func (h *hostile) run() error {
	h.configure()
	h.s = New("c", &h.cfg, epoch)
	h.now = epoch
	for len(h.data) > 0 {
		h.e.Reset()
		h.step()
		if err := h.check(len(h.e.Send)); err != nil {
			return err
		}
	}
	h.e.Reset()
	h.s.Attach(h.now, 0, false, &h.e)
	for len(h.e.Send) > 0 {
		ack(h.s, &h.e)
		h.s.Tick(h.now, &h.e)
	}
	if i := h.s.Info(); i.Inflight+i.Queue > 0 {
		return fmt.Errorf("a good client cannot finish: %+v", i)
	}
	return nil
}

// TestHostilePeer: whatever a client sends and in whatever order the session is
// called, its counts agree, its memory is bounded, it sends nothing without a
// connection, and a good client can finish afterwards.
func TestHostilePeer(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 9))
		data := make([]byte, 3000)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		h := hostile{data: data}
		if err := h.run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// FuzzCalls looks for the order of calls that TestHostilePeer does not find.
func FuzzCalls(f *testing.F) {
	f.Add([]byte("a session is called in any order"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h := hostile{data: data}
		if err := h.run(); err != nil {
			t.Fatal(err)
		}
	})
}
