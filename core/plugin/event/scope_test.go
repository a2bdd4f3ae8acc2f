package event

import (
	"slices"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/topic"
)

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a/b", "a/+", true}, {"a/b", "a", false}, {"a/#", "a", true}, {"a/#", "a/b/c", true},
		{"+/b", "a/+", true}, {"+/b", "a/c", false}, {"#", "a/b", true}, {"#", "$SYS/a", false}, {"+/a", "$SYS/a", false}, {"$SYS/#", "$SYS/a", true},
		{"$SYS/#", "#", false}, {"a/+/c", "a/b/#", true}, {"a/+", "a/b/c", false}, {"a//b", "a/+/b", true}, {"a/b/#", "a", false},
	} {
		if overlap(c.a, c.b) != c.want || overlap(c.b, c.a) != c.want {
			t.Errorf("overlap(%q, %q) is not %v", c.a, c.b, c.want)
		}
	}
	s := NewScope(&manifest.Hook{Filters: []string{"a/b", "c/+"}})
	for f, want := range map[string]bool{"$share/g/a/+": true, "$share/g/x": false, "c/#": true, "a": false} {
		if s.filter(f) != want {
			t.Errorf("filter %q: not %v", f, want)
		}
	}
	yes := true
	s = NewScope(&manifest.Hook{When: manifest.When{Retain: &yes}})
	if s.flags(0, false) || !s.flags(0, true) {
		t.Error("when.retain does not hold")
	}
}

// Two filters overlap exactly when some name matches both: compared with every
// name over a small alphabet.
func TestOverlapAgainstAllNames(t *testing.T) {
	names := all([]string{"a", "b", "$s", ""}, 3)
	filters := all([]string{"a", "b", "+", "#", "$s"}, 3)
	for _, a := range filters {
		if topic.ValidateFilter(a) != nil {
			continue
		}
		for _, b := range filters {
			if topic.ValidateFilter(b) != nil {
				continue
			}
			want := false
			for _, n := range names {
				want = want || topic.Match(a, n) && topic.Match(b, n)
			}
			if got := overlap(a, b); got != want {
				t.Errorf("overlap(%q, %q) is %v", a, b, got)
			}
		}
	}
}

// all lists the topics of one to depth levels over an alphabet.
func all(levels []string, depth int) (list []string) {
	last := slices.Clone(levels)
	for range depth {
		list = append(list, last...)
		var next []string
		for _, head := range last {
			for _, l := range levels {
				next = append(next, head+"/"+l)
			}
		}
		last = next
	}
	return list
}

