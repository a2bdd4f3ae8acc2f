package plugin

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// grantAll is a fixture with one plugin "a" that has every capability.
func grantAll(t *testing.T, hooks string, p *builtinPlugin) (*fixture, func() *Spec) {
	f := newFixture(t)
	var spec *Spec
	p.open = func(s *Spec) error { spec = s; return nil }
	all := `["publish", "topicstore", "kv", "metric"]`
	f.add("a", "capabilities = "+all+"\n"+hooks, p)
	f.write("etc/a.toml", "[plugin]\ngrant = "+all+"\n")
	f.start("a.\n")
	return f, func() *Spec { return spec }
}

func record(topic, payload string) []byte {
	var w contract.Writer
	w.Begin(contract.Header{Hook: contract.HookPublish, Flags: contract.FlagRetain.WithQoS(1)})
	w.String(contract.SlotTopic, topic)
	w.String(contract.SlotPayload, payload)
	w.Uint32(contract.SlotExpiry, 60)
	w.End()
	return w.Frame()
}

// Publications leave in order, named after the plugin, with one hop more; the
// hop limit ends loops.
func TestPublications(t *testing.T) {
	f, spec := grantAll(t, hookLine(contract.HookPublished, ""), always(contract.Next, 0))
	pub := spec().Services.Publish
	const n = 1000
	for i := range n {
		if err := pub.Publish(record(fmt.Sprint("t/", i), "x"), 2); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all published", func() bool { return len(f.messages()) == n })
	for i, m := range f.messages() {
		if m.Topic != fmt.Sprint("t/", i) || m.Origin != message.OriginPlugin || m.From != "a" || m.Hops != 3 || m.QoS != 1 || !m.Retain || m.Expiry == 0 {
			t.Fatalf("message %d: %+v", i, m)
		}
	}
	if err := pub.Publish(record("t", ""), event.MaxHops); Errno(err) != contract.ErrnoQuota {
		t.Errorf("hops: %v", err)
	}
	for _, bad := range [][]byte{nil, {1, 2}, record("a/#", ""), append(record("t", ""), record("t", "")...)} {
		if err := pub.Publish(bad, 0); Errno(err) != contract.ErrnoInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if l := f.List()[0]; l.Looped != 1 {
		t.Errorf("%d loops", l.Looped)
	}
}

// A plugin that publishes faster than the broker takes is told so.
func TestPublicationsAreBounded(t *testing.T) {
	q := newPump(nil, nil)
	o := &outbox{plugin: &loaded{name: "a", host: &host{Config: Config{Now: time.Now}}, log: zap.NewNop()}, pump: q}
	for i := range maxPending {
		if err := o.Publish(record("t", ""), 0); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := o.Publish(record("t", ""), 0); Errno(err) != contract.ErrnoQuota {
		t.Errorf("error %v", err)
	}
	if n := len(q.take()); n != maxPending || o.waiting != 0 || o.bytes != 0 {
		t.Errorf("%d taken, %d waiting, %d bytes", n, o.waiting, o.bytes)
	}
	big := strings.Repeat("x", maxPendingBytes/2)
	if o.Publish(record("t", big), 0) != nil || o.Publish(record("t", big), 0) == nil {
		t.Error("bytes are not bounded")
	}
}

// The provider of retained messages works through the records of its calls: no
// payload goes through the plugin.
func TestRetained(t *testing.T) {
	p := &builtinPlugin{}
	p.on = func(_ *builtinInstance, c *Call) error {
		frame := c.Frame
		var w contract.VerdictWriter
		w.Reset(nil, c.N)
		for i := range c.N {
			r, rest, _ := contract.Split(frame)
			frame = rest
			var err error
			switch {
			case r.Hook() == contract.HookRetainedRead:
				err = errors.Join(c.Records.Deliver(i), c.Records.Deliver(i)) // a retried frame delivers once
				if c.Records.Put(i, 0) != contract.ErrnoDenied || c.Records.Delete(i) != contract.ErrnoDenied || c.Records.Deliver(9) != contract.ErrnoInvalid {
					err = errBoom
				}
			case r.Aux() == 0:
				err = c.Records.Delete(i)
			default:
				err = c.Records.Put(i, time.Hour)
				if c.Records.Deliver(i) != contract.ErrnoDenied || c.Records.Put(99, 0) != contract.ErrnoInvalid || c.Records.Delete(-1) != contract.ErrnoInvalid {
					err = errBoom
				}
			}
			if err != nil {
				w.Set(i, contract.Deny, 0x97)
			}
		}
		return c.Take(0, c.N, w.Block())
	}
	f, _ := grantAll(t, `hook = [ { name = "retained_store", class = "provide", fields = ["topic"] }, { name = "retained_read", class = "provide" } ]`, p)
	store := func(topic, payload string) hook.Verdict {
		m := msg(topic, payload, 1)
		m.Retain = true
		es := []hook.RetainEvent{{Client: testClient(), Msg: msg("skipped", "", 0), Verdict: hook.Deny}, {Client: testClient(), Msg: m}}
		fold(&f.points.RetainedStore, es)
		return es[1].Verdict
	}
	if store("a/1", "x") != hook.Next || store("a/2", "y") != hook.Next || store("b", "z") != hook.Next || store("a/2", "") != hook.Next {
		t.Error("refused")
	}
	if store("none", "") != hook.Deny {
		t.Error("what is not kept was deleted")
	}
	e := &hook.RetainedReadEvent{Client: testClient(), Filter: "a/#", New: true}
	call(&f.points.RetainedRead, e)
	if len(e.Replay) != 1 {
		t.Fatalf("%d sources", len(e.Replay))
	}
	ms, done := e.Replay[0].Next(time.Now().UnixNano(), 10, nil)
	if len(ms) != 1 || !done || ms[0].Topic != "a/1" || string(ms[0].Payload) != "x" || !ms[0].Retained || ms[0].Expiry == 0 {
		t.Errorf("%v, done %v", ms, done)
	}
	e.Replay[0].Close()
	if n := f.store.Count(); n != 2 {
		t.Errorf("%d kept", n)
	}
}

func TestKeys(t *testing.T) {
	now := time.Unix(0, 0)
	k := newKeys(func() time.Time { return now })
	want := func(what string, err error, n contract.Errno) {
		t.Helper()
		if Errno(err) != n {
			t.Errorf("%s: %v, want %v", what, err, n)
		}
	}
	want("store", k.Store("a", []byte("1"), time.Second), 0)
	v, err := k.Load([]byte("x"), "a")
	if want("load", err, 0); string(v) != "x1" {
		t.Errorf("value %q", v)
	}
	n, err := k.Add("a", 4)
	if want("add", err, 0); n != 5 {
		t.Errorf("sum %d", n)
	}
	want("swap", k.Swap("a", []byte("5"), []byte("t")), 0)
	want("swap of another value", k.Swap("a", []byte("5"), nil), contract.ErrnoNotFound)
	want("swap of nothing", k.Swap("a", nil, nil), contract.ErrnoNotFound)
	want("swap in", k.Swap("b", nil, []byte("n")), 0)
	_, err = k.Add("a", 1)
	want("add to text", err, contract.ErrnoInvalid)
	now = now.Add(time.Second) // the ttl of a outlived its changes
	_, err = k.Load(nil, "a")
	want("load after ttl", err, contract.ErrnoNotFound)
	want("delete", k.Delete("b"), 0)
	want("delete again", k.Delete("b"), contract.ErrnoNotFound)
	want("no key", k.Store("", nil, 0), contract.ErrnoInvalid)
	want("large value", k.Store("a", make([]byte, maxValue+1), 0), contract.ErrnoInvalid)
	for i := 0; err == nil || Errno(err) == contract.ErrnoNotFound; i++ {
		err = k.Store(fmt.Sprint(i), make([]byte, maxValue), time.Minute)
	}
	want("full", err, contract.ErrnoQuota)
	now = now.Add(time.Hour)
	want("after all expired", k.Store("z", make([]byte, maxValue), 0), 0) // makes room
	if want := 1 + maxValue + keyOverhead; k.bytes != want {
		t.Errorf("%d bytes, want %d", k.bytes, want)
	}
}

func TestNumbers(t *testing.T) {
	f, spec := grantAll(t, hookLine(contract.HookPublished, ""), always(contract.Next, 0))
	m := spec().Services.Metrics
	err := errors.Join(m.Add("1", contract.MetricCounter, 2), m.Add("1", contract.MetricCounter, 3), m.Add("2", contract.MetricGauge, 4), m.Add("2", contract.MetricGauge, 1))
	if got := f.List()[0].Metrics; err != nil || got["1"] != 5 || got["2"] != 1 {
		t.Errorf("%v, %v", got, err)
	}
	for i := range maxNumbers {
		err = m.Add(fmt.Sprint("n", i), contract.MetricGauge, 0)
	}
	if Errno(err) != contract.ErrnoQuota || Errno(m.Add("x", 7, 0)) != contract.ErrnoInvalid {
		t.Errorf("error %v", err)
	}
	// A name that goes makes room for another, and comes back at nothing.
	name := strings.Repeat("a/ü ", 51)
	if err := errors.Join(m.Add("1", contract.MetricRemove, 0), m.Add(name, contract.MetricCounter, 1)); err != nil {
		t.Error(err)
	}
	if got := f.List()[0].Metrics; got[name] != 1 || len(got) != maxNumbers {
		t.Errorf("%d metrics, %v", len(got), got[name])
	}
	if Errno(m.Add("1", contract.MetricRemove, 0)) != contract.ErrnoNotFound {
		t.Error("what is gone was removed again")
	}
	for _, bad := range []string{"", strings.Repeat("x", contract.MaxMetricName+1), "a\nb", "a\x7f", "\xff"} {
		if err := m.Add(bad, contract.MetricGauge, 1); Errno(err) != contract.ErrnoInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		if err := m.Add("2", contract.MetricCounter, bad); Errno(err) != contract.ErrnoInvalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if Errno(errBoom) != contract.ErrnoInternal {
		t.Error("an unknown error is not internal")
	}
}

// A plugin's log is limited; what was kept back is said.
func TestLogRate(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	now := time.Unix(0, 0)
	l := limited(zap.New(core), func() time.Time { return now }).With(zap.String("a", "b"))
	for range logBurst + 7 {
		l.Info("x")
		l.Debug("off")
	}
	if logs.Len() != logBurst {
		t.Errorf("%d lines", logs.Len())
	}
	now = now.Add(time.Second)
	l.Info("y")
	all := logs.All()
	if last := all[len(all)-1].ContextMap(); last["suppressed"] != int64(7) || last["a"] != "b" {
		t.Errorf("fields %v", last)
	}
}

// Take keeps to the call's records; Sub finds them.
func TestCallTake(t *testing.T) {
	c := &Call{Hook: contract.HookPublish, Frame: append(record("a", ""), record("b", "")...), N: 2}
	if c.Take(-1, 1, nil) == nil || c.Take(0, 3, nil) == nil || c.Take(1, 0, nil) == nil {
		t.Error("records out of range were taken")
	}
	if b, err := c.Sub(1, 1); err != nil || string(b) != string(record("b", "")) {
		t.Errorf("%q, %v", b, err)
	}
	if err := c.Take(1, 1, nil); err != nil {
		t.Error(err)
	}
	if _, err := c.Verdict(0); !errors.Is(err, ErrTimeout) {
		t.Errorf("error %v", err)
	}
	c.Frame = c.Frame[:10]
	if c.Take(1, 1, nil) == nil {
		t.Error("a broken frame was taken")
	}
}
