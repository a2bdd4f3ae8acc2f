package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/dunlinmq/dunlin/bench/load"
	"github.com/dunlinmq/dunlin/core/packet"
)

// row is one line of the table.
type row struct {
	Name string
	// fresh rows have a broker of their own: its memory counts.
	fresh bool
	// own rows are of Dunlin only: they compare it with itself.
	own bool
	// keeps rows are of what a broker remembers: a forwarder has none.
	keeps bool
	run   func(ctx context.Context, i *instance, s scale) (sample, error)
}

// sample is what one run of a row has shown. Zero: does not apply.
type sample struct {
	Micros     float64 `json:"cpu_us"`     // processor time of the broker a message, cycle or item
	PerSecond  float64 `json:"per_second"` // messages, cycles or items
	P50        float64 `json:"p50_us"`
	P99        float64 `json:"p99_us"`
	P999       float64 `json:"p999_us"`
	Lost       uint64  `json:"lost"`
	OutOfOrder uint64  `json:"out_of_order"`
	Bytes      float64 `json:"bytes"` // memory a connection, subscription or message; at rest: all of it
	Generator  float64 `json:"generator_cpu"`
}

// scale is how large and how long the rows are.
type scale struct {
	time        time.Duration // of a row
	connections int           // idle ones; by TLS a quarter
	items       int           // subscriptions; retained and queued messages a tenth
	settle      time.Duration // how long a fresh broker is left alone first
	calm        time.Duration // and how long before its memory is read: a collector gives garbage back some seconds later
}

// flow is a row of `dunlin bench`.
func flow(name string, cfg load.Config) row {
	return row{Name: name, run: func(ctx context.Context, i *instance, s scale) (sample, error) {
		c := cfg
		if c.Clients.Version == 0 {
			c.Clients.Version = packet.V311
		}
		c.Flow.Size, c.PID = 64, i.cmd.Process.Pid
		c.Clients.KeepAlive = 600
		c.Pace.Warm, c.Pace.Duration = s.time/2, s.time
		c.Target.Host, c.Target.Port = "127.0.0.1", i.ports[0]
		switch {
		case c.Target.TLS != nil:
			c.Target.Port = i.ports[1]
		case c.Target.WebSocket != "":
			c.Target.Port = i.ports[2]
		}
		r, err := load.Run(ctx, c, nil)
		if err != nil {
			return sample{}, err
		}
		out := sample{
			Micros: r.Broker.MicrosPer, PerSecond: r.ReceivedPerSecond, P50: r.Latency.P50, P99: r.Latency.P99, P999: r.Latency.P999,
			Lost: r.Lost, OutOfOrder: r.OutOfOrder, Generator: r.Generator,
		}
		if c.Kind == load.Storm {
			out.PerSecond, out.Lost = r.CyclesPerSecond, uint64(r.Failed)
		}
		return out, nil
	}}
}

func own(r row) row {
	r.own = true
	return r
}

// of tells whether the row is run with b.
func (r *row) of(b *broker) bool {
	return b.name == "dunlin" || !r.own && !(r.keeps && b.name == floor)
}

// insecure trusts the certificate that the run has made.
var insecure = &tls.Config{InsecureSkipVerify: true}

// messages are load with so many clients; the flow says the rest.
func messages(kind load.Kind, clients int, f load.Flow) load.Config {
	return load.Config{Kind: kind, Clients: load.Clients{Count: clients}, Flow: f}
}

// rows are all there are, in the order of the table.
func rows() []row {
	v5 := messages(load.P2P, 10, load.Flow{})
	v5.Clients.Version = packet.V50
	v5qos1 := messages(load.P2P, 10, load.Flow{QoS: 1})
	v5qos1.Clients.Version = packet.V50
	ssl, ws := messages(load.P2P, 10, load.Flow{}), messages(load.P2P, 10, load.Flow{})
	ssl.Target.TLS, ws.Target.WebSocket = insecure, "/mqtt"
	return []row{
		flow("QoS 0, 10 pairs", messages(load.P2P, 10, load.Flow{})),
		flow("QoS 1, 10 pairs", messages(load.P2P, 10, load.Flow{QoS: 1})),
		flow("QoS 2, 10 pairs", messages(load.P2P, 10, load.Flow{QoS: 2})),
		flow("1 to 100", messages(load.Fan, 100, load.Flow{})),
		flow("1 to 1000", messages(load.Fan, 1000, load.Flow{})),
		flow("100 to 1", messages(load.Fan, 100, load.Flow{In: true})),
		flow("500 pairs, one at a time", messages(load.P2P, 500, load.Flow{Window: 1})),
		flow("10,000/s, QoS 0", messages(load.P2P, 10, load.Flow{Rate: 10_000})),
		flow("10,000/s, QoS 1", messages(load.P2P, 10, load.Flow{Rate: 10_000, QoS: 1})),
		flow("40,000/s, QoS 0", messages(load.P2P, 10, load.Flow{Rate: 40_000})),
		flow("storm, 50 clients", messages(load.Storm, 50, load.Flow{})),
		{Name: "idle connection", fresh: true, run: idle(nil)},
		{Name: "idle TLS connection", fresh: true, own: true, run: idle(insecure)},
		{Name: "subscription, publish", fresh: true, keeps: true, run: subscriptions},
		{Name: "retained, wildcard read", fresh: true, keeps: true, run: retained},
		{Name: "queued offline, drain", fresh: true, keeps: true, run: offline},
		{Name: "at rest", fresh: true, keeps: true, run: rest},
		own(flow("QoS 0, MQTT 5.0", v5)),
		own(flow("QoS 1, MQTT 5.0", v5qos1)),
		own(flow("QoS 0, TLS", ssl)),
		own(flow("QoS 0, WebSocket", ws)),
		amid(flow("QoS 0, 10 pairs", messages(load.P2P, 10, load.Flow{}))),
		own(flow("10,000/s, 500 pairs", messages(load.P2P, 500, load.Flow{Rate: 10_000}))),
		amid(flow("10,000/s, 500 pairs", messages(load.P2P, 500, load.Flow{Rate: 10_000}))),
	}
}

// idle is connections that do nothing, and what one costs in memory.
func idle(t *tls.Config) func(context.Context, *instance, scale) (sample, error) {
	return func(ctx context.Context, i *instance, s scale) (sample, error) {
		c := messages(load.Conn, s.connections, load.Flow{})
		c.Target, c.PID = load.Target{Host: "127.0.0.1", Port: i.ports[0], TLS: t}, i.cmd.Process.Pid
		c.Clients.KeepAlive, c.Pace.Duration = 600, s.time+s.calm
		if t != nil {
			c.Target.Port = i.ports[1]
			c.Clients.Count = max(s.connections/2, 1)
		}
		r, err := load.Run(ctx, c, nil)
		if err != nil {
			return sample{}, err
		}
		return sample{
			Micros: r.Broker.RampMicros, PerSecond: r.PerSecond, P50: r.Latency.P50, P99: r.Latency.P99, P999: r.Latency.P999,
			Lost: uint64(r.Failed + r.Closed), Bytes: r.Broker.PerConnection, Generator: r.Generator,
		}, nil
	}
}

// rest is a broker that nobody has spoken to.
func rest(ctx context.Context, i *instance, s scale) (sample, error) {
	select {
	case <-ctx.Done():
		return sample{}, ctx.Err()
	case <-time.After(s.time):
	}
	u, err := load.Measure(i.cmd.Process.Pid)
	if err != nil {
		return sample{}, fmt.Errorf("measure %s: %w", i.broker.name, err)
	}
	return sample{Bytes: float64(u.Proportional)}, nil
}
