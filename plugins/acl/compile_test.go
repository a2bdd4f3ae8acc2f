//go:build !wasip1

package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/topic"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// decide compiles the rules for c and lets the broker's evaluator decide.
func decide(rules []rule, c *client, action hook.Action, name string) hook.Verdict {
	var list []hook.Permission
	for _, p := range compile(nil, rules, c) {
		l := hook.Permission{Filter: p.Filter, Allow: p.Allow, MaxQoS: p.MaxQoS, Retain: p.Retain, Exact: p.Exact, Any: p.Any}
		if p.Publish {
			l.Action |= hook.Publish
		}
		if p.Subscribe {
			l.Action |= hook.Subscribe
		}
		list = append(list, l)
	}
	e := hook.ACLEvent{Action: action, Topic: name, QoS: 2, Retain: action == hook.Publish}
	hook.Permitted(list, &e)
	return e.Verdict
}

func at(addr string) *client {
	return &client{id: "c1", username: "u1", named: true, addr: netip.MustParseAddr(addr)}
}

// The rules of the shipped file, client by client.
func TestShippedRules(t *testing.T) {
	rules, _ := parse(`{allow, {user, "dashboard"}, subscribe, ["$SYS/#"]}.
{allow, {ipaddrs, ["127.0.0.1", "::1"]}, pubsub, ["$SYS/#", "#"]}.
{deny, all, subscribe, ["$SYS/#", {eq, "#"}]}.
{allow, all}.`)
	near, far := at("127.0.0.1"), at("192.0.2.1")
	board := *far
	board.username = "dashboard"
	pub, sub := hook.Publish, hook.Subscribe
	for _, tc := range []struct {
		who    *client
		action hook.Action
		topic  string
		want   hook.Verdict
	}{
		{near, sub, "$SYS/#", hook.Allow}, {near, sub, "#", hook.Allow}, {near, pub, "$SYS/x", hook.Allow}, {at("::1"), sub, "#", hook.Allow},
		{far, sub, "$SYS/#", hook.Deny}, {far, sub, "$SYS/brokers", hook.Deny}, {far, sub, "#", hook.Deny}, {far, sub, "a/#", hook.Allow}, {far, sub, "+/#", hook.Allow},
		{far, pub, "a", hook.Allow}, {far, pub, "$SYS/x", hook.Allow}, {&board, sub, "$SYS/#", hook.Allow}, {&board, sub, "#", hook.Deny},
	} {
		if got := decide(rules, tc.who, tc.action, tc.topic); got != tc.want {
			t.Errorf("%v %v %s: %d, want %d", tc.who, tc.action, tc.topic, got, tc.want)
		}
	}
}

// Names in place of %c and %u never widen what a rule allows.
func TestHoles(t *testing.T) {
	allow, _ := parse(`{allow, all, pubsub, ["u/%u/%c/#"]}.`)
	deny, _ := parse(`{deny, all, pubsub, ["u/%u/#"]}. {allow, all}.`)
	c := &client{id: "c1", username: "u1", named: true}
	if decide(allow, c, hook.Publish, "u/u1/c1/x") != hook.Allow || decide(allow, c, hook.Publish, "u/u1/c2/x") != hook.Next || decide(allow, c, hook.Subscribe, "u/+/c1/#") != hook.Next {
		t.Error("plain names")
	}
	if decide(deny, c, hook.Publish, "u/u1/x") != hook.Deny || decide(deny, c, hook.Publish, "u/u2/x") != hook.Allow {
		t.Error("plain names in a denying rule")
	}
	for _, name := range []string{"+", "#", "a/b", "", "x+"} {
		c := &client{id: "c1", username: name, named: true}
		for _, topic := range []string{"u/+/c1/x", "u/other/c1/x", "u/a/b/c1/x", "u//c1/x", "u/#"} {
			if got := decide(allow, c, hook.Subscribe, topic); got != hook.Next {
				t.Errorf("user %q may subscribe %s", name, topic)
			}
		}
		if got := decide(deny, c, hook.Subscribe, "u/"+strings.ReplaceAll(name, "/", "")+"/x"); got != hook.Deny {
			t.Errorf("user %q gets past a rule that denies", name)
		}
	}
	// A client that gave no user name is meant by no rule with %u, nor by {user, ...}.
	c = &client{id: "c1"}
	if decide(allow, c, hook.Publish, "u//c1/x") != hook.Next || decide(deny, c, hook.Publish, "u//x") != hook.Allow {
		t.Error("no user name")
	}
	empty, _ := parse(`{allow, {user, ""}, publish, ["a"]}.`)
	if decide(empty, c, hook.Publish, "a") != hook.Next || decide(empty, &client{named: true}, hook.Publish, "a") != hook.Allow {
		t.Error("an empty user name is not none")
	}
	// Part of a level is not special.
	part, _ := parse(`{allow, all, publish, ["x%u"]}.`)
	if decide(part, c, hook.Publish, "x%u") != hook.Allow {
		t.Error("part of a level")
	}
}

