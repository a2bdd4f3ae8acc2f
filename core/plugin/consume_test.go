package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dunlinmq/dunlin/core/cursor"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// sink is a plugin of the class consume.
type sink struct {
	mu      sync.Mutex
	got     []string
	refuse  string // not taken
	fault   string // faults
	stopped bool   // takes nothing
}

func (s *sink) on(_ *builtinInstance, c *Call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errBoom
	}
	var w contract.VerdictWriter
	w.Reset(nil, c.N)
	frame := c.Frame
	for i := range c.N {
		r, rest, err := contract.Split(frame)
		if err != nil {
			return err
		}
		frame = rest
		switch p := string(r.Slot(contract.SlotPayload)); {
		case p == s.fault && p != "":
			c.Fail(i, errBoom)
		case p == s.refuse && p != "":
			w.Set(i, contract.Deny, 0)
			w.Put(i, contract.ExtText, []byte("full"))
		default:
			s.got = append(s.got, p)
			if topic, ok := strings.CutPrefix(p, "publish "); ok {
				var m contract.Writer
				m.Begin(contract.Header{Hook: contract.HookPublish})
				m.String(contract.SlotTopic, topic)
				m.End()
				w.Put(i, contract.ExtPublishes, m.Frame())
			}
		}
	}
	return c.Take(0, c.N, w.Block())
}

func (s *sink) set(fn func(s *sink)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(s)
}

func (s *sink) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// distinct is what came, without what came again.
func (s *sink) distinct() []string { return slices.Compact(s.list()) }

const consumeHook = `hook = [ { name = "message", class = "consume", filters = ["s/#"]%s } ]` + "\n"

func consuming(t *testing.T, s *sink, more string) *fixture {
	t.Helper()
	f := newFixture(t)
	f.add("sink", fmt.Sprintf(consumeHook, more), &builtinPlugin{on: s.on})
	return f
}

// publish is what the broker does with messages; it returns their events.
func (f *fixture) consume(qos byte, payloads ...string) []hook.ConsumeEvent {
	es := make([]hook.ConsumeEvent, len(payloads))
	for i, p := range payloads {
		es[i] = hook.ConsumeEvent{Client: testClient(), Msg: msg("s/a", p, qos)}
	}
	fold(&f.points.MessageConsume, es)
	return es
}

// Messages in scope are kept and come in order, others are nobody's.
func TestConsume(t *testing.T) {
	s := &sink{}
	f := consuming(t, s, "")
	f.start("sink.\n")
	es := f.consume(1, "a", "b")
	es = append(es, hook.ConsumeEvent{Msg: msg("other", "x", 1)}, hook.ConsumeEvent{Msg: &message.Message{Topic: "s/own", From: "sink", Origin: message.OriginPlugin}})
	fold(&f.points.MessageConsume, es[2:])
	if !es[0].Kept || !es[1].Kept || es[2].Kept || es[3].Kept || es[0].Verdict != hook.Next {
		t.Errorf("kept %v %v %v %v", es[0].Kept, es[1].Kept, es[2].Kept, es[3].Kept)
	}
	f.consume(0, "c")
	eventually(t, "all three", func() bool { return slices.Equal(s.list(), []string{"a", "b", "c"}) })
	eventually(t, "the log is empty", func() bool { return f.List()[0].Log.Waiting == 0 })
	if l := f.List()[0]; l.Log.Redelivered != 0 || l.Log.Max != cursor.DefaultMaxBytes || l.Hooks[0] != "message" {
		t.Errorf("%+v", l.Log)
	}
}

