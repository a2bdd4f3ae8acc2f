package load

import (
	"bytes"
	"math/bits"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

const (
	pumpBytes   = 32 << 10 // encoded before what is there is sent
	backlogMost = 4 << 20  // bytes that wait for a slow broker; what the rate asks for beyond is not sent
)

// publisher is the publishing side of a client, guarded as the client is.
type publisher struct {
	client *client
	index  uint32 // among the run's
	window int
	fan    uint64 // receptions that one message makes
	most   uint64 // messages to publish; 0: no end
	none   bool   // publish nothing: there are fewer messages than publishers

	packet    []byte // encoded; stamp and identifier are written over
	stampAt   int    // where the payload begins; 0: it is too short for a stamp
	id        uint16
	next      uint64 // sequence number
	seen      uint64 // receptions; lost ones too, as far as that is known
	seenLast  uint64 // seen when the watchdog last looked
	seenAt    int64  // when it had changed
	underWay  int    // not yet acknowledged, QoS 1 and 2
	sentTimes []int64
}

// newPublisher encodes the message of c once.
func newPublisher(c *client, index uint32, topic string) *publisher {
	f := &c.worker.run.cfg.Flow
	out := &packet.PublishOut{Topic: topic, QoS: f.QoS, Retain: f.Retain, Payload: f.Payload, PacketID: 1}
	if f.Payload == nil {
		out.Payload = bytes.Repeat([]byte("x"), f.Size)
	}
	p := &publisher{client: c, index: index, window: f.Window, fan: 1}
	p.packet = packet.AppendPublish(nil, c.worker.run.cfg.Clients.Version, out)
	if f.Payload == nil && f.Size >= Stamp {
		p.stampAt = len(p.packet) - f.Size
	}
	if f.QoS > 0 {
		p.sentTimes = make([]int64, 1<<bits.Len(uint(f.Window)))
	}
	return p
}

// emit encodes one message that is, or was to be, sent at at.
func (p *publisher) emit(at int64) {
	if p.sentTimes != nil {
		if p.id++; p.id == 0 {
			p.id = 1
		}
		packet.SetPacketID(p.packet, p.id)
		p.sentTimes[int(p.id)&(len(p.sentTimes)-1)] = at
		p.underWay++
	}
	if p.stampAt > 0 {
		stamp{run: p.client.worker.run.number, publisher: p.index, seq: p.next, at: at}.put(p.packet[p.stampAt:])
	}
	p.next++
	p.client.out = append(p.client.out, p.packet...)
	p.client.worker.count.sent++
	p.client.worker.mark(p.client)
}

// finished tells whether all has been sent.
func (p *publisher) finished() bool { return p.none || p.most > 0 && p.next >= p.most }

// acked takes a PUBACK, a PUBCOMP, or a PUBREC that refuses.
func (p *publisher) acked(id uint16, code packet.ReasonCode) {
	w := p.client.worker
	p.underWay--
	w.count.acked++
	if code >= 0x80 {
		w.count.refused++
	}
	if w.run.cfg.Kind == Pub && w.measuring {
		w.latency.add(w.now - p.sentTimes[int(id)&(len(p.sentTimes)-1)])
	}
	w.mark(p.client)
}

// room tells whether the window lets another message through.
func (p *publisher) room() bool {
	if p.finished() || p.sentTimes != nil && p.underWay >= p.window {
		return false
	}
	if p.client.worker.run.cfg.Kind == Pub {
		return true
	}
	return p.next*p.fan < p.seen+uint64(p.window)*p.fan
}

// pump encodes what the window allows.
func (p *publisher) pump(now int64) {
	w := p.client.worker
	if !w.flowing || w.rate > 0 || p.client.state != ready || p.client.blocked || w.run.cfg.Kind == Storm {
		return
	}
	for p.room() {
		if len(p.client.out) >= pumpBytes {
			w.mark(p.client)
			return
		}
		p.emit(now)
	}
}

// stalled is how long nothing must come of a full window before what is missing
// counts as lost. A busy machine may take a second.
const stalled = 2 * time.Second

// watch reopens a window that lost messages have closed: QoS 0 has no other end.
func (p *publisher) watch() {
	w := p.client.worker
	if p.seen != p.seenLast || p.seenAt == 0 {
		p.seenLast, p.seenAt = p.seen, w.now
		return
	}
	if w.flowing && w.rate == 0 && p.sentTimes == nil && p.seen < p.next*p.fan && w.now-p.seenAt > int64(stalled) {
		p.seen = p.next * p.fan
		w.count.stalls++
		w.mark(p.client)
	}
}
