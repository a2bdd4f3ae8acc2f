//go:build !wasip1

package sdk

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// everything implements every hook and answers with what the test put in.
type everything struct {
	seen    []contract.Hook
	verdict Verdict
	look    func(e any)
	config  string
	state   string
}

func (p *everything) note(e any, h contract.Hook) Verdict {
	p.seen = append(p.seen, h)
	if p.look != nil {
		p.look(e)
	}
	return p.verdict
}

func (p *everything) OnConnect(e *ConnectEvent) Verdict     { return p.note(e, e.rec.Hook()) }
func (p *everything) OnAuthenticate(e *AuthEvent) Verdict   { return p.note(e, e.rec.Hook()) }
func (p *everything) OnAuthContinue(e *AuthEvent) Verdict   { return p.note(e, e.rec.Hook()) }
func (p *everything) OnACL(e *ACLEvent) Verdict             { return p.note(e, e.rec.Hook()) }
func (p *everything) OnSubscribe(e *FiltersEvent) Verdict   { return p.note(e, e.rec.Hook()) }
func (p *everything) OnUnsubscribe(e *FiltersEvent) Verdict { return p.note(e, e.rec.Hook()) }
func (p *everything) OnPublish(e *MessageEvent) Verdict     { return p.note(e, e.rec.Hook()) }
func (p *everything) OnWill(e *MessageEvent) Verdict        { return p.note(e, e.rec.Hook()) }
func (p *everything) OnDeliver(e *MessageEvent) Verdict     { return p.note(e, e.rec.Hook()) }
func (p *everything) OnRetainedStore(e *RetainEvent) Verdict {
	return p.note(e, e.rec.Hook())
}
func (p *everything) OnRetainedRead(e *RetainedReadEvent) Verdict { return p.note(e, e.rec.Hook()) }
func (p *everything) OnConnack(e *ConnackEvent)                   { p.note(e, e.rec.Hook()) }
func (p *everything) OnACLChecked(e *ACLCheckedEvent)             { p.note(e, e.rec.Hook()) }
func (p *everything) OnConnected(e *ClientEvent)                  { p.note(e, e.rec.Hook()) }
func (p *everything) OnDisconnected(e *DisconnectEvent)           { p.note(e, e.rec.Hook()) }
func (p *everything) OnSubscribed(e *FilterEvent)                 { p.note(e, e.rec.Hook()) }
func (p *everything) OnUnsubscribed(e *FilterEvent)               { p.note(e, e.rec.Hook()) }
func (p *everything) OnSessionCreated(e *ClientEvent)             { p.note(e, e.rec.Hook()) }
func (p *everything) OnSessionResumed(e *ClientEvent)             { p.note(e, e.rec.Hook()) }
func (p *everything) OnSessionTakenOver(e *ClientEvent)           { p.note(e, e.rec.Hook()) }
func (p *everything) OnSessionExpired(e *ClientEvent)             { p.note(e, e.rec.Hook()) }
func (p *everything) OnSessionDiscarded(e *ClientEvent)           { p.note(e, e.rec.Hook()) }
func (p *everything) OnPublished(e *MessageEvent)                 { p.note(e, e.rec.Hook()) }
func (p *everything) OnDelivered(e *MessageEvent)                 { p.note(e, e.rec.Hook()) }
func (p *everything) OnAcked(e *MessageEvent)                     { p.note(e, e.rec.Hook()) }
func (p *everything) OnDropped(e *MessageEvent)                   { p.note(e, e.rec.Hook()) }

func (p *everything) OnMessage(e *MessageEvent) Verdict   { return p.note(e, e.rec.Hook()) }
func (p *everything) OnTimer(e *TimerEvent)               { p.note(e, e.rec.Hook()) }
func (p *everything) OnHTTPResponse(e *HTTPResponseEvent) { p.note(e, e.rec.Hook()) }
func (p *everything) OnHashResult(e *HashResultEvent)     { p.note(e, e.rec.Hook()) }