// What the plugin refuses or faults with comes again, with what is behind it, and
// nothing in front of it.
func TestConsumeAgain(t *testing.T) {
	for _, how := range []string{"refused", "faulted", "down"} {
		t.Run(how, func(t *testing.T) {
			s := &sink{stopped: true}
			f := consuming(t, s, "")
			f.start("sink.\n")
			f.consume(1, "a", "b", "c")
			eventually(t, "a first try", func() bool { return f.List()[0].Failed > 0 })
			s.set(func(s *sink) {
				s.stopped = how == "down"
				switch how {
				case "refused":
					s.refuse = "b"
				case "faulted":
					s.fault = "b"
				}
			})
			if how != "down" {
				eventually(t, "what stands before it", func() bool { l := s.list(); return len(l) > 0 && l[0] == "a" })
			}
			eventually(t, "it is tried again", func() bool { return f.List()[0].Log.Redelivered > 1 })
			s.set(func(s *sink) { s.refuse, s.fault, s.stopped = "", "", false })
			eventually(t, "all is done", func() bool { return f.List()[0].Log.Waiting == 0 })
			got := s.list()
			if i := slices.Index(got, "b"); got[0] != "a" || i < 0 || !slices.Contains(got[i:], "c") {
				t.Errorf("got %q", got)
			}
		})
	}
}

// The log outlives a reload, an unload, and the broker.
func TestConsumeSurvives(t *testing.T) {
	logs, err := cursor.Open(t.Context(), journal.New(mem.New()))
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{stopped: true}
	f := consuming(t, s, "")
	cfg := f.config()
	cfg.Logs = logs
	f.Manager = New(cfg)
	f.start("sink.\n")
	f.consume(1, "a")
	if err := f.Reload("sink"); err != nil {
		t.Fatal(err)
	}
	f.consume(1, "b")
	if err := f.Unload("sink"); err != nil {
		t.Fatal(err)
	}
	if es := f.consume(1, "nobody's"); es[0].Kept {
		t.Error("kept for a plugin that is not loaded")
	}
	if err := f.Load("sink"); err != nil {
		t.Fatal(err)
	}
	f.consume(1, "c")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f.points = &hook.Points{}
	cfg.Hooks = f.points
	f.Manager = New(cfg)
	if err := f.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.consume(1, "d")
	s.set(func(s *sink) { s.stopped = false })
	eventually(t, "all of them", func() bool { return slices.Equal(s.distinct(), []string{"a", "b", "c", "d"}) })
}

// A full log refuses, or drops the oldest; QoS 0 is counted.
func TestConsumeFull(t *testing.T) {
	s := &sink{stopped: true}
	f := consuming(t, s, ", max_queue = 1000")
	f.start("sink.\n")
	var last hook.ConsumeEvent
	for range 20 {
		last = f.consume(1, strings.Repeat("x", 50))[0]
	}
	if last.Verdict != hook.Deny || last.Reason != packet.QuotaExceeded || last.Kept {
		t.Errorf("verdict %v reason %v", last.Verdict, last.Reason)
	}
	if last = f.consume(0, strings.Repeat("x", 50))[0]; last.Verdict != hook.Next || f.List()[0].Log.Missed != 1 {
		t.Errorf("QoS 0: verdict %v, %d missed", last.Verdict, f.List()[0].Log.Missed)
	}
	f.write("etc/sink.toml", "[plugin.hook.message]\nfull = \"drop_oldest\"\n")
	if err := f.Reload("sink"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "room is made", func() bool {
		last = f.consume(1, strings.Repeat("y", 50))[0]
		return last.Kept && f.List()[0].Log.Dropped > 0
	})
}

// A record with which the plugin always faults holds up the rest, unless on_error
// says to give it up.
func TestConsumeGivesUp(t *testing.T) {
	s := &sink{fault: "poison"}
	f := consuming(t, s, `, on_error = "drop"`)
	f.start("sink.\n")
	f.consume(1, "a", "poison", "b")
	eventually(t, "the rest", func() bool { return slices.Equal(s.distinct(), []string{"a", "b"}) })
	eventually(t, "one is given up", func() bool { l := f.List()[0].Log; return l.GivenUp == 1 && l.Waiting == 0 })
}

