package load

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// Quantiles are within a bucket of the exact ones.
func TestQuantiles(t *testing.T) {
	var h, other hist
	var all []int64
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 100_000 {
		v := int64(rnd.ExpFloat64() * 1e5)
		all = append(all, v)
		if i%3 == 0 {
			other.add(v)
		} else {
			h.add(v)
		}
	}
	h.merge(&other)
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.99, 0.999, 1} {
		want := all[min(int(q*float64(len(all))), len(all)-1)]
		got := int64(h.quantile(q))
		if got > want || float64(got) < 0.983*float64(want) {
			t.Errorf("quantile %v is %d, want %d less at most 1.6 %%", q, got, want)
		}
	}
	if (&hist{}).latency() != (Latency{}) {
		t.Error("no durations have no quantiles")
	}
	h.add(-5)
	h.add(1<<63 - 1)
	if h.max != 1<<63-1 {
		t.Error("the longest duration has no bucket")
	}
	for b := range len(h.buckets) - 1 {
		if bucket(uint64(least(b))) != b || bucket(uint64(least(b+1)-1)) != b {
			t.Fatalf("bucket %d begins at %d", b, least(b))
		}
	}
}

// track against a plain list of what came.
func TestTrack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var tr track
	tr.begun = true
	seen := map[uint64]bool{}
	var top uint64
	for range 20_000 {
		seq := top - min(top, uint64(rnd.IntN(20))) + uint64(rnd.IntN(12))
		fresh, late := tr.see(seq)
		if fresh == seen[seq] || late != (fresh && seq < top) {
			t.Fatalf("%d after %d: fresh %v, late %v", seq, top, fresh, late)
		}
		seen[seq] = true
		top = max(top, seq+1)
	}
	if got := tr.gaps(); got != top-uint64(len(seen)) {
		t.Errorf("%d gaps, want %d", got, top-uint64(len(seen)))
	}
	tr = track{}
	if fresh, late := tr.see(5000); !fresh || late || tr.gaps() != 0 {
		t.Error("what was before a subscription is no gap")
	}
	if tr.see(5000 + 10*maxMissing); tr.gaps() != 10*maxMissing-1 || len(tr.missing) > maxMissing {
		t.Errorf("a large gap counts %d, remembers %d", tr.gaps(), len(tr.missing))
	}
}

func TestStamp(t *testing.T) {
	p := make([]byte, Stamp)
	want := stamp{run: 7, publisher: 1 << 31, seq: 1 << 40, at: time.Now().UnixNano()}
	want.put(p)
	if got, ok := readStamp(p); !ok || got != want {
		t.Errorf("%+v became %+v", want, got)
	}
	if _, ok := readStamp(p[:Stamp-1]); ok {
		t.Error("a short payload has a stamp")
	}
	if p[0]++; p[0] > 0 {
		if _, ok := readStamp(p); ok {
			t.Error("somebody's payload has a stamp")
		}
	}
}

func TestNames(t *testing.T) {
	n := naming{number: 12, id: "c-12", user: "anna"}
	if got := n.fill("a/%i/%c/%u/%x"); got != "a/12/c-12/anna/%x" {
		t.Error(got)
	}
	if got := widen("a/%i/b%c/c"); got != "a/+/+/c" {
		t.Error(got)
	}
}