// Each condition holds by itself and together with the others.
func TestScopeConditions(t *testing.T) {
	no := false
	c := client()
	m := func(name string, qos byte, retain bool) *message.Message {
		return &message.Message{Topic: name, QoS: qos, Retain: retain}
	}
	for name, tc := range map[string]struct {
		hook   manifest.Hook
		client *hook.Client
		msg    *message.Message
		want   bool
	}{
		"no condition":          {manifest.Hook{}, c, m("a", 0, false), true},
		"no client":             {manifest.Hook{}, nil, m("a", 0, false), true},
		"exact filter":          {manifest.Hook{Filters: []string{"x", "a/b"}}, c, m("a/b", 0, false), true},
		"wild filter":           {manifest.Hook{Filters: []string{"x", "+/b"}}, c, m("a/b", 0, false), true},
		"other topic":           {manifest.Hook{Filters: []string{"x", "+/b"}}, c, m("a/c", 0, false), false},
		"hash without dollar":   {manifest.Hook{Filters: []string{"#"}}, c, m("$SYS/a", 0, false), false},
		"qos reached":           {manifest.Hook{When: manifest.When{QoSMin: 1}}, c, m("a", 1, false), true},
		"qos below":             {manifest.Hook{When: manifest.When{QoSMin: 1}}, c, m("a", 0, false), false},
		"retain unwanted":       {manifest.Hook{When: manifest.When{Retain: &no}}, c, m("a", 0, true), false},
		"not retained":          {manifest.Hook{When: manifest.When{Retain: &no}}, c, m("a", 0, false), true},
		"listener":              {manifest.Hook{When: manifest.When{Listener: "tcp:external"}}, c, m("a", 0, false), true},
		"other listener":        {manifest.Hook{When: manifest.When{Listener: "ws:external"}}, c, m("a", 0, false), false},
		"listener, no client":   {manifest.Hook{When: manifest.When{Listener: "tcp:external"}}, nil, m("a", 0, false), false},
		"principal":             {manifest.Hook{When: manifest.When{PrincipalPrefix: "p"}}, c, m("a", 0, false), true},
		"other principal":       {manifest.Hook{When: manifest.When{PrincipalPrefix: "q"}}, c, m("a", 0, false), false},
		"protocol":              {manifest.Hook{When: manifest.When{Protocol: "5.0"}}, c, m("a", 0, false), true},
		"other protocol":        {manifest.Hook{When: manifest.When{Protocol: "3.1.1"}}, c, m("a", 0, false), false},
		"all but one":           {manifest.Hook{Filters: []string{"a"}, When: manifest.When{Protocol: "5.0", QoSMin: 2}}, c, m("a", 1, false), false},
		"all":                   {manifest.Hook{Filters: []string{"a"}, When: manifest.When{Protocol: "5.0", QoSMin: 1}}, c, m("a", 1, false), true},
		"topic of another case": {manifest.Hook{Filters: []string{"A"}}, c, m("a", 0, false), false},
	} {
		s := NewScope(&tc.hook)
		if got := s.message(tc.client, tc.msg); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A plugin is asked about what is undecided and in scope, and about nothing else.
func TestWants(t *testing.T) {
	b := &Binding{Scope: NewScope(&manifest.Hook{Filters: []string{"in/#"}})}
	open := &Binding{Scope: NewScope(&manifest.Hook{})}
	own := &message.Message{Topic: "in/a", Origin: message.OriginPlugin, From: "me"}
	me := &Plugin{Name: "me"}
	in, out := &message.Message{Topic: "in/a"}, &message.Message{Topic: "out"}
	for name, tc := range map[string]struct{ got, want bool }{
		"publish":             {Publish.Wants(me, b, &hook.PublishEvent{Msg: in}), true},
		"publish allowed":     {Publish.Wants(me, b, &hook.PublishEvent{Msg: in, Verdict: hook.Allow}), true},
		"publish denied":      {Publish.Wants(me, b, &hook.PublishEvent{Msg: in, Verdict: hook.Deny}), false},
		"publish dropped":     {Publish.Wants(me, b, &hook.PublishEvent{Msg: in, Verdict: hook.Drop}), false},
		"publish own":         {Publish.Wants(me, b, &hook.PublishEvent{Msg: own}), false},
		"publish out":         {Publish.Wants(me, b, &hook.PublishEvent{Msg: out}), false},
		"deliver":             {Deliver.Wants(me, b, &hook.DeliverEvent{Msg: in}), true},
		"deliver dropped":     {Deliver.Wants(me, b, &hook.DeliverEvent{Msg: in, Verdict: hook.Drop}), false},
		"deliver own":         {Deliver.Wants(me, b, &hook.DeliverEvent{Msg: own}), false},
		"connect":             {Connect.Wants(me, open, &hook.ConnectEvent{Client: client()}), true},
		"connect refused":     {Connect.Wants(me, open, &hook.ConnectEvent{Client: client(), Reason: packet.Banned}), false},
		"login":               {Authenticate.Wants(me, &Binding{Scope: open.Scope}, &hook.AuthEvent{Client: client()}), true},
		"login decided":       {Authenticate.Wants(me, open, &hook.AuthEvent{Client: client(), Verdict: hook.Allow}), false},
		"login of another":    {Authenticate.Wants(me, open, &hook.AuthEvent{Client: client(), State: exchange{owner: &Plugin{}}}), false},
		"acl publish":         {ACL.Wants(me, b, &hook.ACLEvent{Action: hook.Publish, Topic: "in/a"}), true},
		"acl publish out":     {ACL.Wants(me, b, &hook.ACLEvent{Action: hook.Publish, Topic: "out"}), false},
		"acl subscribe":       {ACL.Wants(me, b, &hook.ACLEvent{Action: hook.Subscribe, Topic: "#"}), true},
		"acl subscribe out":   {ACL.Wants(me, b, &hook.ACLEvent{Action: hook.Subscribe, Topic: "out/#"}), false},
		"acl decided":         {ACL.Wants(me, b, &hook.ACLEvent{Action: hook.Publish, Topic: "in/a", Verdict: hook.Deny}), false},
		"subscribe":           {Subscribe.Wants(me, b, subscribing("out", "in/x")), true},
		"subscribe out":       {Subscribe.Wants(me, b, subscribing("out", "else")), false},
		"subscribe refused":   {Subscribe.Wants(me, b, refusedAll(subscribing("in/x"))), false},
		"unsubscribe":         {Unsubscribe.Wants(me, b, &hook.UnsubscribeEvent{Filters: []string{"x", "+/y"}}), true},
		"unsubscribe out":     {Unsubscribe.Wants(me, b, &hook.UnsubscribeEvent{Filters: []string{"x"}}), false},
		"retain":              {RetainStore.Wants(me, b, &hook.RetainEvent{Msg: own}), true},
		"retain decided":      {RetainStore.Wants(me, b, &hook.RetainEvent{Msg: in, Verdict: hook.Drop}), false},
		"retained read":       {RetainRead.Wants(me, b, &hook.RetainedReadEvent{Filter: "+/a"}), true},
		"retained read out":   {RetainRead.Wants(me, b, &hook.RetainedReadEvent{Filter: "out"}), false},
		"observe message":     {Message.Wants(me, b, &hook.MessageEvent{Msg: in}), true},
		"observe own":         {Message.Wants(me, b, &hook.MessageEvent{Msg: own}), false},
		"observe subscribing": {Subscription.Wants(me, b, &hook.SubscriptionEvent{Filter: "$share/g/in/#"}), true},
		"observe connection":  {Connection.Wants(me, open, &hook.ConnectionEvent{}), true},
		"observe session":     {Session.Wants(me, open, &hook.SessionEvent{}), true},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %v", name, tc.got)
		}
	}
}

func subscribing(filters ...string) *hook.SubscribeEvent {
	e := &hook.SubscribeEvent{Client: client(), Codes: make([]packet.ReasonCode, len(filters))}
	for _, f := range filters {
		e.Filters = append(e.Filters, packet.Filter{Filter: f, QoS: 2})
	}
	return e
}

func refusedAll(e *hook.SubscribeEvent) *hook.SubscribeEvent {
	refuseAll(e, packet.NotAuthorized)
	return e
}

// A long list of exact filters costs one look-up and not a walk.
func TestScopeOfManyFilters(t *testing.T) {
	h := manifest.Hook{}
	for i := range 256 {
		h.Filters = append(h.Filters, "a/"+strings.Repeat("x", i+1))
	}
	s := NewScope(&h)
	if !s.topic("a/xxx") || s.topic("a/y") || len(s.wild) != 0 {
		t.Errorf("%d walked", len(s.wild))
	}
	if n := testing.AllocsPerRun(100, func() { s.topic("a/xxx") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
