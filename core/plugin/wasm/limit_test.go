package wasm

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// back moves the bucket's last look at the clock into the past.
func (b *bucket) back(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = b.last.Add(-d)
}

func TestFaultBucket(t *testing.T) {
	b := bucket{tokens: faultBurst}
	for range faultBurst {
		if b.empty() {
			t.Fatal("empty before its burst was used")
		}
		b.charge(0)
	}
	b.charge(time.Millisecond)
	if !b.empty() {
		t.Error("not empty after its burst")
	}
	b.back(time.Second)
	if b.empty() {
		t.Error("nothing came back in a second")
	}
	for range faultBurst {
		b.charge(0)
	}
	b.back(time.Hour)
	if b.empty(); b.tokens != faultBurst {
		t.Errorf("%v tokens after an hour", b.tokens)
	}
}

// A slow fault costs more, and no fault more than its most.
func TestSlowFaultsCostMore(t *testing.T) {
	for _, c := range []struct {
		took time.Duration
		want float64
	}{{0, 1}, {faultTime, 2}, {4 * faultTime, 5}, {time.Hour, faultMost}} {
		b := bucket{tokens: faultBurst}
		b.charge(c.took)
		if got := faultBurst - b.tokens; got != c.want {
			t.Errorf("a fault of %v costs %v, want %v", c.took, got, c.want)
		}
	}
}

// A client whose records fault again and again takes the plugin from nobody else: it is
// not asked about for a while, longer each time, and then again.
func TestCulprits(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	ask := func(key uint64, act uint32) error {
		c := frame(key, act)
		call(t, p, c)
		_, err := c.Verdict(0)
		return err
	}
	for i := range 50 {
		if err := ask(7, 10); err == nil || (i >= culpritFree) != errors.Is(err, errCulprit) {
			t.Fatalf("fault %d: %v", i, err)
		}
		if err := ask(8, 1); err != nil {
			t.Fatalf("somebody else after fault %d: %v", i, err)
		}
	}
	if s := p.Status(); s.Faults != 2*culpritFree || s.State != plugin.StateRunning {
		t.Errorf("status %+v", s)
	}
	if err := ask(7, 1); !errors.Is(err, errCulprit) {
		t.Errorf("a good record meanwhile: %v", err)
	}
	var c culprits
	now := time.Now()
	for i := range 20 {
		c.fault(7, now)
		want := time.Duration(0)
		if over := i + 1 - culpritFree; over >= 0 {
			want = min(culpritPause<<over, culpritMost)
		}
		if got := max(0, c.conns[7].until.Sub(now)); got != want {
			t.Errorf("after %d faults: %v, want %v", i+1, got, want)
		}
	}
	if !c.paused(7) || c.paused(8) {
		t.Error("the wrong one is paused")
	}
	c.conns[7] = culprit{faults: 9, last: now.Add(-time.Hour), until: now.Add(-time.Hour)}
	if c.paused(7) || c.some.Load() || len(c.conns) != 0 {
		t.Errorf("not forgotten: %+v", c.conns)
	}
	c.fault(0, now) // of nobody
	for conn := range uint64(2 * maxCulprits) {
		c.fault(conn+1, now)
	}
	if len(c.conns) != maxCulprits {
		t.Errorf("%d are remembered", len(c.conns))
	}
	c.fault(1<<40, now.Add(time.Hour))
	if len(c.conns) != 1 {
		t.Errorf("%d are remembered after an hour", len(c.conns))
	}
}

func TestHead(t *testing.T) {
	var h head
	h.write([]byte(strings.Repeat("a", 500)))
	h.write([]byte(strings.Repeat("b", 500)))
	if got := h.text(); len(got) != 512 || !strings.HasSuffix(got, "abbbbbbbbbbbb") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	h.reset()
	if h.text() != "" {
		t.Error("reset keeps something")
	}
}

// publishRecord is a publish record as a guest would write it.
func publishRecord(topic string, size int) []byte {
	var w contract.Writer
	w.Begin(contract.Header{Hook: contract.HookPublish})
	w.String(contract.SlotTopic, topic)
	w.Bytes(contract.SlotPayload, make([]byte, size))
	w.End()
	return w.Frame()
}

// One call may ask for so much and no more; outside a call for nothing.
func TestPendingLimits(t *testing.T) {
	var p pending
	if err := p.publish(publishRecord("a", 1)); !errors.Is(err, contract.ErrnoDenied) {
		t.Errorf("outside a call: %v", err)
	}
	p.begin(&plugin.Call{Records: &records{}}, 0, 2)
	for i := range maxPublishes {
		if err := p.publish(publishRecord("a", 1)); err != nil {
			t.Fatalf("publish %d: %v", i, err)
		}
	}
	if err := p.publish(publishRecord("a", 1)); !errors.Is(err, contract.ErrnoQuota) {
		t.Errorf("one too many: %v", err)
	}
	for i := range maxDeliveries {
		if err := p.deliver(uint64(i % 2)); err != nil {
			t.Fatalf("deliver %d: %v", i, err)
		}
	}
	if err := p.deliver(0); !errors.Is(err, contract.ErrnoQuota) {
		t.Errorf("one too many: %v", err)
	}
	p.begin(&plugin.Call{}, 0, 2)
	if err := p.publish(publishRecord("a", maxPublishBytes)); !errors.Is(err, contract.ErrnoQuota) {
		t.Errorf("too large: %v", err)
	}
	if err := p.deliver(0); !errors.Is(err, contract.ErrnoDenied) {
		t.Errorf("not a call of the topic store: %v", err)
	}
}

func TestPendingChecksRecords(t *testing.T) {
	var p pending
	p.begin(&plugin.Call{}, 0, 1)
	good := publishRecord("a/b", 10)
	for name, b := range map[string][]byte{
		"nothing": nil, "half": good[:len(good)/2], "two": append(append([]byte(nil), good...), good...),
		"wildcard": publishRecord("a/+", 1), "empty topic": publishRecord("", 1), "zeroes": make([]byte, 64),
	} {
		if err := p.publish(b); !errors.Is(err, contract.ErrnoInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.publish(good); err != nil {
		t.Error(err)
	}
	copied := p.frame
	clear(good)
	if r, _, err := contract.Split(copied); err != nil || string(r.Slot(contract.SlotTopic)) != "a/b" {
		t.Error("the record was not copied out of the guest")
	}
}

// The guest's index is of its own frame, the service's of the call.
func TestPendingRecord(t *testing.T) {
	var p pending
	p.begin(&plugin.Call{Records: &records{}}, 64, 6)
	for _, c := range []struct {
		arg  uint64
		want int
		err  error
	}{
		{0, 64, nil}, {5, 69, nil}, {6, 0, contract.ErrnoInvalid}, {0xffffffff, 0, contract.ErrnoInvalid},
		{0xdead<<32 | 5, 69, nil}, // the upper half of an i32 is garbage
	} {
		if got, err := p.record(c.arg); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("record(%#x) = %d, %v", c.arg, got, err)
		}
	}
	p.end()
	if _, err := p.record(0); !errors.Is(err, contract.ErrnoDenied) {
		t.Errorf("after the call: %v", err)
	}
}

func TestSignatureWords(t *testing.T) {
	if got := sig(i32, i64).returns(f64).String(); got != "(i32 i64) -> (f64)" {
		t.Error(got)
	}
	if got := sig().String(); got != "() -> ()" {
		t.Error(got)
	}
}