func (p *everything) Configure(b []byte) error {
	p.config = string(b)
	if p.config == `{"bad":1}` {
		return errors.New("bad is no key")
	}
	return nil
}
func (p *everything) SaveState() []byte { return []byte(p.state) }
func (p *everything) RestoreState(b []byte) error {
	p.state = string(b)
	if p.state == "broken" {
		return errors.New("state is broken")
	}
	return nil
}

// record is a frame with one record.
func record(h contract.Header, slots map[contract.Slot]string) []byte {
	var w contract.Writer
	w.Begin(h)
	for s := range contract.Slot(contract.MaxSlots) {
		if v, ok := slots[s]; ok {
			w.String(s, v)
		}
	}
	w.End()
	return w.Frame()
}

// ask runs one event through p and returns the validated verdict.
func ask(t *testing.T, p any, h contract.Header, slots map[contract.Slot]string) contract.Verdict {
	t.Helper()
	frame := record(h, slots)
	var v contract.Verdicts
	if err := v.Load(frame, 1, NewRunner(p, nil).Frame(frame, 1)); err != nil {
		t.Fatal(err)
	}
	return v.At(0)
}

func TestEveryHookHasAHandler(t *testing.T) {
	p := &everything{}
	r := NewRunner(p, nil)
	var w contract.Writer
	var want []contract.Hook
	for _, h := range contract.Hooks() {
		if !r.Hooks().Has(h) {
			t.Errorf("no handler for %s", h)
		}
		w.Begin(contract.Header{Hook: h})
		w.End()
		want = append(want, h)
	}
	if block := r.Frame(w.Frame(), w.Count()); len(block) != 0 {
		t.Errorf("all Next is not an empty block: %d bytes", len(block))
	}
	if len(p.seen) != len(want) {
		t.Fatalf("seen %v", p.seen)
	}
	for i := range want {
		if p.seen[i] != want[i] {
			t.Errorf("record %d (%s) came as %s", i, want[i], p.seen[i])
		}
	}
}

func TestAPluginHasOnlyItsHooks(t *testing.T) {
	r := NewRunner(onlyACL{}, nil)
	if r.Hooks() != contract.HookSet(0).With(contract.HookACL) {
		t.Errorf("%x", r.Hooks())
	}
	frame := record(contract.Header{Hook: contract.HookPublish}, nil)
	if b := r.Frame(frame, 1); b != nil {
		t.Errorf("answered a hook it does not have: %x", b)
	}
	if b := r.Frame(record(contract.Header{Hook: 999}, nil), 1); b != nil {
		t.Errorf("answered a hook that does not exist: %x", b)
	}
	if b := r.Frame([]byte("noise"), 3); b != nil {
		t.Errorf("answered noise: %x", b)
	}
}

type onlyACL struct{}

func (onlyACL) OnACL(e *ACLEvent) Verdict {
	if bytes.HasPrefix(e.TopicBytes(), []byte("deny")) {
		return Verdict{Action: Deny, Reason: 0x87}
	}
	return Verdict{}
}

func TestClientEventAccessors(t *testing.T) {
	var w contract.Writer
	w.Begin(contract.Header{Hook: contract.HookConnected, Conn: 9, Time: 5e9, Flags: CleanStart | contract.Flags(0).WithVersion(5), Aux: 60})
	for s, v := range []string{"c1", "u1", "192.0.2.1:51000", "tcp:external", "external", "MQTT", "p"} {
		w.String(contract.Slot(s), v)
	}
	w.Uint32(contract.SlotSessionExpiry, 3600)
	w.Uint64(contract.SlotConnectedAt, 4e9)
	for s, v := range map[contract.Slot]string{contract.SlotCommonName: "cn", contract.SlotDN: "dn", contract.SlotPrincipal: "pr",
		contract.SlotTenant: "te", contract.SlotLocal: "127.0.0.1:1883"} {
		w.String(s, v)
	}
	w.End()
	p := &everything{look: func(e any) {
		c := e.(*ClientEvent)
		for _, g := range [][2]string{{c.ClientID(), "c1"}, {c.Username(), "u1"}, {c.Peer(), "192.0.2.1:51000"}, {c.Listener(), "tcp:external"},
			{c.Zone(), "external"}, {c.Protocol(), "MQTT"}, {string(c.PropsBytes()), "p"}, {c.CommonName(), "cn"}, {c.DN(), "dn"},
			{c.Principal(), "pr"}, {c.Tenant(), "te"}, {string(c.LocalBytes()), "127.0.0.1:1883"}} {
			if g[0] != g[1] {
				t.Errorf("%q, want %q", g[0], g[1])
			}
		}
		if c.Conn() != 9 || !c.Time().Equal(time.Unix(5, 0)) || !c.ConnectedAt().Equal(time.Unix(4, 0)) || c.KeepAlive() != 60 ||
			c.SessionExpiry() != 3600 || !c.Flags().Has(CleanStart) || c.Flags().Version() != 5 || c.Record().Hook() != contract.HookConnected {
			t.Errorf("%+v", c.Record().Header())
		}
	}}
	NewRunner(p, nil).Frame(w.Frame(), 1)
	if len(p.seen) != 1 {
		t.Fatal("not called")
	}
}

