package access_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
)

func client(addr string) *hook.Client {
	return &hook.Client{ID: "c", Peer: netip.MustParseAddrPort(addr)}
}

// who answers for the authentication chain of a test.
func who(v hook.Verdict, r packet.ReasonCode) hook.Intercept[hook.AuthEvent] {
	return func(e *hook.AuthEvent) { e.Verdict, e.Reason = v, r }
}

func TestAuthenticate(t *testing.T) {
	const here, there = "127.0.0.1:1", "192.0.2.1:1"
	for _, tt := range []struct {
		name   string
		chain  []hook.Intercept[hook.AuthEvent]
		policy access.Policy
		peer   string
		user   bool
		method string
		want   hook.Verdict
		reason packet.ReasonCode
	}{
		{name: "loopback is anonymous by default", peer: here, want: hook.Allow},
		{name: "loopback in IPv6", peer: "[::1]:1", want: hook.Allow},
		{name: "loopback mapped into IPv6", peer: "[::ffff:127.0.0.1]:1", want: hook.Allow},
		{name: "an unknown user name is accepted with anonymous clients", peer: here, user: true, want: hook.Allow},
		{name: "another machine is not", peer: there, want: hook.Deny, reason: packet.NotAuthorized},
		{name: "another machine with a user name", peer: there, user: true, want: hook.Deny, reason: packet.BadUserNameOrPassword},
		{name: "allow_anonymous", policy: access.Policy{Anonymous: access.AnonymousAllow}, peer: there, want: hook.Allow},
		{name: "deny_anonymous", policy: access.Policy{Anonymous: access.AnonymousDeny}, peer: here, want: hook.Deny, reason: packet.NotAuthorized},
		{name: "a loaded plugin ends anonymous access", chain: []hook.Intercept[hook.AuthEvent]{who(hook.Next, 0)}, peer: here, want: hook.Deny, reason: packet.NotAuthorized},
		{name: "but not where it is allowed by name", chain: []hook.Intercept[hook.AuthEvent]{who(hook.Next, 0)}, policy: access.Policy{Anonymous: access.AnonymousAllow}, peer: there, want: hook.Allow},
		{name: "the first decision holds", chain: []hook.Intercept[hook.AuthEvent]{who(hook.Next, 0), who(hook.Deny, packet.Banned), who(hook.Allow, 0)}, peer: here, want: hook.Deny, reason: packet.Banned},
		{name: "an allowed zone bypasses the chain", chain: []hook.Intercept[hook.AuthEvent]{who(hook.Deny, packet.Banned)}, policy: access.Policy{BypassAuth: true}, peer: there, want: hook.Allow},
		{name: "a method that nobody knows", peer: here, method: "SCRAM", want: hook.Deny, reason: packet.BadAuthenticationMethod},
		{name: "a method that goes on", chain: []hook.Intercept[hook.AuthEvent]{who(hook.Continue, 0)}, peer: here, method: "SCRAM", want: hook.Continue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			points := new(hook.Points)
			for i, fn := range tt.chain {
				points.ClientAuthenticate.Add(hook.Spec{Order: i}, fn)
			}
			c := client(tt.peer)
			c.HasUsername = tt.user
			e := hook.AuthEvent{Client: c, Method: tt.method}
			access.New(points).Authenticate(&tt.policy, &e)
			if e.Verdict != tt.want || e.Reason != tt.reason {
				t.Errorf("verdict %v reason %v, want %v %v", e.Verdict, e.Reason, tt.want, tt.reason)
			}
		})
	}
}

func TestPermissionList(t *testing.T) {
	list := []hook.Permission{
		{Filter: "secret/#", Action: hook.PubSub},
		{Filter: "dev/c/+", Action: hook.Publish, Allow: true, MaxQoS: 1},
		{Filter: "dev/#", Action: hook.Subscribe, Allow: true, MaxQoS: 2},
		{Filter: "log", Action: hook.Publish, Allow: true, MaxQoS: 2, Retain: true},
	}
	for _, tt := range []struct {
		e     hook.ACLEvent
		allow bool
	}{
		{hook.ACLEvent{Action: hook.Publish, Topic: "dev/c/temp", QoS: 1}, true},
		{hook.ACLEvent{Action: hook.Publish, Topic: "dev/c/temp", QoS: 2}, false},
		{hook.ACLEvent{Action: hook.Publish, Topic: "dev/c/temp", Retain: true}, false},
		{hook.ACLEvent{Action: hook.Publish, Topic: "dev/d/temp"}, false},
		{hook.ACLEvent{Action: hook.Publish, Topic: "log", QoS: 2, Retain: true}, true},
		{hook.ACLEvent{Action: hook.Subscribe, Topic: "dev/+/temp"}, true},
		{hook.ACLEvent{Action: hook.Subscribe, Topic: "dev/#"}, true},
		{hook.ACLEvent{Action: hook.Subscribe, Topic: "#"}, false},
		{hook.ACLEvent{Action: hook.Subscribe, Topic: "secret/a"}, false},
	} {
		t.Run(fmt.Sprintf("%d %s qos %d", tt.e.Action, tt.e.Topic, tt.e.QoS), func(t *testing.T) {
			c := client("127.0.0.1:1")
			c.Permissions = list
			tt.e.Client = c
			es := []hook.ACLEvent{tt.e}
			access.New(new(hook.Points)).Check(&access.Policy{EnableACL: true}, nil, 0, es)
			if got := es[0].Verdict == hook.Allow; got != tt.allow {
				t.Errorf("allow %v, want %v", got, tt.allow)
			}
		})
	}
}

