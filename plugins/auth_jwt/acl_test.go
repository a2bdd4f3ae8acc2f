//go:build !wasip1

package main

import (
	"fmt"
	"testing"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
	"github.com/dunlinmq/dunlin/pluginsdk/placeholder"
)

// Both forms of the claim become lists that end with "denied".
func TestPermissions(t *testing.T) {
	allow := contract.Permission{Allow: true, MaxQoS: 2, Retain: true}
	line := func(filter string, change func(*contract.Permission)) contract.Permission {
		l := allow
		l.Filter = filter
		change(&l)
		return l
	}
	pub := func(l *contract.Permission) { l.Publish = true }
	sub := func(l *contract.Permission) { l.Subscribe = true }
	both := func(l *contract.Permission) { l.Publish, l.Subscribe = true, true }
	for text, want := range map[string][]contract.Permission{
		`{}`: {},
		`{"pub":["up/%c","a+"],"sub":["down/${username}/#"],"all":["eq x/#"]}`: {
			line("up/c1", pub), line("down/u1/#", sub), line("x/#", func(l *contract.Permission) { both(l); l.Exact = true }),
		},
		`[{"permission":"allow","action":"publish","topic":"a"},{"permission":"deny","action":"all","topics":["b","c"],"qos":[1],"retain":true}]`: {
			line("a", pub), line("b", func(l *contract.Permission) { both(l); l.Allow = false }), line("c", func(l *contract.Permission) { both(l); l.Allow = false }),
		},
		`[{"permission":"allow","action":"pubsub","topic":"a","qos":[0,1],"retain":false},{"permission":"allow","action":"subscribe","topic":"b","qos":0}]`: {
			line("a", func(l *contract.Permission) { both(l); l.MaxQoS, l.Retain = 1, false }), line("b", func(l *contract.Permission) { sub(l); l.MaxQoS = 0 }),
		},
		// What a line cannot say is not allowed.
		`[{"permission":"allow","action":"publish","topic":"a","qos":[1,2]},{"permission":"allow","action":"publish","topic":"a","retain":true},{"permission":"allow","action":"publish","topic":"a","qos":[0,2]}]`: {
			line("a", func(l *contract.Permission) { pub(l); l.MaxQoS = 0 }),
		},
	} {
		want = append(want, contract.Permission{Filter: "#", Any: true, Publish: true, Subscribe: true, MaxQoS: 2, Retain: true})
		got, err := permissions(flatjson.Value(text), client)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", text, err, got, want)
		}
	}
}

// A malformed claim allows nothing: the login is refused.
func TestMalformedPermissions(t *testing.T) {
	for _, text := range []string{
		`"all"`, `7`, `null`, `{"pubs":[]}`, `{"pub":"a"}`, `{"pub":[1]}`, `[1]`, `[{}]`, `[{"permission":"yes","action":"publish","topic":"a"}]`,
		`[{"permission":"allow","topic":"a"}]`, `[{"permission":"allow","action":"read","topic":"a"}]`, `[{"permission":"allow","action":"all","topic":1}]`,
		`[{"permission":"allow","action":"all","topics":["a",1]}]`, `[{"permission":"allow","action":"all","topic":"a","qos":3}]`,
		`[{"permission":"allow","action":"all","topic":"a","qos":["1"]}]`, `[{"permission":"allow","action":"all","topic":"a","retain":1}]`,
		`[{"permission":"deny","action":"all","topic":"a+"}]`,
	} {
		if got, err := permissions(flatjson.Value(text), client); err == nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

// Names of the client do not widen what is allowed.
func TestNamesStayInTheirLevel(t *testing.T) {
	for _, c := range []placeholder.Client{{ID: "#", Username: "+", Named: true}, {ID: "a/b"}} {
		got, err := permissions(flatjson.Value(`{"all":["c/%c","u/%u"]}`), c)
		if err != nil || len(got) != 1 {
			t.Errorf("%+v: %v %+v", c, err, got)
		}
	}
}
