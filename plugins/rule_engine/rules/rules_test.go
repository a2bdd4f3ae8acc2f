package rules

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
	"github.com/dunlinmq/dunlin/pluginsdk/topic"
)

// noted is an action that keeps its rows, or fails.
type noted struct {
	rows []string
	err  error
}

func (n *noted) Do(_ *Tx, row *sql.Map) error {
	if n.err == nil {
		n.rows = append(n.rows, string(row.AppendJSON(nil)))
	}
	return n.err
}

// bench is an engine whose actions are noted by id.
type bench struct {
	*Engine
	actions map[string]*noted
	faults  []string
}

func newBench() *bench {
	b := &bench{actions: map[string]*noted{}}
	b.Engine = NewEngine(sql.Options{}, func(_ string, spec *ActionSpec) (Action, error) {
		switch spec.Name {
		case "note":
			b.actions[spec.ID] = &noted{}
		case "fail":
			b.actions[spec.ID] = &noted{err: errors.New("no")}
		case "panic":
			return broken{}, nil
		default:
			return nil, fmt.Errorf("there is no action %q", spec.Name)
		}
		return b.actions[spec.ID], nil
	}, func(rule string, err error) { b.faults = append(b.faults, rule+": "+err.Error()) })
	return b
}

type broken struct{}

func (broken) Do(*Tx, *sql.Map) error { panic("oops") }

func (b *bench) put(t *testing.T, id, statement string, actions ...ActionSpec) {
	t.Helper()
	if _, err := b.Put(Spec{ID: id, SQL: statement, Enabled: true, Actions: actions}); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) publish(name, payload string) {
	tx := &Tx{Event: sql.Row{sql.ColTopic: sql.StringOf(name), sql.ColPayload: sql.StringOf(payload)}}
	b.Message(tx, name, "", &Scratch{})
}

func TestRulesOfATopicRunAndCount(t *testing.T) {
	b := newBench()
	b.put(t, "hot", `SELECT payload.t as t FROM "s/#" WHERE t > 30`, ActionSpec{ID: "a", Name: "note"})
	b.put(t, "other", `SELECT * FROM "x/+"`, ActionSpec{ID: "b", Name: "note"})
	b.publish("s/1", `{"t":31}`)
	b.publish("s/2", `{"t":3}`)
	b.publish("s/3", `broken`)
	if got := fmt.Sprint(b.actions["a"].rows); got != `[{"t":31}]` || b.actions["b"].rows != nil {
		t.Errorf("rows %s, %v", got, b.actions["b"].rows)
	}
	c := b.Get("hot").Metrics.Counts()
	if c.Matched != 3 || c.Passed != 1 || c.NoResult != 1 || c.Exception != 1 || c.Failed != 2 || !strings.Contains(c.LastError, "not JSON") {
		t.Errorf("%+v", c)
	}
	if len(b.faults) != 1 || !strings.HasPrefix(b.faults[0], "hot: the payload is not JSON") {
		t.Errorf("faults %v", b.faults)
	}
	if a := b.Get("hot").Actions(); a[0].Taken != 1 || a[0].Success != 1 || a[0].Failed != 0 {
		t.Errorf("%+v", a)
	}
	b.Get("hot").Metrics.Reset()
	if c := b.Get("hot").Metrics.Counts(); c != (Counts{}) {
		t.Errorf("after Reset %+v", c)
	}
}

func TestFallbacksAndStop(t *testing.T) {
	b := newBench()
	b.put(t, "r", `SELECT topic FROM "t"`,
		ActionSpec{ID: "f", Name: "fail", Fallbacks: []ActionSpec{{ID: "f1", Name: "fail"}, {ID: "f2", Name: "note"}, {ID: "f3", Name: "note"}}},
		ActionSpec{ID: "next", Name: "note"})
	if _, err := b.Put(Spec{ID: "s", SQL: `SELECT topic FROM "t"`, Enabled: true, OnActionFailed: "stop",
		Actions: []ActionSpec{{ID: "g", Name: "fail"}, {ID: "never", Name: "note"}}}); err != nil {
		t.Fatal(err)
	}
	b.publish("t", "")
	if len(b.actions["f2"].rows) != 1 || b.actions["f3"].rows != nil || len(b.actions["next"].rows) != 1 || b.actions["never"].rows != nil {
		t.Errorf("f2 %v, f3 %v, next %v, never %v", b.actions["f2"].rows, b.actions["f3"].rows, b.actions["next"].rows, b.actions["never"].rows)
	}
	if c := b.Get("s").Metrics.Counts(); !strings.Contains(c.LastError, "action g: no") {
		t.Errorf("last error %q", c.LastError)
	}
}

func TestABrokenRuleStopsNobody(t *testing.T) {
	b := newBench()
	b.put(t, "a", `SELECT * FROM "t"`, ActionSpec{ID: "p", Name: "panic"})
	b.put(t, "b", `SELECT topic FROM "t"`, ActionSpec{ID: "n", Name: "note"})
	b.publish("t", "")
	if len(b.actions["n"].rows) != 1 || len(b.faults) != 1 || !strings.Contains(b.faults[0], "oops") {
		t.Errorf("rows %v, faults %v", b.actions["n"].rows, b.faults)
	}
}