// TestChainIsAskedOnce shows that one read's events go to the chain together,
// and only those that nothing else decides.
func TestChainIsAskedOnce(t *testing.T) {
	points := new(hook.Points)
	calls := 0
	points.ClientCheckACL.Add(hook.Spec{}, func(es []hook.ACLEvent) {
		calls++
		for i := range es {
			if es[i].Verdict == hook.Next && es[i].Topic != "later" {
				es[i].Verdict, es[i].CacheTTL = hook.Deny, time.Minute
			}
		}
	})
	a, p, cache := access.New(points), &access.Policy{EnableACL: true, NoMatch: true}, access.NewCache(4)
	ask := func(now int64, topics ...string) (verdicts []hook.Verdict) {
		es := make([]hook.ACLEvent, len(topics))
		for i, name := range topics {
			es[i] = hook.ACLEvent{Client: client("127.0.0.1:1"), Action: hook.Publish, Topic: name}
		}
		a.Check(p, cache, now, es)
		for _, e := range es {
			verdicts = append(verdicts, e.Verdict)
		}
		return verdicts
	}
	if got := ask(0, "a", "b", "later"); got[0] != hook.Deny || got[1] != hook.Deny || got[2] != hook.Allow || calls != 1 {
		t.Fatalf("verdicts %v after %d calls", got, calls)
	}
	if ask(1, "a", "b"); calls != 1 {
		t.Errorf("cached verdicts asked the chain again")
	}
	if ask(int64(2*time.Minute), "a"); calls != 2 {
		t.Errorf("an expired verdict was used")
	}
	cache.Clear()
	if ask(int64(2*time.Minute), "a"); calls != 3 {
		t.Errorf("a cleared cache answered")
	}
}

// TestCacheIsBounded shows that a client cannot make its cache grow.
func TestCacheIsBounded(t *testing.T) {
	points := new(hook.Points)
	calls := 0
	points.ClientCheckACL.Add(hook.Spec{}, func(es []hook.ACLEvent) {
		calls++
		es[0].Verdict, es[0].CacheTTL = hook.Allow, time.Hour
	})
	a, p, cache := access.New(points), &access.Policy{EnableACL: true}, access.NewCache(8)
	for i := range 1000 {
		a.Check(p, cache, 0, []hook.ACLEvent{{Client: client("127.0.0.1:1"), Action: hook.Publish, Topic: fmt.Sprint("t/", i)}})
	}
	for i := range 992 {
		a.Check(p, cache, 0, []hook.ACLEvent{{Client: client("127.0.0.1:1"), Action: hook.Publish, Topic: fmt.Sprint("t/", i)}})
	}
	if calls < 1984 {
		t.Errorf("%d calls for 1992 topics: more than 8 were remembered", calls)
	}
}

func TestSuperuserAndDisabledACL(t *testing.T) {
	points := new(hook.Points)
	points.ClientCheckACL.Add(hook.Spec{}, func(es []hook.ACLEvent) { t.Error("the chain was asked") })
	a := access.New(points)
	super := client("127.0.0.1:1")
	super.Superuser = true
	es := []hook.ACLEvent{{Client: super, Action: hook.Publish, Topic: "t"}}
	a.Check(&access.Policy{EnableACL: true}, nil, 0, es)
	off := []hook.ACLEvent{{Client: client("127.0.0.1:1"), Action: hook.Subscribe, Topic: "#"}}
	a.Check(&access.Policy{}, nil, 0, off)
	if es[0].Verdict != hook.Allow || off[0].Verdict != hook.Allow {
		t.Errorf("verdicts %v %v, want allow", es[0].Verdict, off[0].Verdict)
	}
	if !a.Trivial(&access.Policy{EnableACL: true}, super) || a.Trivial(&access.Policy{EnableACL: true, NoMatch: true}, client("127.0.0.1:1")) {
		t.Error("Trivial must hold for a superuser and not while a chain is bound")
	}
}

