package load

import (
	"maps"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// Latency is quantiles in microseconds.
type Latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Result is what a run has shown. Its JSON keys are stable.
type Result struct {
	Kind    Kind    `json:"kind"`
	Version string  `json:"version"`
	Layers  string  `json:"transport"` // tcp, ssl, ws, wss
	Clients int     `json:"clients"`
	QoS     byte    `json:"qos"`
	Size    int     `json:"size"`
	Window  int     `json:"window,omitempty"`
	Rate    float64 `json:"rate,omitempty"`
	// Seconds is how long was measured; everything a second is of that time.
	Seconds     float64 `json:"seconds"`
	Interrupted bool    `json:"interrupted,omitempty"`

	// Of the connections.
	Ready       int64            `json:"ready"` // at the end of the ramp, less those that ended since
	Failed      int64            `json:"failed"`
	Closed      int64            `json:"closed_by_broker"`
	RampSeconds float64          `json:"ramp_seconds,omitempty"`
	PerSecond   float64          `json:"connects_per_second,omitempty"`
	Faults      map[string]int64 `json:"faults,omitempty"`

	// Of the messages, of the whole run.
	Sent       uint64 `json:"sent"`
	Acked      uint64 `json:"acked"`
	Refused    uint64 `json:"refused"`
	Received   uint64 `json:"received"`
	Lost       uint64 `json:"lost"`
	Duplicates uint64 `json:"duplicates"`
	OutOfOrder uint64 `json:"out_of_order"`
	Foreign    uint64 `json:"foreign,omitempty"`  // of somebody else, or too short to tell
	Withheld   uint64 `json:"withheld,omitempty"` // the rate asked for them, the broker was too slow
	Late       uint64 `json:"sent_late,omitempty"`
	Stalls     uint64 `json:"stalls,omitempty"` // windows that only lost messages held shut
	Cycles     uint64 `json:"cycles,omitempty"`

	// Of the measured time.
	SentPerSecond     float64 `json:"sent_per_second"`
	ReceivedPerSecond float64 `json:"received_per_second"`
	CyclesPerSecond   float64 `json:"cycles_per_second,omitempty"`
	// Latency is of the delivery; for Pub until the acknowledgement, for Conn until
	// the client was ready, for Storm a cycle.
	Latency Latency `json:"latency_us"`
	// Generator is how much of one processor the generator used. Near 1 for each
	// thread, it and not the broker was the limit.
	Generator float64 `json:"generator_cpu"`
	Broker    *Broker `json:"broker,omitempty"`

	measured uint64 // messages or cycles in the measured time
}

// Broker is what the run has cost the broker.
type Broker struct {
	CPU           float64 `json:"cpu"`                         // processors used in the measured time
	MicrosPer     float64 `json:"cpu_us_per_message"`          // or per cycle
	Resident      int64   `json:"rss_bytes"`                   // at the end
	Proportional  int64   `json:"pss_bytes"`                   // at the end
	PerConnection float64 `json:"bytes_per_connection"`        // resident memory that the ramp has added; of idle connections, what is left at the end
	RampMicros    float64 `json:"cpu_us_per_connect,omitzero"` // of the ramp
}

func newResult(r *run, took time.Duration, c0, c1 counts) *Result {
	f := &r.cfg.Flow
	s := took.Seconds()
	res := &Result{
		Kind: r.cfg.Kind, Version: r.cfg.Clients.Version.String(), Layers: r.target.layers(), Clients: len(r.all),
		QoS: f.QoS, Size: f.Size, Rate: f.Rate, Seconds: s,
		SentPerSecond:     float64(c1.sent-c0.sent) / s,
		ReceivedPerSecond: float64(c1.received-c0.received) / s,
		CyclesPerSecond:   float64(c1.cycles-c0.cycles) / s,
	}
	if f.Rate == 0 && r.cfg.Kind != Conn && r.cfg.Kind != Sub && r.cfg.Kind != Storm {
		res.Window = f.Window
	}
	switch r.cfg.Kind {
	case Pub:
		res.measured = c1.sent - c0.sent
	case Storm:
		res.measured = c1.cycles - c0.cycles
	default:
		res.measured = c1.received - c0.received
	}
	return res
}

func (t *target) layers() string {
	switch {
	case t.TLS != nil && t.WebSocket != "":
		return "wss"
	case t.TLS != nil:
		return "ssl"
	case t.WebSocket != "":
		return "ws"
	}
	return "tcp"
}

// settle takes the sums of the whole run.
func (res *Result) settle(m *meter) {
	c, _ := m.sum(false)
	res.Ready, res.Failed, res.Closed = c.ready, c.failed, c.closed
	res.Sent, res.Acked, res.Refused, res.Received = c.sent, c.acked, c.refused, c.received
	res.Duplicates, res.OutOfOrder, res.Foreign = c.duplicates, c.late, c.foreign
	res.Withheld, res.Late, res.Stalls, res.Cycles = c.withheld, c.lateOffered, c.stalls, c.cycles
	switch m.run.cfg.Kind {
	case P2P, Fan:
		var want uint64
		for _, p := range m.run.pubs {
			want += p.next * p.fan
		}
		res.Lost = want - min(want, c.received)
	case Sub:
		for _, w := range m.run.workers {
			res.Lost += w.gaps()
		}
	case Pub:
		if m.run.cfg.Flow.QoS > 0 {
			res.Lost = c.sent - min(c.sent, c.acked)
		}
	}
	m.run.mu.Lock()
	defer m.run.mu.Unlock()
	if len(m.run.faults) > 0 {
		res.Faults = maps.Clone(m.run.faults)
	}
}

// ramp takes what the connections have shown.
func (res *Result) ramp(took time.Duration, ready int64, latency hist) {
	res.RampSeconds = took.Seconds()
	res.PerSecond = float64(ready) / took.Seconds()
	if res.Kind == Conn {
		res.Latency = latency.latency()
	}
}

// brokerFigures are readings of the broker before and after the ramp, and before
// and after what was measured.
type brokerFigures struct{ before, up, start, end figures }

func (res *Result) broker(f brokerFigures, took time.Duration) {
	b := &Broker{CPU: share(f.end.cpu-f.start.cpu, took), Resident: f.end.rss, Proportional: f.end.pss}
	if res.measured > 0 {
		b.MicrosPer = float64((f.end.cpu - f.start.cpu).Nanoseconds()) / 1e3 / float64(res.measured)
	}
	if n := float64(res.Ready); n > 0 {
		held := f.up
		if res.Kind == Conn {
			held = f.end // nothing but the connections: what is left once the handshakes' garbage is collected
		}
		b.PerConnection = float64(held.rss-f.before.rss) / n
		b.RampMicros = float64((f.up.cpu - f.before.cpu).Nanoseconds()) / 1e3 / n
	}
	res.Broker = b
}

// share is how much of one processor was used.
func share(cpu, took time.Duration) float64 { return cpu.Seconds() / took.Seconds() }

// Speaks parses the version that people write: 3, 4, 5, or 3.1, 3.1.1, 5.0.
func Speaks(s string) (v packet.Version, ok bool) {
	switch s {
	case "3", "3.1":
		return packet.V31, true
	case "4", "3.1.1":
		return packet.V311, true
	case "5", "5.0":
		return packet.V50, true
	}
	return 0, false
}