// Every fault of a configuration is told at once.
func TestConfigFaults(t *testing.T) {
	cfg := Config{
		Kind: P2P, Target: Target{Port: 99999}, Clients: Clients{Version: 9}, Threads: 1000,
		Flow: Flow{QoS: 3, Size: -1, Window: -1, Rate: -1, Topic: "a/#"},
		Pace: Pace{Duration: -1, Warm: -1, ConnRate: -1},
	}
	err := cfg.prepare()
	if err == nil {
		t.Fatal("all wrong, and no fault")
	}
	for _, want := range []string{"0 clients", "port 99999", "version 9", "QoS 3", "payload of -1", "window of -1", "-1 messages", "-1 connections", "duration -1ns", "warm-up", "1000 threads", "wildcard", "28"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told in: %v", want, err)
		}
	}
	for _, c := range []struct {
		kind  Kind
		topic string
		want  string
	}{{P2P, "a", "the same for all"}, {Storm, "a/%u", "the same for all"}, {Fan, "a/%i", "one publisher needs one topic"}} {
		cfg := brief(c.kind, 1883)
		if cfg.Flow.Topic = c.topic; !strings.Contains(fmt.Sprint(cfg.prepare()), c.want) {
			t.Errorf("%s with topic %s: %v", c.kind, c.topic, cfg.prepare())
		}
		if cfg.Flow.Topic = "a/%c"; c.kind != Fan && cfg.prepare() != nil {
			t.Errorf("%s with a topic for each: %v", c.kind, cfg.prepare())
		}
	}
	for kind, want := range map[Kind]string{Pub: "needs a topic", Sub: "needs a topic", "x": "unknown kind"} {
		if err := (&Config{Kind: kind}).prepare(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestSourceAddresses(t *testing.T) {
	target := Target{Host: "localhost", Port: 1883}
	r, err := resolve(t.Context(), target, 2*perSource, false)
	if err != nil {
		t.Fatal(err)
	}
	if !r.addr.Addr().IsLoopback() || r.source(0) == r.source(1) || r.source(0) != r.source(3) || !r.source(2).IsLoopback() {
		t.Errorf("%s from %s, %s, %s", r.addr, r.source(0), r.source(1), r.source(2))
	}
	target.Bind = []netip.Addr{netip.MustParseAddr("::1")}
	if _, err := resolve(t.Context(), target, 1, false); err == nil {
		t.Error("IPv6 reaches IPv4")
	}
	target = Target{Host: "::1", Port: 1883}
	if r, err := resolve(t.Context(), target, 1, true); err != nil || r.source(0).IsValid() {
		t.Errorf("IPv6: %v", err)
	}
}

// A rate is spread over the publishers, and what a slow generator sends late is
// stamped with the time it was due.
func TestRateIsStampedWhenDue(t *testing.T) {
	r := &run{cfg: &Config{Kind: Pub, Flow: Flow{Size: Stamp, Window: 10, Rate: 1000, Topic: "a"}, Clients: Clients{Count: 2, Version: 4}}, clock: clock{time.Now()}}
	w := &worker{run: r, flowing: true, rate: 1000, flowBegan: 1e9}
	r.workers = []*worker{w}
	r.enlist()
	for _, c := range w.clients {
		c.state = ready
	}
	w.now = 1e9 + 10e6
	w.due()
	if w.count.sent != 10 || w.count.lateOffered == 0 {
		t.Fatalf("10 ms at 1,000 a second: %+v", w.count)
	}
	for i, p := range w.publishers {
		if p.next != 5 {
			t.Errorf("publisher %d has sent %d of 5", i, p.next)
		}
	}
	first := w.clients[0].out[:len(w.publishers[0].packet)]
	if s, ok := readStamp(first[len(first)-Stamp:]); !ok || s.at != 1e9 {
		t.Errorf("the first message was due at 1 s, stamped %d", s.at)
	}
	w.clients[1].state = idle
	w.now += 2e6
	if w.due(); w.count.withheld != 1 || w.count.sent != 11 {
		t.Errorf("a client that is gone: %+v", w.count)
	}
}

// No allocation a message, on the sending and on the receiving side.
func TestMessagesAllocateNothing(t *testing.T) {
	r := &run{cfg: &Config{Kind: P2P, Flow: Flow{Size: 64, Window: 1000, QoS: 1}, Clients: Clients{Count: 1, Version: 4}}, clock: clock{time.Now()}}
	w := &worker{run: r}
	r.workers = []*worker{w}
	r.enlist()
	sub, pub := w.clients[0], w.clients[1]
	in := nowhere{}
	sub.opened(in)
	pub.opened(in)
	sub.state, pub.state = ready, ready
	sub.out, pub.out = nil, nil // without the CONNECT
	var sent []byte
	allocs := testing.AllocsPerRun(100, func() {
		pub.out = pub.out[:0]
		for range 10 {
			pub.pub.emit(1)
		}
		sent = append(sent[:0], pub.out...)
		sub.feed(in, sent)
		pub.feed(in, sub.out)
		w.round()
	})
	if allocs > 0 {
		t.Errorf("%v allocations for ten messages", allocs)
	}
	if w.count.received != w.count.sent || w.count.acked != w.count.sent {
		t.Errorf("%+v", w.count)
	}
}

// A window of QoS 2 that is full when its messages have arrived opens with the
// acknowledgements that come after them.
func TestAcknowledgementOpensTheWindow(t *testing.T) {
	r := &run{cfg: &Config{Kind: P2P, Flow: Flow{Size: 64, Window: 2, QoS: 2}, Clients: Clients{Count: 1, Version: 4}}, clock: clock{time.Now()}}
	w := &worker{run: r, flowing: true}
	r.workers = []*worker{w}
	r.enlist()
	sub, pub := w.clients[0], w.clients[1]
	in := nowhere{}
	sub.opened(in)
	pub.opened(in)
	sub.state, pub.state, pub.out = ready, ready, nil
	pub.pub.pump(1)
	sub.feed(in, pub.out)
	if w.round(); pub.pub.next != 2 || pub.pub.seen != 2 || pub.pub.underWay != 2 {
		t.Fatalf("sent %d, seen %d, under way %d of 2", pub.pub.next, pub.pub.seen, pub.pub.underWay)
	}
	pub.feed(in, []byte{0x70, 2, 0, 1}) // PUBCOMP
	if w.round(); pub.pub.next != 3 {
		t.Errorf("after a PUBCOMP %d messages are sent, want 3", pub.pub.next)
	}
}

// nowhere takes all bytes.
type nowhere struct{}

func (nowhere) write(p []byte) (int, error) { return len(p), nil }
func (nowhere) close()                      {}
