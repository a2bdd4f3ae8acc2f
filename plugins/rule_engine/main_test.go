//go:build !wasip1

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// broker is a host that notes what the plugin asks of it.
type broker struct {
	mu    sync.Mutex
	wants map[uint32][]string
	logs  []string
}

func (b *broker) Call(c contract.HostCall) (int64, []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch c.Call {
	case contract.CallWant:
		var list []string
		for f := range (contract.FilterList{Bytes: c.Data}).All {
			list = append(list, string(f.Filter))
		}
		b.wants[c.Record] = list
	case contract.CallLog:
		b.logs = append(b.logs, string(c.Data))
	}
	return 0, nil
}

// engine is a configured plugin with the rules of a text.
func engine(t testing.TB, rules string) (*Engine, *sdk.Runner, *broker) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rules.toml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	e, b := &Engine{}, &broker{wants: map[uint32][]string{}}
	r := sdk.NewRunner(e, b)
	config, _ := json.Marshal(map[string]string{"rules_dir": dir})
	if err := e.Configure(config); err != nil {
		t.Fatal(err)
	}
	return e, r, b
}

// frame is n messages.
func frame(n int, topic, payload string) []byte {
	var w contract.Writer
	for range n {
		w.Begin(contract.Header{Hook: contract.HookMessage, Flags: contract.Flags(0).WithQoS(1)})
		w.String(contract.SlotClientID, "c1")
		w.String(contract.SlotTopic, topic)
		w.String(contract.SlotPayload, payload)
		w.End()
	}
	return slices.Clone(w.Frame())
}

// published is what the answer to a frame of one message publishes.
func published(t *testing.T, r *sdk.Runner, topic, payload string) (out []string) {
	t.Helper()
	f := frame(1, topic, payload)
	var vs contract.Verdicts
	if err := vs.Load(f, 1, r.Frame(f, 1)); err != nil {
		t.Fatal(err)
	}
	list, _ := vs.At(0).Ext(contract.ExtPublishes)
	for len(list) > 0 {
		rec, rest, err := contract.Split(list)
		if err != nil {
			t.Fatal(err)
		}
		out, list = append(out, string(rec.Slot(contract.SlotTopic))+" "+string(rec.Slot(contract.SlotPayload))), rest
	}
	return out
}

func republishing(id, from, to string) string {
	return fmt.Sprintf("[rule.%s]\nsql = '''SELECT payload FROM \"%s\"'''\n[[rule.%s.action]]\nname = \"republish\"\nparams = { target_topic = \"%s\" }\n", id, from, id, to)
}

// TestRulesInARow: each rule sees what the others publish, in the order of events, and
// a circle ends.
func TestRulesInARow(t *testing.T) {
	_, r, b := engine(t, republishing("a", "one", "two")+republishing("b", "two", "three")+republishing("x", "ping", "pong")+republishing("y", "pong", "ping"))
	if got := published(t, r, "one", "m"); !slices.Equal(got, []string{"two m", "three m"}) {
		t.Errorf("published %q", got)
	}
	if got := published(t, r, "ping", "m"); len(got) != maxDepth || got[0] != "pong m" || got[1] != "ping m" {
		t.Errorf("a circle publishes %q", got)
	}
	if got := published(t, r, "other", "m"); got != nil {
		t.Errorf("nobody's topic: %q", got)
	}
	want := []string{"one", "ping", "pong", "two"}
	if got := b.wants[uint32(contract.HookMessage)]; !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("it wants %q", got)
	}
	if got, ok := b.wants[uint32(contract.HookConnected)]; !ok || got != nil {
		t.Errorf("it wants connections: %q", got)
	}
	if !slices.ContainsFunc(b.logs, func(l string) bool { return strings.Contains(l, "loop") }) {
		t.Errorf("nobody is told of the circle: %q", b.logs)
	}
}

// TestTooMany: what one message makes is bounded.
func TestTooMany(t *testing.T) {
	_, r, _ := engine(t, "[rule.f]\nsql = '''FOREACH payload.list as x DO x.v as payload FROM \"many\"'''\n[[rule.f.action]]\nname = \"republish\"\nparams = { target_topic = \"out\" }\n")
	var list []string
	for i := range maxPublished + 10 {
		list = append(list, fmt.Sprintf(`{"v":"%d"}`, i))
	}
	if got := published(t, r, "many", `{"list":[`+strings.Join(list, ",")+`]}`); len(got) != maxPublished || got[3] != "out 3" {
		t.Errorf("%d messages", len(got))
	}
}

