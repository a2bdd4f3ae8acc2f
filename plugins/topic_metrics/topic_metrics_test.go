//go:build !wasip1

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// broker is a host that notes what the plugin asks of it.
type broker struct {
	mu      sync.Mutex
	wants   map[contract.Hook][]string
	metrics map[string]float64
	keys    map[string]string
	calls   int   // about metrics
	refuse  int64 // what every call gets; 0: it is carried out
}

func (b *broker) Call(c contract.HostCall) (int64, []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != 0 {
		return b.refuse, nil
	}
	switch c.Call {
	case contract.CallWant:
		var list []string
		for f := range (contract.FilterList{Bytes: c.Data}).All {
			list = append(list, string(f.Filter))
		}
		b.wants[contract.Hook(c.Record)] = list
	case contract.CallKVSet:
		b.keys[string(c.Data[:c.Record])] = string(c.Data[c.Record:])
	case contract.CallKVDel:
		if _, ok := b.keys[string(c.Data)]; !ok {
			return int64(contract.ErrnoNotFound), nil
		}
		delete(b.keys, string(c.Data))
	case contract.CallMetricPut:
		b.calls++
		name := string(c.Data)
		if c.Seq == uint64(contract.MetricRemove) {
			if _, ok := b.metrics[name]; !ok {
				return int64(contract.ErrnoNotFound), nil
			}
			delete(b.metrics, name)
			return 0, nil
		}
		if !contract.ValidMetricName(name) {
			return int64(contract.ErrnoInvalid), nil
		}
		b.metrics[name] = math.Float64frombits(uint64(c.Arg))
	}
	return 0, nil
}

var epoch = time.Unix(1_000_000, 0)

// counting is a plugin with topics.
func counting(t testing.TB, topics ...string) (*Plugin, *sdk.Runner, *broker) {
	t.Helper()
	p, b := &Plugin{}, &broker{wants: map[contract.Hook][]string{}, metrics: map[string]float64{}, keys: map[string]string{}}
	r := sdk.NewRunner(p, b)
	text, err := json.Marshal(map[string]any{"topics": topics})
	if err == nil {
		err = p.configure(text, epoch)
	}
	if err == nil {
		err = p.want()
	}
	if err != nil {
		t.Fatal(err)
	}
	return p, r, b
}

// tell hands n records of a hook to the plugin.
func tell(r *sdk.Runner, h contract.Hook, topic string, qos byte, n int) {
	w := contract.Writer{}
	for range n {
		w.Begin(contract.Header{Hook: h, Flags: contract.Flags(0).WithQoS(qos)})
		w.String(contract.SlotTopic, topic)
		w.End()
	}
	r.Frame(w.Frame(), n)
}

// ask has the plugin carry out a command.
func command(t *testing.T, p *Plugin, name, body string) (string, error) {
	t.Helper()
	out, err := p.OnCommand("topic_metrics."+name, []byte(body))
	return string(out), err
}

// view is what the plugin says of a topic.
type view struct {
	Topic   string
	Since   int64
	Metrics map[string]float64
}