// reference decides as emqx4 §5.1 says, rule by rule and without lists. A filter
// that a client subscribes is compared as a topic; a rule that allows must also
// match all topics that the filter can bring.
func reference(rules []rule, c *client, action hook.Action, name string, universe []string) hook.Verdict {
	for _, r := range rules {
		if !r.who.covers(c) || action == hook.Publish && !r.publish || action == hook.Subscribe && !r.subscribe {
			continue
		}
		for i := 0; i == 0 || i < len(r.topics); i++ {
			hit := r.everything
			if !hit && i < len(r.topics) {
				hit = meets(r.topics[i], c, name)
				if hit && r.allow && action == hook.Subscribe && !r.topics[i].exact {
					hit = brings(r.topics[i], c, name, universe)
				}
			}
			switch {
			case hit && r.allow:
				return hook.Allow
			case hit:
				return hook.Deny
			}
		}
	}
	return hook.Next
}

// meets compares level by level.
func meets(p entry, c *client, name string) bool {
	if p.exact {
		return p.filter == name
	}
	f, n := strings.Split(p.filter, "/"), strings.Split(name, "/")
	if strings.HasPrefix(name, "$") && (f[0] == "+" || f[0] == "#") {
		return false
	}
	for i, level := range f {
		if level == "#" {
			return len(n) >= i
		}
		if i >= len(n) {
			return false
		}
		switch {
		case level == "+":
		case level == "%c" && n[i] == c.id:
		case level == "%u" && c.named && n[i] == c.username:
		case level != "%c" && level != "%u" && level == n[i]:
		default:
			return false
		}
	}
	return len(f) == len(n)
}

// brings tells whether every topic that filter matches meets p.
func brings(p entry, c *client, filter string, universe []string) bool {
	for _, n := range universe {
		if topic.Match(filter, n) && !meets(p, c, n) {
			return false
		}
	}
	return true
}

// Random rules and clients: list and reference agree about every topic and filter.
func TestAgainstReference(t *testing.T) {
	levels := []string{"a", "b", "$s", "c1", "u1"}
	universe := combine(levels, 4)
	asked := combine([]string{"a", "c1", "u1", "$s"}, 3)
	filters := combine([]string{"a", "c1", "u1", "+", "#", "$s"}, 3)
	pick := func(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }
	who := func(r *rand.Rand) string {
		return pick(r, "all", `{user, "u1"}`, `{user, all}`, `{client, "c1"}`, `{client, "c2"}`, `{ipaddr, "192.0.2.0/24"}`,
			`{ipaddrs, ["10.0.0.0/8", "::1"]}`, `{'and', [{user, "u1"}, {ipaddr, "192.0.2.1"}]}`, `{'or', [{client, "c1"}, {user, "u1"}]}`)
	}
	r := rand.New(rand.NewPCG(4, 5))
	for range 150 {
		var src strings.Builder
		for range 1 + r.IntN(4) {
			if r.IntN(8) == 0 {
				fmt.Fprintf(&src, "{%s, all}.\n", pick(r, "allow", "deny"))
				continue
			}
			fmt.Fprintf(&src, "{%s, %s, %s, [%s, %s]}.\n", pick(r, "allow", "deny"), who(r), pick(r, "publish", "subscribe", "pubsub"),
				pick(r, `"a"`, `"a/#"`, `"#"`, `"+/a"`, `"$s/#"`, `{eq, "#"}`), pick(r, `"%c/#"`, `"a/%u"`, `"+/+"`, `{eq, "a/+"}`, `"a/b/+"`))
		}
		rules, faults := parse(src.String())
		if len(faults) > 0 {
			t.Fatalf("%s%v", &src, faults)
		}
		clients := []*client{at("192.0.2.1"), {id: "c1", addr: netip.MustParseAddr("::1")}, {id: "c2", username: "a", named: true, addr: netip.MustParseAddr("10.1.1.1")}}
		c := clients[r.IntN(len(clients))]
		for _, name := range asked {
			if got, want := decide(rules, c, hook.Publish, name), reference(rules, c, hook.Publish, name, nil); got != want {
				t.Fatalf("%s%+v publish %s: %d, want %d", &src, c, name, got, want)
			}
		}
		for _, f := range filters {
			if topic.ValidateFilter(f) != nil {
				continue
			}
			if got, want := decide(rules, c, hook.Subscribe, f), reference(rules, c, hook.Subscribe, f, universe); got != want {
				t.Fatalf("%s%+v subscribe %s: %d, want %d", &src, c, f, got, want)
			}
		}
	}
}

// combine lists the topics of one to depth levels.
func combine(levels []string, depth int) (all []string) {
	last := levels
	for range depth {
		all = append(all, last...)
		var next []string
		for _, head := range last {
			for _, l := range levels {
				next = append(next, head+"/"+l)
			}
		}
		last = next
	}
	return all
}

// The list stops where nothing can follow, and leaves out what is about others.
func TestCompileIsShort(t *testing.T) {
	var src strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&src, "{allow, {user, \"u%d\"}, pubsub, [\"home/u%d/#\"]}.\n", i, i)
	}
	src.WriteString("{deny, all}.\n{allow, all}.")
	rules, faults := parse(src.String())
	if len(faults) != 0 {
		t.Fatal(faults)
	}
	list := compile(nil, rules, &client{username: "u7", named: true})
	if len(list) != 2 || list[0].Filter != "home/u7/#" || list[1] != (contract.Permission{Filter: "#", Any: true, Publish: true, Subscribe: true, MaxQoS: 2, Retain: true}) {
		t.Errorf("%+v", list)
	}
}
