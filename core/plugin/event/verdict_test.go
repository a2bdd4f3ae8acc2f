package event

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

func client() *hook.Client {
	return &hook.Client{
		ID: "c1", Username: "u1", HasUsername: true, Peer: netip.MustParseAddrPort("192.0.2.1:5000"), Local: netip.MustParseAddrPort("[::1]:1883"),
		Listener: "tcp:external", Zone: "external", Protocol: packet.V50, KeepAlive: 60, Conn: 7, Principal: "p1", Tenant: "t1",
		Expiry: 30, ConnectedAt: time.Unix(1, 0), CommonName: "cn", DN: "CN=cn",
	}
}

// then is the time of the tests.
var then = time.Unix(100, 0)

// party is a plugin as events see it; looped counts.
func party(looped *int) *Plugin {
	return &Plugin{Name: "me", Now: func() time.Time { return then }, Looped: func() { *looped++ }}
}

// decide encodes e, lets a plugin answer with what say writes, checks the block
// as the broker does and applies it.
func decide[E any](t *testing.T, o *Ops[E], k contract.Hook, e *E, say func(w *contract.VerdictWriter)) {
	t.Helper()
	var w Encoder
	w.Start(&Binding{Hook: k, Fields: contract.AllSlots}, then.UnixNano())
	o.Encode(&w, k, e)
	r, rest, err := contract.Split(w.Frame())
	if err != nil || len(rest) != 0 || r.Check() != nil || r.Hook() != k {
		t.Fatalf("the record is bad: %v, %v", err, r.Check())
	}
	var v contract.VerdictWriter
	v.Reset(nil, 1)
	say(&v)
	var vs contract.Verdicts
	if err := vs.Load(w.Frame(), 1, v.Block()); err != nil {
		t.Fatalf("the verdict is bad: %v", err)
	}
	n := 0
	o.Apply(&Answer{Verdict: vs.At(0), Plugin: party(&n), Now: then.UnixNano()}, e)
}

// set answers with an action and a reason code.
func set(a contract.Action, reason byte) func(*contract.VerdictWriter) {
	return func(w *contract.VerdictWriter) { w.Set(0, a, reason) }
}

// text answers Deny with a reason string.
func text(reason byte, s string) func(*contract.VerdictWriter) {
	return func(w *contract.VerdictWriter) {
		w.Set(0, contract.Deny, reason)
		w.Put(0, contract.ExtText, []byte(s))
	}
}

func TestConnectVerdicts(t *testing.T) {
	e := &hook.ConnectEvent{Client: client(), Packet: &packet.Connect{}}
	if decide(t, &Connect, contract.HookConnect, e, set(contract.Next, 0)); e.Reason != 0 || e.Client.ID != "c1" {
		t.Errorf("next: %+v", e)
	}
	if decide(t, &Connect, contract.HookConnect, e, text(0x9C, "elsewhere")); e.Reason != packet.UseAnotherServer || e.Text != "elsewhere" {
		t.Errorf("deny: %+v", e)
	}
	e = &hook.ConnectEvent{Client: client(), Packet: &packet.Connect{KeepAlive: 60}}
	decide(t, &Connect, contract.HookConnect, e, func(w *contract.VerdictWriter) {
		w.Put(0, contract.ExtClientID, []byte("other"))
		w.Put(0, contract.ExtLimits, contract.AppendLimits(nil, contract.Limits{ReceiveMax: contract.KeepLimit, PacketSize: 99, KeepAlive: contract.KeepLimit, SessionExpiry: contract.KeepLimit}))
	})
	size, _ := e.Packet.Props.Uint32(packet.PropMaximumPacketSize)
	if e.Client.ID != "other" || size != 99 || e.Packet.KeepAlive != 60 || e.Client.Expiry != 30 || e.Packet.Props.Has(packet.PropReceiveMaximum) {
		t.Errorf("limits: %+v %+v", e.Client, e.Packet)
	}
}

func TestConnectSubscriptions(t *testing.T) {
	e := &hook.ConnectEvent{Client: client(), Packet: &packet.Connect{}, Subscribe: []packet.Filter{{Filter: "earlier"}}}
	decide(t, &Connect, contract.HookConnect, e, func(w *contract.VerdictWriter) {
		w.Put(0, contract.ExtSubscriptions, contract.AppendSubscription(contract.AppendSubscription(nil, "a/%c", 2|1<<2|1<<3|1<<4), "b", 0x20))
	})
	want := []packet.Filter{{Filter: "earlier"}, {Filter: "a/%c", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 1}, {Filter: "b", RetainHandling: 2}}
	if !slices.Equal(e.Subscribe, want) || e.Reason != 0 {
		t.Errorf("%+v", e.Subscribe)
	}
}