func TestARuleDoesNotSeeItsOwnMessages(t *testing.T) {
	b := newBench()
	b.put(t, "loop", `SELECT topic FROM "#"`, ActionSpec{ID: "n", Name: "note"})
	b.put(t, "other", `SELECT topic FROM "#"`, ActionSpec{ID: "m", Name: "note"})
	b.Message(&Tx{Event: sql.Row{}}, "t", "loop", &Scratch{})
	if b.actions["n"].rows != nil || len(b.actions["m"].rows) != 1 {
		t.Errorf("loop %v, other %v", b.actions["n"].rows, b.actions["m"].rows)
	}
}

func TestEvents(t *testing.T) {
	b := newBench()
	b.put(t, "e", `SELECT clientid FROM "$events/client_connected", "t/#"`, ActionSpec{ID: "n", Name: "note"})
	b.Event(&Tx{Event: sql.Row{sql.ColClientID: sql.StringOf("c")}}, "$events/client_connected", &Scratch{})
	b.Event(&Tx{Event: sql.Row{}}, "$events/client_disconnected", &Scratch{})
	if got := fmt.Sprint(b.actions["n"].rows); got != `[{"clientid":"c"}]` {
		t.Errorf("rows %s", got)
	}
	filters, events := b.Filters()
	if fmt.Sprint(filters, events) != "[t/#] [$events/client_connected]" {
		t.Errorf("filters %v, events %v", filters, events)
	}
}

func TestReplaceIsAllOrNothing(t *testing.T) {
	b := newBench()
	b.put(t, "keep", `SELECT * FROM "t"`)
	err := b.Replace([]Spec{{ID: "ok", SQL: `SELECT * FROM "t"`}, {ID: "bad", SQL: `SELEC`}, {ID: "ok", SQL: `SELECT * FROM "t"`},
		{ID: "x y", SQL: `SELECT * FROM "t"`, OnActionFailed: "maybe", Actions: []ActionSpec{{Name: "nope"}}}})
	for _, want := range []string{"rule bad: sql: line 1, column 1", "rule ok: there are two", `id "x y"`, `on_action_failed "maybe"`, `there is no action "nope"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: wants %q", err, want)
		}
	}
	if list := b.List(); len(list) != 1 || list[0].Spec().ID != "keep" {
		t.Error("a refused Replace has changed the rules")
	}
	if err := b.Replace([]Spec{{ID: "off", SQL: `SELECT * FROM "t"`}}); err != nil {
		t.Fatal(err)
	}
	if f, _ := b.Filters(); f != nil {
		t.Errorf("a disabled rule asks for %v", f)
	}
	if err := b.Delete("keep"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Delete of what is gone: %v", err)
	}
	if err := b.Delete("off"); err != nil || len(b.List()) != 0 {
		t.Errorf("Delete: %v, %d left", err, len(b.List()))
	}
}

// The index finds what matching filter by filter finds.
func TestIndexAgreesWithMatch(t *testing.T) {
	levels := []string{"a", "b", "", "$x", "+", "#"}
	var all []*Rule
	filters := map[string]*Rule{}
	for _, f := range []string{"#", "+", "+/#", "a", "a/#", "a/+", "a/b", "+/b", "$x/#", "$x/+", "/", "/+", "+/+/+", "a//b", "a/+/#"} {
		q, err := sql.Compile(`SELECT * FROM "`+f+`"`, sql.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := &Rule{spec: Spec{ID: f, Enabled: true}, query: q}
		filters[f] = r
		all = append(all, r)
	}
	x := newIndex(all)
	check := func(picks []byte) bool {
		var parts []string
		for _, p := range picks[:min(len(picks), 5)] {
			parts = append(parts, levels[int(p)%4])
		}
		name := strings.Join(parts, "/")
		if name == "" {
			return true
		}
		var want, got []string
		for f := range filters {
			if topic.Match(f, name) {
				want = append(want, f)
			}
		}
		for _, r := range x.match(name, nil) {
			got = append(got, r.spec.ID)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%q: got %v, want %v", name, got, want)
			return false
		}
		return true
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

func TestSpeeds(t *testing.T) {
	var m Metrics
	now := time.Unix(1000, 0)
	m.start(now)
	for i := range 40 {
		m.matched.Add(100)
		if i == 20 {
			m.matched.Add(400)
		}
		now = now.Add(time.Second)
		m.Tick(now)
	}
	if c := m.Counts(); c.Speed != 100 || c.SpeedMax != 500 || c.Speed5m != 110 {
		t.Errorf("%+v", c)
	}
}

// A message costs what its rules cost, not what all rules cost.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var all []*Rule
			for i := range n {
				q, err := sql.Compile(`SELECT * FROM "s/`+strconv.Itoa(i)+`/+"`, sql.Options{})
				if err != nil {
					b.Fatal(err)
				}
				all = append(all, &Rule{spec: Spec{Enabled: true}, query: q})
			}
			x := newIndex(all)
			var dst []*Rule
			b.ReportAllocs()
			for b.Loop() {
				dst = x.match("s/7/temp", dst[:0])
			}
			if len(dst) != 1 {
				b.Fatal(len(dst))
			}
		})
	}
}
