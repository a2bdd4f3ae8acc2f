package wasm

import (
	"errors"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// ttl runs one act and returns what it left in the verdict's cache TTL: the
// result of the host call.
func ttl(t *testing.T, p *Plugin, act uint32) int32 {
	t.Helper()
	v, err := one(t, p, act)
	if err != nil {
		t.Fatalf("act %d: %v", act, err)
	}
	return int32(v.CacheTTL)
}

func TestKV(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	for i, step := range []struct {
		act  uint32
		want int32
	}{
		{39, -1}, {41, -1}, {38, 0}, {39, 5}, {40, 5}, {41, 0}, {39, -1}, {42, 7}, {42, 14}, {48, 0}, {48, -1}, {39, 5},
	} {
		if got := ttl(t, p, step.act); got != step.want {
			t.Errorf("step %d: act %d = %d, want %d", i, step.act, got, step.want)
		}
	}
}

func TestTime(t *testing.T) {
	s := spec(t, read(t, "acts.wasm"))
	s.Services.Now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	p := open(t, 1, s)
	if got := ttl(t, p, 43); got != 1_700_000_000 {
		t.Errorf("dunlin_time.now = %d", got)
	}
	if got := ttl(t, p, 44); got != 1_700_000_000 {
		t.Errorf("clock_time_get = %d", got)
	}
}

// WASI offers no file and no environment, and says so.
func TestWASIRefuses(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	if got := ttl(t, p, 45); got != wasiNoSys {
		t.Errorf("path_open = %d", got)
	}
	if got := ttl(t, p, 46); got != 0 {
		t.Errorf("%d environment variables", got)
	}
}

func TestMetric(t *testing.T) {
	s := spec(t, read(t, "acts.wasm"))
	p := open(t, 1, s)
	call(t, p, frame(1, 37, 37))
	if m := s.Services.Metrics.(*fakes).metrics; m["5"] != 5 {
		t.Errorf("metrics %v", m)
	}
}

// Publications leave when the call has ended well, once.
func TestPublish(t *testing.T) {
	s := spec(t, read(t, "acts.wasm"))
	p, f := open(t, 1, s), s.Services.Publish.(*fakes)
	c := frameOf(contract.HookPublish, 1, 36, 36)
	call(t, p, c)
	if v, _ := c.Verdict(0); v.CacheTTL != 0 || len(f.published) != 2 || f.published[0] != "a/b" {
		t.Errorf("published %v, result %d", f.published, int32(v.CacheTTL))
	}
	// Beside a poisonous record the frame is tried three times; the publication
	// leaves once.
	f.published = nil
	call(t, p, frameOf(contract.HookPublish, 1, 36, 10))
	if len(f.published) != 1 {
		t.Errorf("published %d times", len(f.published))
	}
	// A record that is no message is refused.
	if got := ttl(t, p, 36); got != int32(contract.ErrnoInvalid) {
		t.Errorf("publish of an acl record = %d", got)
	}
	f.fail = contract.ErrnoQuota
	call(t, p, frameOf(contract.HookPublish, 1, 36)) // a full queue is no fault of the guest
	if n := p.Status().Faults; n != 3 {
		t.Errorf("%d faults", n)
	}
}

// records is the topic store behind one call.
type records struct {
	put, deleted, delivered []int
	ttl                     time.Duration
	fail                    error
}

func (r *records) Put(i int, ttl time.Duration) error {
	r.put, r.ttl = append(r.put, i), ttl
	return r.fail
}
func (r *records) Delete(i int) error  { r.deleted = append(r.deleted, i); return r.fail }
func (r *records) Deliver(i int) error { r.delivered = append(r.delivered, i); return r.fail }
func (r *records) Count(string) int    { return 11 }

func TestTopicStore(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	run := func(r *records, acts ...uint32) *plugin.Call {
		c := frameOf(contract.HookRetainedStore, 1, acts...)
		c.Records = r
		call(t, p, c)
		return c
	}
	// The 70th record is the 6th of the guest's second frame.
	r := &records{}
	acts := make([]uint32, 70)
	acts[2], acts[69] = 31, 31
	run(r, acts...)
	if len(r.put) != 2 || r.put[0] != 2 || r.put[1] != 69 || r.ttl != 1500*time.Millisecond {
		t.Errorf("put %v for %v", r.put, r.ttl)
	}
	// A delivery beside a poisonous record happens once.
	r = &records{}
	run(r, 33, 10, 32)
	if len(r.delivered) != 1 || r.delivered[0] != 0 || len(r.deleted) == 0 || r.deleted[0] != 2 {
		t.Errorf("delivered %v, deleted %v", r.delivered, r.deleted)
	}
}

func TestTopicStoreErrors(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	for _, c := range []struct {
		act  uint32
		fail error
		want int32
	}{
		{31, nil, 0}, {31, contract.ErrnoQuota, -3}, {32, contract.ErrnoNotFound, -1}, {31, errors.New("disk"), -5},
		{34, nil, -4}, {35, nil, -4}, {33, nil, 0},
	} {
		call1 := frameOf(contract.HookRetainedStore, 1, c.act)
		call1.Records = &records{fail: c.fail}
		call(t, p, call1)
		if v, err := call1.Verdict(0); err != nil || int32(v.CacheTTL) != c.want {
			t.Errorf("act %d with %v = %d, %v, want %d", c.act, c.fail, int32(v.CacheTTL), err, c.want)
		}
	}
	for _, act := range []uint32{31, 32, 33, 35} { // in any other call
		if got := ttl(t, p, act); got != int32(contract.ErrnoDenied) {
			t.Errorf("act %d outside a topic store call = %d", act, got)
		}
	}
}
