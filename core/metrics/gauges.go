package metrics

import (
	"reflect"
	"sync/atomic"
)

// Gauges are the numbers that rise and fall (emqx4 §6.3). Adding a gauge is
// adding a line.
type Gauges struct {
	Connections         Gauge `metric:"connections"`
	LiveConnections     Gauge `metric:"live_connections"`
	Channels            Gauge `metric:"channels"`
	Sessions            Gauge `metric:"sessions"`
	Topics              Gauge `metric:"topics"`
	SubOptions          Gauge `metric:"suboptions"`
	Subscribers         Gauge `metric:"subscribers"`
	Subscriptions       Gauge `metric:"subscriptions"`
	SubscriptionsShared Gauge `metric:"subscriptions.shared"`
	Routes              Gauge `metric:"routes"`
	Retained            Gauge `metric:"retained"`
	Delayed             Gauge `metric:"delayed"`
}

// Gauge is a number and the highest value that it had. The zero Gauge is ready;
// any goroutine may use it.
type Gauge struct {
	n, max atomic.Int64
	_      [48]byte // a cache line of its own
}

// Add changes the number by d.
func (g *Gauge) Add(d int64) { g.raise(g.n.Add(d)) }

// Set replaces the number.
func (g *Gauge) Set(v int64) { g.n.Store(v); g.raise(v) }

// Value is the number.
func (g *Gauge) Value() int64 { return g.n.Load() }

// Max is the highest value since the start, 0 if it never was positive.
func (g *Gauge) Max() int64 { return g.max.Load() }

func (g *Gauge) raise(v int64) {
	for m := g.max.Load(); v > m && !g.max.CompareAndSwap(m, v); m = g.max.Load() {
	}
}

func (g *Gauge) samples(dst []Sample, name string) []Sample {
	return append(dst, Sample{name + ".count", g.Value(), true}, Sample{name + ".max", g.Max(), true})
}

// named is a built-in gauge with its name.
type named struct {
	name  string
	gauge *Gauge
}

func (gs *Gauges) named() []named {
	v := reflect.ValueOf(gs).Elem()
	list := make([]named, v.NumField())
	for i := range list {
		list[i] = named{v.Type().Field(i).Tag.Get("metric"), v.Field(i).Addr().Interface().(*Gauge)}
	}
	return list
}