// What a manifest may say of the class.
func TestConsumeManifest(t *testing.T) {
	for line, want := range map[string]string{
		`{ name = "message", class = "consume" }`:                                      "needs filters",
		`{ name = "message", class = "observe", filters = ["a"] }`:                     `this hook is of class "consume"`,
		`{ name = "message", class = "consume", filters = ["a"], full = "no" }`:        "want deny or drop_oldest",
		`{ name = "message", class = "consume", filters = ["a"], max_queue = -1 }`:     "max_queue",
		`{ name = "publish", class = "intercept", full = "deny" }`:                     "for hooks of class consume",
		`{ name = "message", class = "consume", filters = ["a"], on_error = "allow" }`: "on_error",
	} {
		f := newFixture(t)
		f.add("a", "hook = [ "+line+" ]\n", always(contract.Next, 0))
		f.write("loaded_plugins", "a.\n")
		if err := f.StartAll(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// What verdicts publish leaves before the cursor moves, once for each record that
// is done, and comes again with the record when the broker has no room for it.
func TestConsumePublishes(t *testing.T) {
	s := &sink{refuse: "no"}
	f := newFixture(t)
	f.add("sink", "capabilities = [\"publish\"]\n"+fmt.Sprintf(consumeHook, ""), &builtinPlugin{on: s.on})
	f.write("etc/sink.toml", "[plugin]\ngrant = [\"publish\"]\n")
	f.full = 1
	f.start("sink.\n")
	f.consume(1, "publish a", "b", "publish c", "no", "publish d")
	topics := func() (list []string) {
		for _, m := range f.messages() {
			list = append(list, m.Topic)
		}
		return list
	}
	eventually(t, "what stands before the refusal", func() bool { return slices.Equal(topics(), []string{"a", "c"}) })
	if m := f.messages()[0]; m.From != "sink" || m.Origin != message.OriginPlugin || m.Hops != 1 {
		t.Errorf("published %+v", m)
	}
	if n := f.List()[0].Log.Redelivered; n == 0 {
		t.Error("the records did not come again after there was no room")
	}
	s.set(func(s *sink) { s.refuse = "" })
	eventually(t, "the rest", func() bool { return slices.Equal(topics(), []string{"a", "c", "d"}) })
	eventually(t, "the log is empty", func() bool { return f.List()[0].Log.Waiting == 0 })
}

// A loop through plugins ends: what has been published on too often is counted.
func TestConsumePublishesNoLoop(t *testing.T) {
	s := &sink{}
	f := newFixture(t)
	f.add("sink", "capabilities = [\"publish\"]\n"+fmt.Sprintf(consumeHook, ""), &builtinPlugin{on: s.on})
	f.write("etc/sink.toml", "[plugin]\ngrant = [\"publish\"]\n")
	f.start("sink.\n")
	old := msg("s/a", "publish on", 1)
	old.Hops = 8
	fold(&f.points.MessageConsume, []hook.ConsumeEvent{{Client: testClient(), Msg: old}})
	eventually(t, "it is counted", func() bool { return f.List()[0].Looped == 1 && f.List()[0].Log.Waiting == 0 })
	if ms := f.messages(); len(ms) != 0 {
		t.Errorf("published %v", ms)
	}
}

// A dynamic hook has the topics that its plugin names, before the first event and
// from then on.
func TestDynamicConsume(t *testing.T) {
	s := &sink{}
	var asks Wants
	f := newFixture(t)
	f.add("sink", `hook = [ { name = "message", class = "consume", dynamic = true }, { name = "connected", class = "observe" } ]`+"\n", &builtinPlugin{on: s.on, open: func(sp *Spec) error {
		asks = sp.Services.Wants
		return asks.Want(contract.HookMessage, []string{"s/#"})
	}})
	f.start("sink.\n")
	if es := f.consume(1, "a"); !es[0].Kept {
		t.Error("not kept")
	}
	if err := asks.Want(contract.HookMessage, []string{"t/+"}); err != nil {
		t.Fatal(err)
	}
	if es := f.consume(1, "b"); es[0].Kept {
		t.Error("kept although it is wanted no more")
	}
	if err := asks.Want(contract.HookConnected, []string{"#"}); !errors.Is(err, contract.ErrnoDenied) {
		t.Errorf("a hook that is not dynamic: %v", err)
	}
	eventually(t, "it came", func() bool { return slices.Equal(s.list(), []string{"a"}) })
}