func TestOtherEventAccessors(t *testing.T) {
	look := func(check func(e any)) *everything { return &everything{look: check} }
	ask(t, look(func(e any) {
		c := e.(*ConnectEvent)
		if string(c.WillTopicBytes()) != "w" || string(c.WillPayloadBytes()) != "bye" || !c.ConnectedAt().IsZero() {
			t.Error("connect")
		}
	}), contract.Header{Hook: contract.HookConnect}, map[contract.Slot]string{contract.SlotWillTopic: "w", contract.SlotWillPayload: "bye"})
	ask(t, look(func(e any) {
		a := e.(*AuthEvent)
		pw, ok := a.Password()
		if string(pw) != "" || !ok || a.Method() != "SCRAM" || string(a.DataBytes()) != "d" || string(a.StateBytes()) != "s" || a.WillTopic() != "w" {
			t.Error("authenticate")
		}
	}), contract.Header{Hook: contract.HookAuthContinue}, map[contract.Slot]string{contract.SlotPassword: "",
		contract.SlotAuthMethod: "SCRAM", contract.SlotAuthData: "d", contract.SlotAuthState: "s", contract.SlotAuthWill: "w"})
	ask(t, look(func(e any) {
		if _, ok := e.(*AuthEvent).Password(); ok {
			t.Error("a password that was not given")
		}
	}), contract.Header{Hook: contract.HookAuthenticate}, nil)
	ask(t, look(func(e any) {
		d := e.(*DisconnectEvent)
		if d.ReasonCode() != 0x8D || d.Reason() != "keepalive_timeout" || d.KeepAlive() != 0 {
			t.Error("disconnected")
		}
	}), contract.Header{Hook: contract.HookDisconnected, Aux: 0x8D}, map[contract.Slot]string{contract.SlotDisconnectReason: "keepalive_timeout"})
	ask(t, look(func(e any) {
		if k := e.(*ConnackEvent); k.ReasonCode() != 0x87 || k.KeepAlive() != 60 {
			t.Error("connack")
		}
	}), contract.Header{Hook: contract.HookConnack, Aux: 60}, map[contract.Slot]string{contract.SlotReasonCode: "\x87\x00\x00\x00"})
	ask(t, look(func(e any) {
		if a := e.(*ACLCheckedEvent); !a.Allowed() || !a.Cached() || !a.Subscribe() || a.Topic() != "t" {
			t.Error("acl_checked")
		}
	}), contract.Header{Hook: contract.HookACLChecked, Flags: contract.FlagSubscribe, Aux: contract.ACLAllowed | contract.ACLCached},
		map[contract.Slot]string{contract.SlotTopic: "t"})
	ask(t, look(func(e any) {
		a := e.(*ACLEvent)
		if a.Topic() != "t" || !a.Publish() || a.Subscribe() || a.QoS() != 2 || !a.Retain() || a.Principal() != "p" || a.Tenant() != "te" ||
			a.CommonName() != "cn" || a.DN() != "CN=cn" || string(a.LocalBytes()) != "[::1]:1883" {
			t.Error("acl")
		}
	}), contract.Header{Hook: contract.HookACL, Flags: contract.FlagPublish | contract.FlagRetain | 2},
		map[contract.Slot]string{contract.SlotTopic: "t", contract.SlotACLPrincipal: "p", contract.SlotACLTenant: "te",
			contract.SlotACLName: "cn", contract.SlotACLDN: "CN=cn", contract.SlotACLLocal: "[::1]:1883"})
	ask(t, look(func(e any) {
		f := e.(*FilterEvent)
		if f.Filter() != "a/#" || f.QoS() != 1 || !f.NoLocal() || !f.RetainAsPublished() || f.RetainHandling() != 2 || !f.New() {
			t.Error("subscribed")
		}
	}), contract.Header{Hook: contract.HookSubscribed, Flags: contract.FlagNew, Aux: 1 | 1<<2 | 1<<3 | 2<<4},
		map[contract.Slot]string{contract.SlotFilter: "a/#"})
	list := contract.AppendSubscription(contract.AppendSubscription(nil, "a", 1), "b/+", 2)
	ask(t, look(func(e any) {
		var got []string
		for f := range e.(*FiltersEvent).Filters().All {
			got = append(got, string(f.Filter)+string('0'+f.Options))
		}
		if e.(*FiltersEvent).Len() != 2 || len(got) != 2 || got[0] != "a1" || got[1] != "b/+2" {
			t.Error(got)
		}
	}), contract.Header{Hook: contract.HookSubscribe, Aux: 2}, map[contract.Slot]string{contract.SlotFilters: string(list)})
	ask(t, look(func(e any) {
		m := e.(*MessageEvent)
		left, ok := m.Expiry()
		if m.Topic() != "t" || string(m.PayloadBytes()) != "p" || m.PayloadSize() != 1 || string(m.PropsBytes()) != "x" || m.QoS() != 1 ||
			!m.Retain() || m.From() != "f" || m.DropReason() != "queue_full" || left != 7*time.Second || !ok {
			t.Error("dropped")
		}
	}), contract.Header{Hook: contract.HookDropped, Flags: contract.FlagRetain | 1, Aux: 1}, map[contract.Slot]string{contract.SlotTopic: "t",
		contract.SlotPayload: "p", contract.SlotProps: "x", contract.SlotFrom: "f", contract.SlotReason: "queue_full", contract.SlotExpiry: "\x07\x00\x00\x00"})
}

