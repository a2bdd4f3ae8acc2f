//go:build !wasip1

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/plugintest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

func ask(w *contract.Writer, conn uint64, user, peer string) {
	w.Begin(contract.Header{Hook: contract.HookACL, Conn: conn, Flags: contract.FlagPublish})
	w.String(contract.SlotClientID, "c1")
	if user != "" {
		w.String(contract.SlotUsername, user)
	}
	w.String(contract.SlotPeer, peer)
	w.String(contract.SlotTopic, "a")
	w.End()
}

// Both forms of the plugin answer the first record of a frame with the list of
// that client.
func TestPlugin(t *testing.T) {
	config := `{"rules":"{deny, {ipaddr, \"10.0.0.0/8\"}, pubsub, [\"x\", {eq, \"#\"}]}. {allow, {user, \"u\"}, publish, [\"u/%u/%c\"]}. {allow, all}."}`
	for _, kind := range []plugintest.Kind{plugintest.WASM, plugintest.Process} {
		t.Run(string(kind), func(t *testing.T) {
			p := plugintest.Open(t, kind, config)
			w := p.Frame(contract.HookACL)
			for range 3 {
				ask(w, 7, "u", "[::ffff:10.1.1.1]:5000")
			}
			vs := p.Call(t, contract.HookACL, w, nil)
			list, ok := vs[0].Permissions()
			all := contract.Permission{Filter: "#", Any: true, Publish: true, Subscribe: true, Allow: true, MaxQoS: 2, Retain: true}
			want := []contract.Permission{
				{Filter: "x", Publish: true, Subscribe: true, MaxQoS: 2, Retain: true},
				{Filter: "#", Exact: true, Publish: true, Subscribe: true, MaxQoS: 2, Retain: true},
				{Filter: "u/u/c1", Publish: true, Allow: true, MaxQoS: 2, Retain: true}, all,
			}
			if !ok || fmt.Sprint(list) != fmt.Sprint(want) || vs[0].Action != contract.Next {
				t.Errorf("got  %+v\nwant %+v", list, want)
			}
			for i := 1; i < 3; i++ {
				if _, ok := vs[i].Permissions(); ok || vs[i].Action != contract.Next {
					t.Errorf("record %d: %v", i, vs[i])
				}
			}
			w = p.Frame(contract.HookACL)
			ask(w, 8, "", "192.0.2.1:5000")
			if list, _ := p.Call(t, contract.HookACL, w, nil)[0].Permissions(); len(list) != 1 || list[0] != all {
				t.Errorf("another client: %+v", list)
			}
		})
	}
}

// A broken file refuses the load, with the place.
func TestBrokenFile(t *testing.T) {
	_, err := plugintest.TryOpen(t, plugintest.WASM, `{"rules":"{allow, all}.\n{deny, all, subscribe, [\"$SYS/#\", {eq \"#\"}]}.","name":"etc/acl.conf"}`)
	if err == nil || !strings.Contains(err.Error(), "etc/acl.conf:2:39: want ',' or '}', found '\"'") {
		t.Errorf("error %v", err)
	}
}

// A client's questions never end in an answer that its rules do not give: no rule
// about it is an empty list, not none.
func TestNoRuleAboutTheClient(t *testing.T) {
	p := plugintest.Open(t, plugintest.WASM, `{"rules":"{allow, {user, \"other\"}, pubsub, [\"#\"]}."}`)
	w := p.Frame(contract.HookACL)
	ask(w, 7, "u", "192.0.2.1:5000")
	if list, ok := p.Call(t, contract.HookACL, w, nil)[0].Permissions(); !ok || len(list) != 0 {
		t.Errorf("%v, given %v", list, ok)
	}
}

// Ten thousand rules load and answer within the fuel of a guest.
func TestLargeFile(t *testing.T) {
	var src strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&src, "{allow, {user, \"user-%d\"}, pubsub, [\"home/%%u/#\"]}.\n", i)
	}
	p := plugintest.Open(t, plugintest.WASM, `{"rules":`+strconv.Quote(src.String())+`}`)
	w := p.Frame(contract.HookACL)
	for range 64 {
		ask(w, 7, "user-9999", "192.0.2.1:5000")
	}
	if list, _ := p.Call(t, contract.HookACL, w, nil)[0].Permissions(); len(list) != 1 || list[0].Filter != "home/user-9999/#" {
		t.Errorf("%v", list)
	}
}

func BenchmarkPlugin(b *testing.B) {
	text, err := os.ReadFile("../../etc/acl.conf")
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 32} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := plugintest.Open(b, plugintest.WASM, `{"rules":`+strconv.Quote(string(text))+`}`)
			w := p.Frame(contract.HookACL)
			for range n {
				ask(w, 7, "u", "192.0.2.1:5000")
			}
			for b.Loop() {
				p.Call(b, contract.HookACL, w, nil)
			}
		})
	}
}