func TestAuthVerdicts(t *testing.T) {
	auth := func(say func(*contract.VerdictWriter)) *hook.AuthEvent {
		e := &hook.AuthEvent{Client: client(), Password: []byte("pw"), Method: "M", Data: []byte("d")}
		decide(t, &Authenticate, contract.HookAuthenticate, e, say)
		return e
	}
	if e := auth(set(contract.Next, 0)); e.Verdict != hook.Next {
		t.Errorf("next: %+v", e)
	}
	if e := auth(set(contract.Deny, 0)); e.Verdict != hook.Deny || e.Reason != packet.NotAuthorized {
		t.Errorf("deny without a code: %+v", e)
	}
	if e := auth(text(0x86, "wrong")); e.Reason != packet.BadUserNameOrPassword || e.Text != "wrong" {
		t.Errorf("deny: %+v", e)
	}
	if e := auth(set(contract.Allow, 0)); e.Verdict != hook.Allow || e.Client.Superuser || e.Client.Permissions != nil || e.Client.Principal != "p1" {
		t.Errorf("plain allow: %+v %+v", e, e.Client)
	}
	e := auth(func(w *contract.VerdictWriter) {
		w.Set(0, contract.Continue, 0)
		w.Put(0, contract.ExtReply, []byte("r"))
		w.Put(0, contract.ExtState, []byte("s"))
	})
	if x, ok := e.State.(exchange); e.Verdict != hook.Continue || string(e.Reply) != "r" || !ok || string(x.state) != "s" {
		t.Errorf("continue: %+v", e)
	}
	// An empty list is a list: it decides that nobody asks further for what it names, which is nothing.
	if e := auth(func(w *contract.VerdictWriter) {
		w.Set(0, contract.Allow, 0)
		w.Put(0, contract.ExtPermissions, nil)
	}); e.Client.Permissions == nil || len(e.Client.Permissions) != 0 {
		t.Errorf("empty list: %v", e.Client.Permissions)
	}
	e = auth(func(w *contract.VerdictWriter) {
		w.Set(0, contract.Allow, 0)
		b := contract.AppendPermission(nil, contract.Permission{Filter: "a/#", Publish: true, Subscribe: true, Allow: true, MaxQoS: 2, Retain: true})
		w.Put(0, contract.ExtPermissions, contract.AppendPermission(b, contract.Permission{Filter: "#", Subscribe: true}))
	})
	if want := []hook.Permission{{Filter: "a/#", Action: hook.PubSub, Allow: true, MaxQoS: 2, Retain: true}, {Filter: "#", Action: hook.Subscribe}}; !slices.Equal(e.Client.Permissions, want) {
		t.Errorf("permissions %v", e.Client.Permissions)
	}
}

func TestACLVerdicts(t *testing.T) {
	ask := func(say func(*contract.VerdictWriter)) *hook.ACLEvent {
		e := &hook.ACLEvent{Client: client(), Action: hook.Publish, Topic: "a"}
		decide(t, &ACL, contract.HookACL, e, say)
		return e
	}
	if e := ask(set(contract.Next, 0)); e.Verdict != hook.Next || e.CacheTTL != 0 {
		t.Errorf("next: %+v", e)
	}
	if e := ask(set(contract.Deny, 0x97)); e.Verdict != hook.Deny || e.Reason != packet.QuotaExceeded {
		t.Errorf("deny: %+v", e)
	}
	if e := ask(func(w *contract.VerdictWriter) {
		w.Set(0, contract.Allow, 0)
		w.SetCacheTTL(0, 250)
	}); e.Verdict != hook.Allow || e.CacheTTL != 250*time.Millisecond {
		t.Errorf("allow: %+v", e)
	}
}

