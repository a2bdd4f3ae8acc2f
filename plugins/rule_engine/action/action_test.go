package action

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/rules"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
)

// ties notes what is bound.
type ties []string

func (t *ties) Bind(resource, kind, name string, p *params.Params) error {
	*t = append(*t, resource+" "+kind+" "+name+" "+p.Required("sql"))
	return p.Err()
}

// run runs a rule with one action on a message and returns what has left.
func run(t *testing.T, s *Services, action rules.ActionSpec) (out []string) {
	t.Helper()
	engine := rules.NewEngine(sql.Options{}, s.Builder, func(_ string, err error) { out = append(out, "fault: "+err.Error()) })
	if _, err := engine.Put(rules.Spec{ID: "r", SQL: `SELECT *, payload.x as x FROM "t/#"`, Enabled: true, Actions: []rules.ActionSpec{action}}); err != nil {
		t.Fatal(err)
	}
	tx := &rules.Tx{
		Event: sql.Row{sql.ColClientID: sql.StringOf("c"), sql.ColQoS: sql.IntOf(2), sql.ColPayload: sql.StringOf(`{"x":"a/b"}`), sql.ColTopic: sql.StringOf("t/1")},
		Publish: func(m rules.Message) error {
			out = append(out, fmt.Sprintf("%s %s %d %v %s", m.Topic, m.Payload, m.QoS, m.Retain, m.Rule))
			return nil
		},
		Queue: func(resource, action string, row *sql.Map) error {
			out = append(out, resource+" "+action+" "+row.Get("x").Str())
			return nil
		},
	}
	engine.Message(tx, "t/1", "", &rules.Scratch{})
	if e := engine.Get("r").Metrics.Counts().LastError; e != "" {
		out = append(out, e)
	}
	return out
}

func TestRepublish(t *testing.T) {
	for _, c := range []struct {
		params map[string]any
		want   string
	}{
		{nil, `[repub/to/c {"x":"a/b"} 0 false r]`},
		{map[string]any{"target_topic": "up/${x}", "target_qos": int64(-1), "target_retain": true, "payload_tmpl": "v=${x}"}, `[up/a/b v=a/b 2 true r]`},
		{map[string]any{"target_qos": "${qos}", "target_retain": "${none}"}, `[repub/to/c {"x":"a/b"} 2 false r]`},
		{map[string]any{"target_qos": "${x}"}, `[action republish_1: 0, 1, 2, -1`},
		{map[string]any{"target_topic": "a/#${x}"}, `[action republish_1: target_topic: `},
	} {
		if got := fmt.Sprint(run(t, &Services{}, rules.ActionSpec{Name: "republish", Params: c.params})); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: got %s, want %s", c.params, got, c.want)
		}
	}
}

func TestOthers(t *testing.T) {
	var seen string
	s := &Services{Resources: &ties{}, Inspect: func(rule, action string, row *sql.Map) { seen = rule + " " + action + " " + row.Get("x").Str() }}
	if got := run(t, s, rules.ActionSpec{ID: "i", Name: "inspect"}); got != nil || seen != "r i a/b" {
		t.Errorf("inspect: %v, %q", got, seen)
	}
	if got := run(t, s, rules.ActionSpec{Name: "do_nothing"}); got != nil {
		t.Errorf("do_nothing: %v", got)
	}
	got := run(t, s, rules.ActionSpec{ID: "q", Name: "data_to_pgsql", Params: map[string]any{"$resource": "pg", "sql": "INSERT"}})
	if fmt.Sprint(got) != "[pg r/q a/b]" || fmt.Sprint(*s.Resources.(*ties)) != "[pg pgsql r/q INSERT]" {
		t.Errorf("data_to_pgsql: %v, %v", got, s.Resources)
	}
}

func TestFaults(t *testing.T) {
	s := &Services{Resources: &ties{}}
	for _, c := range []struct {
		name   string
		params map[string]any
		want   string
	}{
		{"republisch", nil, `there is no action "republisch"; there are data_to_`},
		{"republish", map[string]any{"target_topic": "a/+", "target_qos": int64(3), "topic": "x"}, "topic: there is no such parameter"},
		{"republish", map[string]any{"target_topic": "a/+"}, "target_topic: "},
		{"republish", map[string]any{"target_qos": int64(3)}, "target_qos: 0, 1, 2, -1"},
		{"data_to_pgsql", nil, "$resource: is required"},
		{"data_to_pgsql", map[string]any{"$resource": "pg"}, "sql: is required"},
		{"inspect", map[string]any{"x": 1}, "x: there is no such parameter"},
	} {
		_, err := s.Builder("r", &rules.ActionSpec{ID: "a", Name: c.name, Params: c.params})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: %v, want %q", c.name, c.params, err, c.want)
		}
	}
	if Kind("data_to_redis") != "redis" || Kind("republish") != "" {
		t.Error("Kind")
	}
}