// TestCommandFaults: what is asked wrongly says what is wrong, and of what kind that
// is.
func TestCommandFaults(t *testing.T) {
	e, _, _ := engine(t, republishing("a", "one", "two"))
	for _, x := range []struct {
		name, body, want string
		kind             error
	}{
		{"rules.dance", "", "no command", sdk.ErrNotFound},
		{"rules.show", `{"id":"b"}`, "no rule", sdk.ErrNotFound},
		{"rules.show", `{"idd":"b"}`, "idd", sdk.ErrInvalid},
		{"rules.create", `{}`, "required", sdk.ErrInvalid},
		{"rules.create", `{"rawsql":"SELECT * FROM \"$events/client_born\"","actions":[]}`, "does not tell", sdk.ErrInvalid},
		{"rules.create", `{"rawsql":"SELECT * FROM \"a\"","actions":[{"name":"republish","params":{"target_topic":"a/#"}}]}`, "target_topic", sdk.ErrInvalid},
		{"rules.delete", `{"id":"a"}`, "by hand", sdk.ErrDenied},
		{"rules.test", `{"rawsql":"SELECT foo( FROM \"a\""}`, "line 1", sdk.ErrInvalid},
		{"rules.test", `{"rawsql":"SELECT * FROM \"a\"","context":{"colour":1}}`, "colour", sdk.ErrInvalid},
		{"resources.create", `{"type":"web_hook","config":{"url":"${file:nothing}"}}`, "nothing", sdk.ErrInvalid},
		{"resources.show", `{"id":"x"}`, "no resource", sdk.ErrNotFound},
	} {
		_, err := e.OnCommand(x.name, []byte(x.body))
		if !errors.Is(err, x.kind) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s %s: %v", x.name, x.body, err)
		}
	}
	for statement, want := range map[string]string{
		`SELECT event, reason_code, payload FROM \"$events/client_connack\"`:                `{"event":"client.connack","reason_code":"success"}`,
		`SELECT event, action, result, topic FROM \"$events/client_check_acl_complete\"`:    `{"event":"client.check_acl_complete","action":"publish","result":"allow","topic":"t/1"}`,
		`SELECT event, topic FROM \"t/#\"`:                                                  `{"event":"message.publish","topic":"t/#"}`,
		`SELECT event, reason FROM \"$events/client_disconnected\" WHERE reason = 'normal'`: `{"event":"client.disconnected","reason":"normal"}`,
	} {
		if got, err := e.OnCommand("rules.test", []byte(`{"rawsql":"`+statement+`"}`)); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: %s, %v", statement, got, err)
		}
	}
	got, err := e.OnCommand("rules.test", []byte(`{"rawsql":"SELECT payload.a + 1 as b, qos FROM \"a\"","context":{"payload":"{\"a\": 2}","qos":2}}`))
	if err != nil || !strings.Contains(string(got), `{"b":3,"qos":2}`) {
		t.Errorf("%s, %v", got, err)
	}
}

// TestMessagesCostFewAllocations: a frame's messages share what they need.
func TestMessagesCostFewAllocations(t *testing.T) {
	_, r, _ := engine(t, "[rule.hot]\nsql = '''SELECT payload.temp as t FROM \"s/#\" WHERE t > 30'''\n[[rule.hot.action]]\nname = \"republish\"\nparams = { target_topic = \"hot\", payload_tmpl = \"${t}\" }\n")
	const n = 512
	f := frame(n, "s/1", `{"temp": 31.5, "unit": "C", "room": "kitchen"}`)
	r.Frame(f, n)
	if got := testing.AllocsPerRun(20, func() { r.Frame(f, n) }); got > n/16 {
		t.Errorf("%v allocations for %d messages", got, n)
	}
}

// BenchmarkRepublish is the plugin's work for a message that a rule republishes: the
// frame is read, the statement evaluated, the answer written.
func BenchmarkRepublish(b *testing.B) {
	for _, rules := range []int{1, 10_000} {
		var text strings.Builder
		text.WriteString("[rule.hot]\nsql = '''SELECT payload.temp as t FROM \"s/#\" WHERE t > 30'''\n[[rule.hot.action]]\nname = \"republish\"\nparams = { target_topic = \"hot\", payload_tmpl = \"${t}\" }\n")
		for i := range rules - 1 {
			text.WriteString(republishing(fmt.Sprintf("r%d", i), fmt.Sprintf("other/%d/+", i), "x"))
		}
		b.Run(fmt.Sprint(rules, "_rules"), func(b *testing.B) {
			_, r, _ := engine(b, text.String())
			const n = 512
			f := frame(n, "s/1", `{"temp": 31.5, "unit": "C", "room": "kitchen"}`)
			b.ReportAllocs()
			for b.Loop() {
				r.Frame(f, n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/message")
		})
	}
}

// TestManyRules: ten thousand rules of one file are read, and the broker is told
// their topics.
func TestManyRules(t *testing.T) {
	const n = 10_000
	var text strings.Builder
	for i := range n {
		text.WriteString(republishing(fmt.Sprintf("r%d", i), fmt.Sprintf("many/%d/+", i), fmt.Sprintf("out/%d", i)))
	}
	e, r, b := engine(t, text.String())
	if got := published(t, r, "many/7777/x", "m"); !slices.Equal(got, []string{"out/7777 m"}) {
		t.Errorf("published %q", got)
	}
	if got := b.wants[uint32(contract.HookMessage)]; len(got) != n {
		t.Errorf("the broker is told %d topics", len(got))
	}
	if at := e.content.RuleAt["r9999"].Line; at != (n-1)*5+2 {
		t.Errorf("the last rule is in line %d", at)
	}
}