// What the node says about itself is for this machine, and for whom a plugin or
// a list of permissions names.
func TestSysTopicsAreForThisMachine(t *testing.T) {
	const here, there = "[::1]:1", "192.0.2.1:1"
	open, closed, off := access.Policy{EnableACL: true, NoMatch: true}, access.Policy{EnableACL: true}, access.Policy{NoMatch: true}
	rule := func(es []hook.ACLEvent) {
		for i := range es {
			if es[i].Topic == "$SYS/brokers" {
				es[i].Verdict = hook.Allow
			}
		}
	}
	for _, tt := range []struct {
		topic  string
		policy access.Policy
		peer   string
		list   []hook.Permission
		want   bool
	}{
		{"$SYS/#", open, here, nil, true},
		{"$SYS/#", open, there, nil, false},
		{"$SYS", open, there, nil, false},
		{"$SYSTEM/#", open, there, nil, true},
		{"#", open, there, nil, true}, // matches no $SYS topic [MQTT-4.7.2-1]
		{"$SYS/#", closed, here, nil, false},
		{"$SYS/#", off, there, nil, true},
		{"$SYS/brokers", open, there, nil, true},
		{"$SYS/brokers", closed, there, nil, true},
		{"$SYS/a", open, there, []hook.Permission{{Filter: "$SYS/#", Action: hook.PubSub, Allow: true, MaxQoS: 2}}, true},
		{"$SYS/a", open, there, []hook.Permission{{Filter: "#", Action: hook.PubSub, Allow: true, MaxQoS: 2}}, false},
	} {
		for _, action := range []hook.Action{hook.Publish, hook.Subscribe} {
			points := new(hook.Points)
			points.ClientCheckACL.Add(hook.Spec{}, rule)
			c := client(tt.peer)
			c.Permissions = tt.list
			es := []hook.ACLEvent{{Client: c, Action: action, Topic: tt.topic}}
			access.New(points).Check(&tt.policy, nil, 0, es)
			if got := es[0].Verdict == hook.Allow; got != tt.want {
				t.Errorf("%s from %s, action %d, policy %+v: allowed %v, want %v", tt.topic, tt.peer, action, tt.policy, got, tt.want)
			}
		}
	}
}

// TestCachedFilters: an answer may hold for all topics of a filter, and none holds
// when the chain may answer otherwise.
func TestCachedFilters(t *testing.T) {
	points := new(hook.Points)
	calls := 0
	points.ClientCheckACL.Add(hook.Spec{}, func(es []hook.ACLEvent) {
		calls++
		for i := range es {
			e := &es[i]
			e.Verdict, e.CacheTTL = hook.Deny, time.Minute
			switch e.Topic {
			case "a/1":
				e.Verdict, e.CacheFilter = hook.Allow, "a/#"
			case "all":
				e.CacheFilter = "#"
			}
		}
	})
	a, p, cache := access.New(points), &access.Policy{EnableACL: true}, access.NewCache(32)
	ask := func(now int64, action hook.Action, topic string) hook.Verdict {
		es := []hook.ACLEvent{{Client: client("127.0.0.1:1"), Action: action, Topic: topic}}
		a.Check(p, cache, now, es)
		return es[0].Verdict
	}
	for i, c := range []struct {
		action hook.Action
		topic  string
		want   hook.Verdict
		calls  int
	}{
		{hook.Publish, "a/1", hook.Allow, 1}, {hook.Publish, "a/2/b", hook.Allow, 1}, {hook.Publish, "b", hook.Deny, 2}, {hook.Subscribe, "a/2", hook.Deny, 3},
		{hook.Subscribe, "all", hook.Deny, 4}, {hook.Subscribe, "any/#", hook.Deny, 4}, {hook.Publish, "a/1", hook.Allow, 4},
	} {
		if got := ask(0, c.action, c.topic); got != c.want || calls != c.calls {
			t.Errorf("%d: %s: verdict %v after %d calls, want %v after %d", i, c.topic, got, calls, c.want, c.calls)
		}
	}
	points.ClientCheckACL.Touch()
	if ask(0, hook.Publish, "a/2"); calls != 5 {
		t.Errorf("%d calls: an answer outlived what it came from", calls)
	}
	if ask(0, hook.Publish, "a/1"); calls != 6 {
		t.Errorf("%d calls", calls)
	}
	if ask(int64(time.Hour), hook.Publish, "a/3"); calls != 7 {
		t.Errorf("%d calls: an answer about a filter outlived its time", calls)
	}
}