func TestPublishVerdicts(t *testing.T) {
	publish := func(say func(*contract.VerdictWriter)) *hook.PublishEvent {
		e := &hook.PublishEvent{Client: client(), Msg: &message.Message{Topic: "a", Payload: []byte("p"), QoS: 1, Retain: true}}
		decide(t, &Publish, contract.HookPublish, e, say)
		return e
	}
	for name, tc := range map[string]struct {
		say     func(*contract.VerdictWriter)
		verdict hook.Verdict
		reason  packet.ReasonCode
	}{
		"next":  {set(contract.Next, 0), hook.Next, 0},
		"allow": {set(contract.Allow, 0), hook.Next, 0},
		"deny":  {set(contract.Deny, 0), hook.Deny, packet.NotAuthorized},
		"quota": {set(contract.Deny, 0x97), hook.Deny, packet.QuotaExceeded},
		"drop":  {set(contract.Drop, 0), hook.Drop, 0},
	} {
		if e := publish(tc.say); e.Verdict != tc.verdict || e.Reason != tc.reason || e.Msg.Topic != "a" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	e := publish(func(w *contract.VerdictWriter) {
		w.Set(0, contract.Rewrite, 0)
		w.Put(0, contract.ExtPayload, nil) // present and empty: an empty payload
		w.PutFlags(0, contract.FlagRetain, 0)
		w.PutUint32(0, contract.ExtExpiry, contract.NoExpiry)
	})
	if m := e.Msg; m.Topic != "a" || len(m.Payload) != 0 || m.QoS != 1 || m.Retain || m.Expiry != 0 {
		t.Errorf("rewrite: %+v", m)
	}
}

// Further messages of a verdict stop after MaxHops, counted.
func TestAlsoIsBounded(t *testing.T) {
	for hops := range uint8(MaxHops + 2) {
		var more contract.Writer
		for range 2 {
			more.Begin(contract.Header{Hook: contract.HookPublish})
			more.String(contract.SlotTopic, "more")
			more.Uint32(contract.SlotExpiry, 5)
			more.End()
		}
		looped := 0
		a := &Answer{Plugin: party(&looped), Now: then.UnixNano()}
		got := a.also(nil, more.Frame(), hops)
		if hops < MaxHops && (len(got) != 2 || got[1].Hops != hops+1 || got[1].From != "me" || got[1].Expiry != then.Add(5*time.Second).UnixNano() || looped != 0) {
			t.Errorf("%d hops: %v", hops, got)
		}
		if hops >= MaxHops && (len(got) != 0 || looped != 2) {
			t.Errorf("%d hops: %v, %d counted", hops, got, looped)
		}
	}
}

func TestDeliverVerdicts(t *testing.T) {
	e := &hook.DeliverEvent{Client: client(), Msg: &message.Message{Topic: "a"}}
	decide(t, &Deliver, contract.HookDeliver, e, func(w *contract.VerdictWriter) {
		w.Set(0, contract.Rewrite, 0)
		w.Put(0, contract.ExtTopic, []byte("b"))
	})
	if e.Msg.Topic != "b" || e.Verdict != hook.Next {
		t.Errorf("%+v", e)
	}
	if decide(t, &Deliver, contract.HookDeliver, e, set(contract.Drop, 0)); e.Verdict != hook.Drop {
		t.Errorf("%+v", e)
	}
}

func TestSubscribeVerdicts(t *testing.T) {
	e := subscribing("a", "b", "c")
	decide(t, &Subscribe, contract.HookSubscribe, e, func(w *contract.VerdictWriter) {
		w.Set(0, contract.Rewrite, 0)
		w.Put(0, contract.ExtCodes, []byte{1, 0x8F, contract.KeepCode})
	})
	if e.Filters[0].QoS != 1 || e.Codes[1] != packet.TopicFilterInvalid || e.Filters[2].QoS != 2 || e.Codes[0] != 0 || e.Codes[2] != 0 {
		t.Errorf("codes: %+v", e)
	}
	if decide(t, &Subscribe, contract.HookSubscribe, e, set(contract.Deny, 0)); e.Codes[0] != packet.NotAuthorized || e.Codes[1] != packet.TopicFilterInvalid {
		t.Errorf("deny: %v", e.Codes)
	}
	u := &hook.UnsubscribeEvent{Client: client(), Filters: []string{"a", "b"}}
	decide(t, &Unsubscribe, contract.HookUnsubscribe, u, func(w *contract.VerdictWriter) {
		w.Set(0, contract.Rewrite, 0)
		w.Put(0, contract.ExtFilters, contract.AppendFilter(contract.AppendFilter(nil, "x"), "y"))
	})
	if !slices.Equal(u.Filters, []string{"x", "y"}) {
		t.Errorf("unsubscribe: %v", u.Filters)
	}
}

func TestRetainVerdicts(t *testing.T) {
	for a, want := range map[contract.Action]hook.Verdict{contract.Next: hook.Next, contract.Allow: hook.Allow, contract.Drop: hook.Drop, contract.Deny: hook.Deny} {
		e := &hook.RetainEvent{Client: client(), Msg: &message.Message{Topic: "a", Retain: true}}
		if decide(t, &RetainStore, contract.HookRetainedStore, e, set(a, 0)); e.Verdict != want || (want == hook.Deny) != (e.Reason == packet.NotAuthorized) {
			t.Errorf("action %v: %+v", a, e)
		}
	}
}