func TestInitConfiguresThePlugin(t *testing.T) {
	p := &everything{}
	r := NewRunner(p, nil)
	if err := r.Init([]byte(`{"features":0,"instance":1,"node":"dunlin@n1","config":{"a":[1,2]},"later":null}`)); err != nil {
		t.Fatal(err)
	}
	if p.config != `{"a":[1,2]}` || Node() != "dunlin@n1" {
		t.Errorf("config %q node %q", p.config, Node())
	}
	if err := r.Init([]byte(`{"node":"n"}`)); err != nil || p.config != "{}" {
		t.Errorf("%v, config %q", err, p.config)
	}
	if err := r.Init([]byte(`{"config":{"bad":1}}`)); err == nil || err.Error() != "bad is no key" {
		t.Error(err)
	}
	if err := r.Init([]byte(`[]`)); err == nil {
		t.Error("an array configures the plugin")
	}
	if err := NewRunner(onlyACL{}, nil).Init([]byte(`{}`)); err != nil {
		t.Errorf("a plugin without settings: %v", err)
	}
}

func TestFramesCostNoAllocation(t *testing.T) {
	var w contract.Writer
	for range 63 {
		w.Begin(contract.Header{Hook: contract.HookACL, Flags: contract.FlagPublish})
		w.String(contract.SlotTopic, "allowed")
		w.End()
	}
	w.Begin(contract.Header{Hook: contract.HookACL})
	w.String(contract.SlotTopic, "deny/it")
	w.End()
	r := NewRunner(onlyACL{}, nil)
	if n := testing.AllocsPerRun(100, func() {
		if len(r.Frame(w.Frame(), 64)) != 64*contract.VerdictSize {
			t.Fatal("no block")
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
