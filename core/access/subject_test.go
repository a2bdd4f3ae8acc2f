package access_test

import (
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/hook"
)

// The rules are asked about the topic that a PUBLISH is about in the end, and about
// the topic itself of a subscription, while somebody says so.
func TestSubject(t *testing.T) {
	a := access.New(new(hook.Points))
	c := client("192.0.2.1:1")
	c.Permissions = []hook.Permission{{Filter: "own/#", Action: hook.PubSub, Allow: true, MaxQoS: 2}, {Filter: "#", Action: hook.PubSub, Any: true}}
	allowed := func(action hook.Action, topic string) bool {
		es := []hook.ACLEvent{{Client: c, Action: action, Topic: topic}}
		a.Check(&access.Policy{EnableACL: true}, nil, 0, es)
		return es[0].Verdict == hook.Allow
	}
	if allowed(hook.Publish, "$later/own/a") {
		t.Error("allowed before anybody said what it is about")
	}
	remove := a.AddSubject(func(topic string) string { return strings.TrimPrefix(topic, "$later/") })
	other := a.AddSubject(func(topic string) string { return topic })
	for _, tc := range []struct {
		action hook.Action
		topic  string
		want   bool
	}{
		{hook.Publish, "$later/own/a", true}, {hook.Publish, "$later/others/a", false}, {hook.Publish, "own/a", true},
		{hook.Subscribe, "$later/own/a", false}, {hook.Publish, "$SYS/a", false},
	} {
		if got := allowed(tc.action, tc.topic); got != tc.want {
			t.Errorf("%v %s: %v", tc.action, tc.topic, got)
		}
	}
	remove()
	if allowed(hook.Publish, "$later/own/a") || a.Subject("$later/own/a") != "$later/own/a" {
		t.Error("said after it was removed")
	}
	other()
}
