//go:build !wasip1

package main

import (
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/plugintest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// emqx are the rules of EMQ X 4's documentation, with names of the client.
const emqx = `{"rule":{"1":"y/+/z/# ^y/(.+)/z/(.+)$ y/z/$2","2":"x/# ^x/y/(.+)$ z/y/x/$1","3":"x/y/+ ^x/y/(\\d+)$ z/y/$1"},
	"pub":{"rule":{"1":"in/# ^in/(.*)$ devices/%c/$1"}},"sub":{"rule":{"1":"mine/# ^mine/(.*)$ users/%u/$1"}}}`

func applied(rules []rule, name string, by who) string {
	if got, changed := apply(rules, []byte(name), by); changed {
		return got
	}
	return name
}

// The examples of EMQ X 4's documentation: the last rule whose filter is about
// the topic decides, also when its regular expression does not match.
func TestRules(t *testing.T) {
	pub, sub, err := parse([]byte(emqx))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ topic, pub, sub string }{
		{"y/a/z/b", "y/z/b", "y/z/b"}, {"y/def", "y/def", "y/def"}, {"x/1/2", "x/1/2", "x/1/2"},
		{"x/y/2", "z/y/2", "z/y/2"}, {"x/y/z", "x/y/z", "x/y/z"}, {"x/y/a/b", "z/y/x/a/b", "z/y/x/a/b"},
		{"in/t", "devices/c1/t", "in/t"}, {"mine/t", "mine/t", "users/u1/t"}, {"other", "other", "other"},
		{strings.Repeat("x/y/", 2000) + "x", strings.Repeat("x/y/", 2000) + "x", strings.Repeat("x/y/", 2000) + "x"},
	} {
		by := who{[]byte("c1"), []byte("u1")}
		if got := applied(pub, tc.topic, by); got != tc.pub {
			t.Errorf("publish %s: %s, want %s", tc.topic, got, tc.pub)
		}
		if got := applied(sub, tc.topic, by); got != tc.sub {
			t.Errorf("subscribe %s: %s, want %s", tc.topic, got, tc.sub)
		}
	}
	for _, name := range []string{"", "a/b", "+", "#", "x#"} { // no way out of the client's own level
		if got := applied(pub, "in/t", who{id: []byte(name)}); got != "in/t" {
			t.Errorf("client %q: %s", name, got)
		}
	}
}

// Faults name the rule.
func TestFaults(t *testing.T) {
	for config, want := range map[string]string{
		`{"rule":{"2":"a/# ^a/(.*$ b"}}`:      "rule.2: error parsing regexp: missing closing )",
		`{"pub":{"rule":{"1":"a/# ^a$ $1"}}}`: "pub.rule.1: $1: the regular expression has 0 captures",
		`{"sub":{"rule":{"7":"a# ^a$ b"}}}`:   `sub.rule.7: "a#" is not a topic filter`,
		`{"rule":{"1":"a b"}}`:                "rule.1: want \"<filter> <regular expression> <new topic>\", found 2 words",
		`{"rule":{"x":"a b c"}}`:              "rule.x: a rule's key is a number",
		`{"rule":{"1":7}}`:                    "rule.1 is not a text",
		`{"pubs":{}}`:                         "there is no key pubs",
		`{"pub":{"rules":{}}}`:                "there is no key pub.rules",
	} {
		if _, _, err := parse([]byte(config)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

func message(w *contract.Writer, topic string) {
	w.Begin(contract.Header{Hook: contract.HookPublish, Conn: 7})
	w.String(contract.SlotClientID, "c1")
	w.String(contract.SlotUsername, "u1")
	w.String(contract.SlotTopic, topic)
	w.End()
}

// The module rewrites messages; what would be no topic stays as it is.
func TestPublish(t *testing.T) {
	p := plugintest.Open(t, plugintest.WASM, `{"rule":{"1":"x/# ^x/(.*)$ z/$1","2":"bad/# ^bad/(.*)$ #/$1"}}`)
	w := p.Frame(contract.HookPublish)
	for _, topic := range []string{"x/1", "y", "bad/1", "x/" + strings.Repeat("y", maxTopic-2)} {
		message(w, topic)
	}
	want := []string{"z/1", "", "", "z/" + strings.Repeat("y", maxTopic-2)}
	for i, v := range p.Call(t, contract.HookPublish, w, nil) {
		name, changed := v.Ext(contract.ExtTopic)
		if string(name) != want[i] || changed != (want[i] != "") || changed != (v.Action == contract.Rewrite) {
			t.Errorf("record %d: %v, topic %q", i, v.Action, name)
		}
	}
	if s := p.Status(); s.Faults != 0 {
		t.Errorf("%+v", s)
	}
}

// The module rewrites the filters of SUBSCRIBE and UNSUBSCRIBE, shared ones
// within their group, and keeps their options.
func TestFilters(t *testing.T) {
	p := plugintest.Open(t, plugintest.WASM, `{"sub":{"rule":{"1":"x/# ^x/(.*)$ %u/$1","2":"bad/# ^bad/(.*)$ a#/$1"}}}`)
	in := []string{"x/1", "a", "$share/g/x/+/2", "$queue/x/#", "bad/1", "$share/g/bad/1"}
	want := []string{"u1/1", "a", "$share/g/u1/+/2", "$queue/u1/#", "bad/1", "$share/g/bad/1"}
	for _, k := range []contract.Hook{contract.HookSubscribe, contract.HookUnsubscribe} {
		options := k == contract.HookSubscribe
		w := p.Frame(k)
		w.Begin(contract.Header{Hook: k, Conn: 7, Aux: uint32(len(in))})
		w.String(contract.SlotUsername, "u1")
		var wire []byte
		for i, f := range in {
			wire = contract.AppendFilter(wire, f)
			if options {
				wire = append(wire, byte(i%3))
			}
		}
		w.Bytes(contract.SlotFilters, wire)
		w.End()
		v := p.Call(t, k, w, nil)[0]
		wire, _ = v.Ext(contract.ExtFilters)
		i := 0
		for f := range (contract.FilterList{Bytes: wire, Options: options}).All {
			if string(f.Filter) != want[i] || options && f.Options != byte(i%3) {
				t.Errorf("%v: filter %d: %q, options %d", k, i, f.Filter, f.Options)
			}
			i++
		}
		if i != len(want) || v.Action != contract.Rewrite {
			t.Errorf("%v: %v, %d filters", k, v.Action, i)
		}
		w = p.Frame(k)
		w.Begin(contract.Header{Hook: k, Conn: 7, Aux: 1})
		wire = contract.AppendFilter(nil, "other")
		if options {
			wire = append(wire, 1)
		}
		w.Bytes(contract.SlotFilters, wire)
		w.End()
		if v := p.Call(t, k, w, nil)[0]; v.Action != contract.Next {
			t.Errorf("%v: an untouched filter: %v", k, v.Action)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	for name, topic := range map[string]string{"rewritten": "x/y/12", "untouched": "a/b/c"} {
		b.Run(name, func(b *testing.B) {
			p := plugintest.Open(b, plugintest.WASM, emqx)
			w := p.Frame(contract.HookPublish)
			for range 32 {
				message(w, topic)
			}
			for b.Loop() {
				p.Call(b, contract.HookPublish, w, nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/publish")
			b.ReportMetric(float64(p.Status().FuelMost), "fuel")
		})
	}
}
