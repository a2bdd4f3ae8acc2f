package access_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/hook"
)

// TestChecksAreTold: what was decided is told once, from whatever it came; nobody is
// told of superusers and of zones without rules.
func TestChecksAreTold(t *testing.T) {
	points := new(hook.Points)
	a, p := access.New(points), &access.Policy{EnableACL: true, NoMatch: true}
	if !a.Trivial(p, client("127.0.0.1:1")) {
		t.Error("events are built for nobody")
	}
	var told []string
	points.ClientCheckedACL.Add(hook.Spec{}, func(e *hook.ACLEvent) {
		told = append(told, fmt.Sprint(e.Topic, " ", e.Verdict == hook.Allow, " ", e.Cached))
	})
	if a.Trivial(p, client("127.0.0.1:1")) {
		t.Error("no events are built although somebody is told")
	}
	super := client("127.0.0.1:1")
	super.Superuser = true
	check := func(p *access.Policy, cache *access.Cache, c *hook.Client, topics ...string) {
		es := make([]hook.ACLEvent, len(topics))
		for i, name := range topics {
			es[i] = hook.ACLEvent{Client: c, Action: hook.Publish, Topic: name}
		}
		a.Check(p, cache, 0, es)
	}
	check(p, nil, client("127.0.0.1:1"), "a")
	check(p, nil, super, "a")
	check(&access.Policy{}, nil, client("127.0.0.1:1"), "a")
	points.ClientCheckACL.Add(hook.Spec{}, func(es []hook.ACLEvent) {
		for i := range es {
			if es[i].Verdict == hook.Next && es[i].Topic == "no" {
				es[i].Verdict, es[i].CacheTTL = hook.Deny, time.Minute
			}
		}
	})
	cache := access.NewCache(4)
	check(p, cache, client("127.0.0.1:1"), "no", "b")
	check(p, cache, client("127.0.0.1:1"), "no")
	if want := []string{"a true false", "no false false", "b true false", "no false true"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
