package hook_test

import (
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
)

func TestPermitted(t *testing.T) {
	pub, sub := hook.Publish, hook.Subscribe
	allow := func(a hook.Action, f string) hook.Permission {
		return hook.Permission{Filter: f, Action: a, Allow: true, MaxQoS: 2, Retain: true}
	}
	deny := func(a hook.Action, f string) hook.Permission { return hook.Permission{Filter: f, Action: a} }
	exact := func(p hook.Permission) hook.Permission { p.Exact = true; return p }
	anything := func(p hook.Permission) hook.Permission { p.Any, p.Filter = true, "#"; return p }
	low := hook.Permission{Filter: "a/#", Action: pub, Allow: true, MaxQoS: 1}
	for name, tc := range map[string]struct {
		list  []hook.Permission
		event hook.ACLEvent
		want  hook.Verdict
	}{
		"empty":                    {nil, hook.ACLEvent{Action: pub, Topic: "a"}, hook.Next},
		"covered":                  {[]hook.Permission{allow(pub, "a/#")}, hook.ACLEvent{Action: pub, Topic: "a/b"}, hook.Allow},
		"other action":             {[]hook.Permission{allow(sub, "a/#")}, hook.ACLEvent{Action: pub, Topic: "a/b"}, hook.Next},
		"both actions":             {[]hook.Permission{allow(hook.PubSub, "a/#")}, hook.ACLEvent{Action: sub, Topic: "a/+"}, hook.Allow},
		"first wins":               {[]hook.Permission{deny(pub, "a/b"), allow(pub, "a/#")}, hook.ACLEvent{Action: pub, Topic: "a/b"}, hook.Deny},
		"qos above":                {[]hook.Permission{low, allow(pub, "#")}, hook.ACLEvent{Action: pub, Topic: "a/b", QoS: 2}, hook.Deny},
		"retain not covered":       {[]hook.Permission{low}, hook.ACLEvent{Action: pub, Topic: "a/b", Retain: true}, hook.Deny},
		"qos of a subscription":    {[]hook.Permission{{Filter: "a", Action: sub, Allow: true}}, hook.ACLEvent{Action: sub, Topic: "a", QoS: 2}, hook.Allow},
		"allow needs all":          {[]hook.Permission{allow(sub, "a/+")}, hook.ACLEvent{Action: sub, Topic: "a/#"}, hook.Next},
		"deny reads it as a topic": {[]hook.Permission{deny(sub, "a/+")}, hook.ACLEvent{Action: sub, Topic: "a/#"}, hook.Deny},
		"deny of something in it":  {[]hook.Permission{deny(sub, "a/b")}, hook.ACLEvent{Action: sub, Topic: "a/#"}, hook.Next},
		"exact":                    {[]hook.Permission{exact(deny(sub, "#"))}, hook.ACLEvent{Action: sub, Topic: "#"}, hook.Deny},
		"exact is not a filter":    {[]hook.Permission{exact(deny(sub, "#"))}, hook.ACLEvent{Action: sub, Topic: "a"}, hook.Next},
		"hash without dollar":      {[]hook.Permission{allow(pub, "#")}, hook.ACLEvent{Action: pub, Topic: "$SYS/a"}, hook.Next},
		"any with dollar":          {[]hook.Permission{anything(allow(pub, ""))}, hook.ACLEvent{Action: pub, Topic: "$SYS/a"}, hook.Allow},
		"any filter":               {[]hook.Permission{anything(deny(sub, ""))}, hook.ACLEvent{Action: sub, Topic: "$SYS/#"}, hook.Deny},
	} {
		e := tc.event
		if got := hook.Permitted(tc.list, &e); e.Verdict != tc.want || got != (tc.want != hook.Next) {
			t.Errorf("%s: verdict %d, decided %v", name, e.Verdict, got)
		}
	}
}

// A list holds for its owner's version; a newer one takes its place.
func TestLists(t *testing.T) {
	type plugin struct{ name string }
	one, two := &plugin{"1"}, &plugin{"2"}
	v1, v2 := new(byte), new(byte)
	var l hook.Lists
	e := hook.ACLEvent{Action: hook.Publish, Topic: "a"}
	if l.Decide(one, v1, &e) {
		t.Error("an empty Lists has a list")
	}
	l.Keep(one, v1, []hook.Permission{{Filter: "a", Action: hook.Publish}})
	l.Keep(two, v1, []hook.Permission{})
	if !l.Decide(one, v1, &e) || e.Verdict != hook.Deny {
		t.Errorf("verdict %d", e.Verdict)
	}
	e.Verdict = hook.Next
	if !l.Decide(two, v1, &e) || e.Verdict != hook.Next {
		t.Errorf("an empty list decides: %d", e.Verdict)
	}
	if l.Decide(one, v2, &e) {
		t.Error("the list of an older version holds")
	}
	l.Keep(one, v2, []hook.Permission{{Filter: "a", Action: hook.Publish, Allow: true, MaxQoS: 2}})
	if l.Decide(one, v1, &e) || !l.Decide(one, v2, &e) || e.Verdict != hook.Allow {
		t.Errorf("verdict %d of the new list", e.Verdict)
	}
	if l.Clear(); l.Decide(one, v2, &e) {
		t.Error("not cleared")
	}
	if n := testing.AllocsPerRun(100, func() { l.Decide(one, v2, &e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLists(b *testing.B) {
	owner, version := new(int), new(int)
	var l hook.Lists
	l.Keep(owner, version, []hook.Permission{
		{Filter: "$SYS/#", Action: hook.Subscribe}, {Filter: "#", Action: hook.Subscribe, Exact: true}, {Filter: "#", Action: hook.PubSub, Any: true, Allow: true, MaxQoS: 2, Retain: true},
	})
	e := hook.ACLEvent{Action: hook.Publish, Topic: "sensors/kitchen/temperature"}
	for b.Loop() {
		e.Verdict = hook.Next
		l.Decide(owner, version, &e)
	}
}
