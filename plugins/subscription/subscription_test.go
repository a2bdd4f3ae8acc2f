//go:build !wasip1

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"

	"github.com/dunlinmq/dunlin/plugins/plugintest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// The entries come in the order of their numbers, with EMQ X 4's defaults.
func TestList(t *testing.T) {
	got, err := parse([]byte(`{"10":{"topic":"c/%c","qos":2,"nl":1,"rap":1,"rh":2},"9":{"topic":"$share/g/a/#","qos":0},"1":{"topic":"u/%u"}}`))
	want := []sdk.Subscription{{Filter: "u/%u", Options: 1}, {Filter: "$share/g/a/#"}, {Filter: "c/%c", Options: 2 | 1<<2 | 1<<3 | 2<<4}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

// Faults name the key.
func TestFaults(t *testing.T) {
	many := "{"
	for i := range contract.MaxSubscriptions + 1 {
		many += fmt.Sprintf(`"%d":{"topic":"t"},`, i)
	}
	for config, want := range map[string]string{
		`{"1":{"qos":1}}`:                   "1: topic is missing",
		`{"1":{"topic":"a#"}}`:              `1.topic = "a#": not a topic filter`,
		`{"1":{"topic":7}}`:                 "1.topic = 7: not a topic filter",
		`{"1":{"topic":"a","qos":3}}`:       "1.qos = 3: want 0 to 2",
		`{"1":{"topic":"a","nl":true}}`:     "1.nl = true: want 0 to 1",
		`{"1":{"topic":"a","rh":-1}}`:       "1.rh = -1: want 0 to 2",
		`{"1":{"topic":"a","colour":1}}`:    "there is no key 1.colour",
		`{"topic":{"topic":"a"}}`:           "there is no key topic: want a number",
		strings.TrimSuffix(many, ",") + "}": "257 subscriptions: at most 256",
		`{"1":["topic"]}`:                   "flatjson",
	} {
		if _, err := parse([]byte(config)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}

// Both forms answer every CONNECT with the list, and with Next if there is none.
func TestConnect(t *testing.T) {
	for _, kind := range []plugintest.Kind{plugintest.WASM, plugintest.Process} {
		t.Run(string(kind), func(t *testing.T) {
			for config, want := range map[string]string{`{"1":{"topic":"a/%c","qos":2},"2":{"topic":"b"}}`: "a/%c 2,b 1,", `{}`: ""} {
				p := plugintest.Open(t, kind, config)
				w := p.Frame(contract.HookConnect)
				w.Begin(contract.Header{Hook: contract.HookConnect, Conn: 7})
				w.String(contract.SlotClientID, "c1")
				w.End()
				v := p.Call(t, contract.HookConnect, w, nil)[0]
				list, _ := v.Ext(contract.ExtSubscriptions)
				got := ""
				for f := range (contract.FilterList{Bytes: list, Options: true}).All {
					got += fmt.Sprintf("%s %d,", f.Filter, f.Options)
				}
				if got != want || v.Action != contract.Next {
					t.Errorf("%s: %v %q", config, v.Action, got)
				}
			}
		})
	}
}

func BenchmarkConnect(b *testing.B) {
	p := plugintest.Open(b, plugintest.WASM, `{"1":{"topic":"connected/%c/%u"}}`)
	w := p.Frame(contract.HookConnect)
	w.Begin(contract.Header{Hook: contract.HookConnect, Conn: 7})
	w.String(contract.SlotClientID, "c1")
	w.End()
	for b.Loop() {
		p.Call(b, contract.HookConnect, w, nil)
	}
	b.ReportMetric(float64(p.Status().FuelMost), "fuel")
}
