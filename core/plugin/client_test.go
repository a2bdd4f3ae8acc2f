package plugin

import (
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

func TestConnect(t *testing.T) {
	f := newFixture(t)
	f.add("a", hookLine(contract.HookConnect, ""), each(func(r contract.Record, w *contract.VerdictWriter, i int) {
		if string(r.Slot(contract.SlotWillTopic)) == "bad" {
			w.Set(i, contract.Deny, 0x8A)
			w.Put(i, contract.ExtText, []byte("banned"))
			return
		}
		w.Put(i, contract.ExtLimits, contract.AppendLimits(nil, contract.Limits{ReceiveMax: 5, PacketSize: 1000, KeepAlive: 10, SessionExpiry: 20}))
		w.Put(i, contract.ExtClientID, []byte("assigned"))
	}))
	f.start("a.\n")
	e := &hook.ConnectEvent{Client: testClient(), Packet: &packet.Connect{Props: packet.AppendUint32Prop(nil, packet.PropSessionExpiry, 99)}}
	call(&f.points.ClientConnect, e)
	rm, _ := e.Packet.Props.Uint16(packet.PropReceiveMaximum)
	ps, _ := e.Packet.Props.Uint32(packet.PropMaximumPacketSize)
	se, _ := e.Packet.Props.Uint32(packet.PropSessionExpiry)
	if e.Client.ID != "assigned" || rm != 5 || ps != 1000 || se != 20 || e.Client.Expiry != 20 || e.Client.KeepAlive != 10 || e.Reason != 0 {
		t.Errorf("client %+v, receive max %d, packet size %d, expiry %d, reason %v", e.Client, rm, ps, se, e.Reason)
	}
	e = &hook.ConnectEvent{Client: testClient(), Packet: &packet.Connect{Will: &packet.Will{Topic: "bad"}}}
	call(&f.points.ClientConnect, e)
	if e.Reason != packet.Banned || e.Text != "banned" {
		t.Errorf("reason %v %q", e.Reason, e.Text)
	}
}

func TestAuthenticate(t *testing.T) {
	f := newFixture(t)
	f.add("other", hookLine(contract.HookAuthContinue, ""), always(contract.Deny, 0))
	f.add("a", `hook = [ { name = "authenticate", class = "intercept" }, { name = "auth_continue", class = "intercept" } ]`,
		each(func(r contract.Record, w *contract.VerdictWriter, i int) {
			switch {
			case r.Hook() == contract.HookAuthContinue:
				w.Set(i, contract.Allow, 0)
				w.Put(i, contract.ExtReply, append([]byte("bye "), r.Slot(contract.SlotAuthState)...))
			case string(r.Slot(contract.SlotAuthMethod)) != "":
				w.Set(i, contract.Continue, 0)
				w.Put(i, contract.ExtReply, []byte("challenge"))
				w.Put(i, contract.ExtState, []byte("st"))
			case string(r.Slot(contract.SlotPassword)) == "pw":
				w.Set(i, contract.Allow, 0)
				w.SetFlags(i, contract.VerdictSuperuser)
				w.Put(i, contract.ExtPrincipal, []byte("alice"))
				w.Put(i, contract.ExtTenant, []byte("acme"))
				w.Put(i, contract.ExtAttributes, contract.AppendPair(nil, "k", "v"))
				w.Put(i, contract.ExtPermissions, contract.AppendPermission(nil, contract.Permission{Filter: "a/#", Publish: true, Allow: true, MaxQoS: 1}))
				w.PutUint64(i, contract.ExtExpiresAt, 1e9)
			case r.Slot(contract.SlotPassword) != nil:
				w.Set(i, contract.Deny, 0x86)
				w.Put(i, contract.ExtText, []byte("no"))
			}
		}))
	f.start("other.\na.\n")

	e := &hook.AuthEvent{Client: testClient(), Password: []byte("pw")}
	call(&f.points.ClientAuthenticate, e)
	c := e.Client
	if e.Verdict != hook.Allow || c.Principal != "alice" || c.Tenant != "acme" || !c.Superuser || c.Attributes["k"] != "v" || !c.ExpiresAt.Equal(time.Unix(1, 0)) {
		t.Errorf("%+v %+v", e, c)
	}
	if len(c.Permissions) != 1 || c.Permissions[0] != (hook.Permission{Filter: "a/#", Action: hook.Publish, Allow: true, MaxQoS: 1}) {
		t.Errorf("permissions %+v", c.Permissions)
	}
	e = &hook.AuthEvent{Client: testClient(), Password: []byte("bad")}
	call(&f.points.ClientAuthenticate, e)
	if e.Verdict != hook.Deny || e.Reason != packet.BadUserNameOrPassword || e.Text != "no" {
		t.Errorf("%+v", e)
	}
	e = &hook.AuthEvent{Client: testClient()}
	if call(&f.points.ClientAuthenticate, e); e.Verdict != hook.Next {
		t.Errorf("verdict %d of a login that is not the plugin's", e.Verdict)
	}
	// The exchange belongs to the plugin that began it: the other is not asked.
	e = &hook.AuthEvent{Client: testClient(), Method: "SCRAM", Data: []byte("d")}
	call(&f.points.ClientAuthenticate, e)
	if e.Verdict != hook.Continue || string(e.Reply) != "challenge" || e.State == nil {
		t.Fatalf("%+v", e)
	}
	e = &hook.AuthEvent{Client: testClient(), Method: "SCRAM", State: e.State}
	call(&f.points.ClientAuthenticate, e)
	if e.Verdict != hook.Allow || string(e.Reply) != "bye st" {
		t.Errorf("%+v", e)
	}
}

func TestACL(t *testing.T) {
	f := newFixture(t)
	asked := map[string]contract.Flags{}
	f.add("a", hookLine(contract.HookACL, `, filters = ["acme/#"]`), each(func(r contract.Record, w *contract.VerdictWriter, i int) {
		topic := string(r.Slot(contract.SlotTopic))
		asked[topic] = r.Flags()
		if string(r.Slot(contract.SlotACLPrincipal)) != "p1" {
			t.Errorf("principal %q", r.Slot(contract.SlotACLPrincipal))
		}
		switch topic {
		case "acme/yes":
			w.Set(i, contract.Allow, 0)
			w.SetCacheTTL(i, 1500)
		case "acme/no":
			w.Set(i, contract.Deny, 0)
		}
	}))
	f.start("a.\n")
	c := testClient()
	es := []hook.ACLEvent{
		{Client: c, Action: hook.Publish, Topic: "acme/yes", QoS: 1, Retain: true},
		{Client: c, Action: hook.Publish, Topic: "acme/no"},
		{Client: c, Action: hook.Publish, Topic: "acme/next"},
		{Client: c, Action: hook.Publish, Topic: "else"},
		{Client: c, Action: hook.Subscribe, Topic: "#"},
		{Client: c, Action: hook.Subscribe, Topic: "else/#"},
		{Client: c, Action: hook.Publish, Topic: "acme/no", Verdict: hook.Allow},
	}
	fold(&f.points.ClientCheckACL, es)
	want := []hook.Verdict{hook.Allow, hook.Deny, hook.Next, hook.Next, hook.Next, hook.Next, hook.Allow}
	for i := range es {
		if es[i].Verdict != want[i] {
			t.Errorf("%s: verdict %d, want %d", es[i].Topic, es[i].Verdict, want[i])
		}
	}
	if es[0].CacheTTL != 1500*time.Millisecond || es[1].Reason != packet.NotAuthorized {
		t.Errorf("ttl %v reason %v", es[0].CacheTTL, es[1].Reason)
	}
	if len(asked) != 4 || !asked["acme/yes"].Has(contract.FlagPublish|contract.FlagRetain) || !asked["#"].Has(contract.FlagSubscribe) {
		t.Errorf("asked about %v", asked)
	}
}

func TestSubscribe(t *testing.T) {
	f := newFixture(t)
	f.add("a", `hook = [ { name = "subscribe", class = "intercept" }, { name = "unsubscribe", class = "intercept" } ]`,
		each(func(r contract.Record, w *contract.VerdictWriter, i int) {
			l := contract.FilterList{Bytes: r.Slot(contract.SlotFilters), Options: r.Hook() == contract.HookSubscribe}
			var out, codes []byte
			for e := range l.All {
				code := contract.KeepCode
				switch name := string(e.Filter); {
				case name == "deny":
					w.Set(i, contract.Deny, 0x97)
					return
				case name == "no":
					code = 0x87
				case name == "low":
					code = 0
				}
				codes = append(codes, code)
				if l.Options {
					out = contract.AppendSubscription(out, "r/"+string(e.Filter), e.Options)
				} else {
					out = contract.AppendFilter(out, "r/"+string(e.Filter))
				}
			}
			w.Set(i, contract.Rewrite, 0)
			if l.Options {
				w.Put(i, contract.ExtCodes, codes)
			}
			w.Put(i, contract.ExtFilters, out)
		}))
	f.start("a.\n")
	e := &hook.SubscribeEvent{Client: testClient(), Codes: make([]packet.ReasonCode, 4), Filters: []packet.Filter{
		{Filter: "x", QoS: 2, NoLocal: true, RetainHandling: 2, RetainAsPublished: true}, {Filter: "no"}, {Filter: "low", QoS: 1}, {Filter: "gone"},
	}}
	e.Codes[3] = packet.QuotaExceeded
	call(&f.points.ClientSubscribe, e)
	if e.Filters[0] != (packet.Filter{Filter: "r/x", QoS: 2, NoLocal: true, RetainHandling: 2, RetainAsPublished: true}) ||
		e.Codes[1] != packet.NotAuthorized || e.Filters[2].QoS != 0 || e.Filters[2].Filter != "r/low" || e.Filters[3].Filter != "gone" || e.Codes[3] != packet.QuotaExceeded {
		t.Errorf("%+v", e)
	}
	e = &hook.SubscribeEvent{Client: testClient(), Codes: make([]packet.ReasonCode, 2), Filters: []packet.Filter{{Filter: "x"}, {Filter: "deny"}}}
	call(&f.points.ClientSubscribe, e)
	if e.Codes[0] != packet.QuotaExceeded || e.Codes[1] != packet.QuotaExceeded {
		t.Errorf("codes %v", e.Codes)
	}
	u := &hook.UnsubscribeEvent{Client: testClient(), Filters: []string{"x", "y"}}
	call(&f.points.ClientUnsubscribe, u)
	if u.Filters[0] != "r/x" || u.Filters[1] != "r/y" {
		t.Errorf("filters %v", u.Filters)
	}
}