func (p *Plugin) views(t *testing.T) (list []view) {
	t.Helper()
	if err := json.Unmarshal(p.list(), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// of are the metrics of a topic.
func of(t *testing.T, p *Plugin, topic string) map[string]float64 {
	t.Helper()
	for _, v := range p.views(t) {
		if v.Topic == topic {
			return v.Metrics
		}
	}
	t.Fatalf("%s is not registered", topic)
	return nil
}

// Messages are counted by topic, way and QoS; those of other topics are not.
func TestCounts(t *testing.T) {
	p, r, _ := counting(t, "a", "b/c")
	for qos := range byte(3) {
		tell(r, contract.HookPublished, "a", qos, 10+int(qos))
		tell(r, contract.HookDelivered, "a", qos, 20+int(qos))
		tell(r, contract.HookDropped, "b/c", qos, 2)
		tell(r, contract.HookPublished, "other", qos, 9)
	}
	for name, want := range map[string]float64{
		"messages.in.count": 33, "messages.out.count": 63, "messages.dropped.count": 0,
		"messages.qos0.in.count": 10, "messages.qos1.in.count": 11, "messages.qos2.in.count": 12,
		"messages.qos0.out.count": 20, "messages.qos1.out.count": 21, "messages.qos2.out.count": 22,
	} {
		if got, ok := of(t, p, "a")[name]; !ok || got != want {
			t.Errorf("%s = %g (%v), want %g", name, got, ok, want)
		}
	}
	if got := of(t, p, "b/c"); got["messages.dropped.count"] != 6 || got["messages.in.count"] != 0 || len(got) != 18 {
		t.Error(got)
	}
}

// A rate is taken over the last five seconds, or since the topic was registered, and
// over the time that really passed.
func TestRates(t *testing.T) {
	p, r, _ := counting(t, "a")
	at := epoch
	for i, step := range []struct {
		n     int
		after time.Duration
		want  float64
	}{
		{10, time.Second, 10}, {0, time.Second, 5}, {0, time.Second, 10. / 3}, {0, time.Second, 2.5}, {0, time.Second, 2},
		{0, time.Second, 0}, {60, 2 * time.Second, 10}, {0, 0, 12},
	} {
		tell(r, contract.HookPublished, "a", 1, step.n)
		at = at.Add(step.after)
		p.tick(at)
		m := of(t, p, "a")
		if got := m["messages.in.rate"]; math.Abs(got-step.want) > 1e-9 || m["messages.qos1.in.rate"] != got || m["messages.out.rate"] != 0 {
			t.Errorf("step %d: %v, want %g", i, m, step.want)
		}
	}
}

// The broker is told exactly the registered topics, for all three hooks.
func TestWants(t *testing.T) {
	p, _, b := counting(t, "b", "a")
	for _, step := range []struct {
		name, body, want string
	}{
		{"list", "", "a b"}, {"register", `{"topic":"c"}`, "a b c"}, {"unregister", `{"topic":"a"}`, "b c"}, {"unregister", `{"all":true}`, ""},
		{"register", `{"topic":"d"}`, "d"},
	} {
		if step.name != "list" {
			if out, err := command(t, p, step.name, step.body); err != nil || out != "{}" {
				t.Fatal(step, out, err)
			}
			for _, h := range []contract.Hook{contract.HookPublished, contract.HookDelivered, contract.HookDropped} {
				if got := strings.Join(b.wants[h], " "); got != step.want {
					t.Errorf("%v: %s wants %q", step, h, got)
				}
			}
		}
		var topics []string
		for _, v := range p.views(t) {
			topics = append(topics, v.Topic)
		}
		if got := strings.Join(topics, " "); got != step.want {
			t.Errorf("%v: %q is listed", step, got)
		}
	}
	b.refuse = int64(contract.ErrnoInternal)
	if _, err := command(t, p, "register", `{"topic":"e"}`); err == nil {
		t.Error("registered, though the broker does not tell of it")
	}
	if list := p.views(t); len(list) != 1 {
		t.Error(list)
	}
}

// Counters begin at zero again, of one topic or of all.
func TestReset(t *testing.T) {
	p, r, _ := counting(t, "a", "b")
	for _, step := range []struct {
		body string
		a, b float64
	}{{`{"topic":"a"}`, 0, 3}, {`{"all":true}`, 0, 0}} {
		tell(r, contract.HookPublished, "a", 0, 3)
		tell(r, contract.HookPublished, "b", 0, 3)
		if _, err := command(t, p, "reset", step.body); err != nil {
			t.Fatal(err)
		}
		if a, b := of(t, p, "a")["messages.in.count"], of(t, p, "b")["messages.in.count"]; a != step.a || b != step.b {
			t.Errorf("%s: %g and %g", step.body, a, b)
		}
	}
}

// What cannot be done is refused with what is wrong and its kind.
func TestRefused(t *testing.T) {
	p, _, _ := counting(t, "a")
	long := strings.Repeat("x", MaxTopic+1)
	for _, tc := range []struct {
		name, body, want string
		kind             error
	}{
		{"register", `{"topic":"a"}`, "registered already", sdk.ErrDenied},
		{"register", `{"topic":"a/+"}`, "wildcard", sdk.ErrInvalid},
		{"register", `{"topic":"#"}`, "wildcard", sdk.ErrInvalid},
		{"register", `{"topic":"$share/g/a"}`, "shared subscription", sdk.ErrInvalid},
		{"register", `{"topic":"` + long + `"}`, "more than 232 bytes", sdk.ErrInvalid},
		{"register", `{"topic":"a\u0001"}`, "control characters", sdk.ErrInvalid},
		{"register", `{"all":true}`, "one topic at a time", sdk.ErrInvalid},
		{"register", ``, "say", sdk.ErrInvalid},
		{"register", `{"topics":["b"]}`, "topics", sdk.ErrInvalid},
		{"reset", `{"topic":"a","all":true}`, "say", sdk.ErrInvalid},
		{"reset", `{"topic":"b"}`, "not registered", sdk.ErrNotFound},
		{"unregister", `{"topic":"b"}`, "not registered", sdk.ErrNotFound},
		{"unregister", `{}`, "say", sdk.ErrInvalid},
		{"show", `{"topic":"b"}`, "not registered", sdk.ErrNotFound},
		{"count", ``, "no command", sdk.ErrNotFound},
	} {
		out, err := command(t, p, tc.name, tc.body)
		if err == nil || !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %s: %q, %v; want %s", tc.name, tc.body, out, err, tc.want)
		}
	}
	for text, want := range map[string]string{
		`{"topics":["a","b/+"]}`: "topics[1]", `{"topics":["a","a"]}`: "listed twice", `{"topics":[""]}`: "topics[0]", `{"topic":"a"}`: "topic",
	} {
		if err := (&Plugin{}).configure([]byte(text), epoch); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// 512 topics fit with all their metrics; the next is refused, in the file and later.
func TestLimit(t *testing.T) {
	var all []string
	for i := range MaxTopics {
		all = append(all, fmt.Sprintf("%s/%d", strings.Repeat("t", MaxTopic-4), 100+i))
	}
	p, _, b := counting(t, all...)
	p.tick(epoch.Add(time.Second))
	if len(b.metrics) != MaxTopics*int(metrics) {
		t.Errorf("%d metrics", len(b.metrics))
	}
	if _, err := command(t, p, "register", `{"topic":"one more"}`); !errors.Is(err, sdk.ErrDenied) || !strings.Contains(err.Error(), "512") {
		t.Error(err)
	}
	text, err := json.Marshal(map[string]any{"topics": append(all, "one more")})
	if err == nil {
		err = (&Plugin{}).configure(text, epoch)
	}
	if err == nil || !strings.Contains(err.Error(), "topics[512]: more than 512") {
		t.Error(err)
	}
}

// The plugin's metrics follow the counters; what did not change costs no call.
func TestExports(t *testing.T) {
	p, r, b := counting(t, "a", "b")
	tell(r, contract.HookPublished, "a", 2, 3)
	p.tick(epoch.Add(time.Second))
	if got := b.metrics["messages.qos2.in.count/a"]; got != 3 || len(b.metrics) != 2*int(metrics) {
		t.Errorf("%g, %v", got, b.metrics)
	}
	before := b.calls
	tell(r, contract.HookDropped, "b", 0, 1)
	p.tick(epoch.Add(2 * time.Second))
	if b.calls != before+1 || b.metrics["messages.dropped.count/b"] != 1 {
		t.Errorf("%d calls for one counter, %v", b.calls-before, b.metrics)
	}
	b.refuse = int64(contract.ErrnoInternal) // the broker does not answer for a while
	tell(r, contract.HookDropped, "b", 0, 1)
	p.tick(epoch.Add(3 * time.Second))
	b.refuse = 0
	p.tick(epoch.Add(4 * time.Second))
	if b.metrics["messages.dropped.count/b"] != 2 || b.keys[pageKey(0)] != string(p.pages(pageSize)[0]) {
		t.Error(b.metrics, b.keys)
	}
}

// Counting a message allocates nothing.
func TestCountingAllocatesNothing(t *testing.T) {
	_, r, _ := counting(t, "a/b")
	var w contract.Writer
	for range 64 {
		w.Begin(contract.Header{Hook: contract.HookPublished})
		w.String(contract.SlotTopic, "a/b")
		w.End()
	}
	if n := testing.AllocsPerRun(100, func() { r.Frame(w.Frame(), 64) }); n >= 1 {
		t.Errorf("%g allocations for 64 messages", n)
	}
}

func BenchmarkPublished(b *testing.B) {
	_, r, _ := counting(b, "a/b")
	var w contract.Writer
	for range 512 {
		w.Begin(contract.Header{Hook: contract.HookPublished})
		w.String(contract.SlotTopic, "a/b")
		w.End()
	}
	for b.Loop() {
		r.Frame(w.Frame(), 512)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*512), "ns/message")
}
