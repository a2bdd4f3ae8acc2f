package wasm

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// compiled is where all tests keep compiled code: the guest in Go is large.
var compiled string

func TestMain(m *testing.M) {
	var err error
	if compiled, err = os.MkdirTemp("", "compiled"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(compiled)
		os.Exit(code)
	}))
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fakes are the services of a test; everything is granted.
type fakes struct {
	mu        sync.Mutex
	published []string
	metrics   map[string]float64
	fail      error // of Publish and Deliver
}

func (f *fakes) Publish(record []byte, hops uint8) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	r, _, err := contract.Split(record)
	if err != nil {
		return err
	}
	f.published = append(f.published, string(r.Slot(contract.SlotTopic)))
	return nil
}

func (f *fakes) Add(name string, _ int32, v float64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.metrics[name] += v
	return nil
}

// fakeKV is the key space of a test.
type fakeKV struct {
	values map[string]string
	n      int64
}

func (f *fakeKV) Load(dst []byte, key string) ([]byte, error) {
	v, ok := f.values[key]
	if !ok {
		return nil, contract.ErrnoNotFound
	}
	return append(dst, v...), nil
}

func (f *fakeKV) Store(key string, value []byte, _ time.Duration) error {
	f.values[key] = string(value)
	return nil
}

func (f *fakeKV) Delete(key string) error {
	if _, ok := f.values[key]; !ok {
		return contract.ErrnoNotFound
	}
	delete(f.values, key)
	return nil
}

func (f *fakeKV) Swap(key string, old, value []byte) error {
	v, ok := f.values[key]
	if ok != (old != nil) || v != string(old) {
		return contract.ErrnoNotFound
	}
	f.values[key] = string(value)
	return nil
}

func (f *fakeKV) Add(_ string, delta int64) (int64, error) {
	f.n += delta
	return f.n, nil
}

// fakeLater is a plugin's messages for later: one of them.
type fakeLater struct{}

func (fakeLater) Page(dst []byte, _ int64, _ uint64, _ int) ([]byte, error) {
	return append(dst, "page"...), nil
}
func (fakeLater) Due(seq uint64) (int64, error) {
	if seq != 1 {
		return 0, contract.ErrnoNotFound
	}
	return 1 << 60, nil
}
func (fakeLater) Cancel(seq uint64) error {
	if seq != 1 {
		return contract.ErrnoNotFound
	}
	return nil
}
func (fakeLater) Len() int { return 1 }

func spec(t testing.TB, code []byte) *plugin.Spec {
	f, d := &fakes{metrics: map[string]float64{}}, &fakeDesk{}
	return &plugin.Spec{
		Name: t.Name(), Code: code, Log: zap.NewNop(),
		Manifest: &manifest.Manifest{MemoryPages: 64},
		Services: plugin.Services{
			Publish: f, Metrics: f, KV: &fakeKV{values: map[string]string{}}, TopicStore: true,
			Timer: true, HTTP: true, Hash: true, Desk: d, Sessions: d, Parked: d, Later: fakeLater{},
		},
	}
}

func transport(t testing.TB, shards int) *Transport {
	t.Helper()
	tr, err := New(Config{Shards: shards, CacheDir: compiled})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// open opens a module that must be good.
func open(t testing.TB, shards int, s *plugin.Spec) *Plugin {
	t.Helper()
	in, err := transport(t, shards).Open(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(context.Background()) })
	return in.(*Plugin)
}

// frame makes a call with one acl record for each act.
func frame(key uint64, acts ...uint32) *plugin.Call {
	return frameOf(contract.HookACL, key, acts...)
}

func frameOf(h contract.Hook, key uint64, acts ...uint32) *plugin.Call {
	var w contract.Writer
	for _, a := range acts {
		w.Begin(contract.Header{Hook: h, Conn: key, Flags: contract.FlagPublish, Aux: a})
		w.String(contract.SlotClientID, "client")
		w.String(contract.SlotTopic, "a/b")
		w.End()
	}
	return &plugin.Call{Hook: h, Frame: w.Frame(), N: w.Count(), Key: key}
}

// call runs a call that as a whole must work.
func call(t testing.TB, p *Plugin, c *plugin.Call) {
	t.Helper()
	if err := p.Call(context.Background(), c); err != nil {
		t.Fatal(err)
	}
}

// one runs one act and returns the verdict or the fault.
func one(t testing.TB, p *Plugin, act uint32) (contract.Verdict, error) {
	t.Helper()
	c := frame(1, act)
	call(t, p, c)
	return c.Verdict(0)
}

func TestVerdicts(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	c := frame(1, 0, 1, 2, 0)
	call(t, p, c)
	for i, want := range []contract.Action{contract.Next, contract.Allow, contract.Deny, contract.Next} {
		if v, err := c.Verdict(i); err != nil || v.Action != want {
			t.Errorf("record %d: %v, %v, want %v", i, v.Action, err, want)
		}
	}
	set, known := p.Hooks()
	if !known || !set.Has(contract.HookACL) || set.Has(contract.HookConnect) {
		t.Errorf("hooks %b %v", set, known)
	}
	if s := p.Status(); s.Calls != 1 || s.Records != 4 || s.Instances != 1 || s.Memory != 2<<16 || s.State != plugin.StateRunning {
		t.Errorf("status %+v", s)
	}
}

// A frame of more than 64 records reaches the guest in parts.
func TestLargeFrameIsSplit(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	acts := make([]uint32, 200)
	for i := range acts {
		acts[i] = uint32(i % 3)
	}
	c := frame(1, acts...)
	call(t, p, c)
	for i := range acts {
		if v, err := c.Verdict(i); err != nil || v.Action != contract.Action(i%3) {
			t.Fatalf("record %d: %v, %v", i, v.Action, err)
		}
	}
}

// A frame larger than the guest's buffer makes the guest grow it.
func TestLargeRecord(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "acts.wasm")))
	var w contract.Writer
	w.Begin(contract.Header{Hook: contract.HookPublish, Aux: uint32(contract.Deny)})
	w.Bytes(contract.SlotPayload, make([]byte, 1<<20))
	w.End()
	c := &plugin.Call{Hook: contract.HookPublish, Frame: w.Frame(), N: 1}
	call(t, p, c)
	if v, err := c.Verdict(0); err != nil || v.Action != contract.Deny {
		t.Errorf("%v, %v", v.Action, err)
	}
}
