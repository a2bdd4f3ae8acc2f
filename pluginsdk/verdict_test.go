//go:build !wasip1

package sdk

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

func ext(t *testing.T, d contract.Verdict, x contract.Ext) string {
	t.Helper()
	b, ok := d.Ext(x)
	if !ok {
		t.Errorf("extension %d is absent", x)
	}
	return string(b)
}

func TestLoginIsEncoded(t *testing.T) {
	perms := []contract.Permission{{Filter: "u/#", Publish: true, Subscribe: true, Allow: true, MaxQoS: 2, Retain: true}}
	d := ask(t, &everything{verdict: Verdict{Action: Continue, Login: &Login{
		Principal: "alice", Tenant: "acme", Attributes: map[string]string{"role": "op"}, Superuser: true,
		Permissions: perms, ExpiresAt: time.Unix(9, 0), Reply: []byte("r"), State: []byte("s"),
	}}}, contract.Header{Hook: contract.HookAuthenticate}, nil)
	got, _ := d.Permissions()
	at, _ := d.Uint64(contract.ExtExpiresAt)
	if d.Action != Continue || d.Flags != contract.VerdictSuperuser || !reflect.DeepEqual(got, perms) || at != 9e9 ||
		!reflect.DeepEqual(d.Attributes(), map[string]string{"role": "op"}) {
		t.Errorf("%+v %v %v %d", d.Action, d.Flags, got, at)
	}
	for x, want := range map[contract.Ext]string{contract.ExtPrincipal: "alice", contract.ExtTenant: "acme", contract.ExtReply: "r", contract.ExtState: "s"} {
		if ext(t, d, x) != want {
			t.Errorf("extension %d", x)
		}
	}
}

// nil permissions leave it to OnACL; an empty list forbids everything.
func TestEmptyPermissionsDifferFromNone(t *testing.T) {
	none := ask(t, &everything{verdict: Verdict{Action: Allow, Login: &Login{}}}, contract.Header{Hook: contract.HookAuthenticate}, nil)
	if _, ok := none.Permissions(); ok {
		t.Error("a list that was not given")
	}
	empty := ask(t, &everything{verdict: Verdict{Action: Allow, Login: &Login{Permissions: []contract.Permission{}}}},
		contract.Header{Hook: contract.HookAuthenticate}, nil)
	if ps, ok := empty.Permissions(); !ok || len(ps) != 0 {
		t.Error("the empty list is lost")
	}
}

func TestConnectChangeIsEncoded(t *testing.T) {
	rm, ka := uint16(20), uint16(30)
	size, exp := uint32(1000), uint32(60)
	d := ask(t, &everything{verdict: Verdict{Throttle: time.Second, Connect: &ConnectChange{ClientID: "c9", ReceiveMax: &rm, PacketSize: &size,
		KeepAlive: &ka, SessionExpiry: &exp, Subscriptions: []Subscription{{"a/%c", 1}, {"b", 6}}}}}, contract.Header{Hook: contract.HookConnect}, nil)
	ms, _ := d.Uint32(contract.ExtThrottle)
	if l, ok := d.Limits(); !ok || l != (contract.Limits{ReceiveMax: 20, PacketSize: 1000, KeepAlive: 30, SessionExpiry: 60}) || ms != 1000 {
		t.Errorf("%+v %d", l, ms)
	}
	if ext(t, d, contract.ExtClientID) != "c9" {
		t.Error("client id")
	}
	if ext(t, d, contract.ExtSubscriptions) != "\x00\x04a/%c\x01\x00\x01b\x06" {
		t.Error("subscriptions")
	}
}

func TestMessageChangeIsEncoded(t *testing.T) {
	topic, payload, props := "new", []byte{}, []byte{1, 1}
	qos, retain, expiry := byte(2), false, uint32(5)
	d := ask(t, &everything{verdict: Verdict{Action: Rewrite, Message: &MessageChange{Topic: &topic, Payload: &payload, Props: &props,
		QoS: &qos, Retain: &retain, Expiry: &expiry},
		Also: []Message{{Topic: "a/b", Payload: []byte("x"), QoS: 1, Retain: true, Expiry: time.Minute, Props: []byte{1, 0}}, {Topic: "c"}}}},
		contract.Header{Hook: contract.HookPublish, Flags: contract.FlagRetain | 1}, nil)
	if ext(t, d, contract.ExtTopic) != "new" || ext(t, d, contract.ExtPayload) != "" || ext(t, d, contract.ExtProps) != "\x01\x01" {
		t.Error("topic, payload or props")
	}
	if f := d.NewFlags(contract.FlagRetain | 1); f.QoS() != 2 || f.Has(contract.FlagRetain) {
		t.Errorf("flags %x", f)
	}
	if v, ok := d.Uint32(contract.ExtExpiry); !ok || v != 5 {
		t.Errorf("expiry %d", v)
	}
	r, rest, err := contract.Split([]byte(ext(t, d, contract.ExtPublishes)))
	if err != nil || contract.Check(rest, 1) != nil {
		t.Fatal(err)
	}
	s, _ := r.Uint32(contract.SlotExpiry)
	if string(r.Slot(contract.SlotTopic)) != "a/b" || r.Flags().QoS() != 1 || !r.Flags().Has(contract.FlagRetain) || r.Aux() != 1 || s != 60 {
		t.Errorf("%+v", r.Header())
	}
}

func TestFilterChangeAndCacheAreEncoded(t *testing.T) {
	filters := contract.AppendSubscription(nil, "t/a", 1)
	d := ask(t, &everything{verdict: Verdict{Action: Rewrite, Filters: &FilterChange{Codes: []byte{1}, Filters: filters}}},
		contract.Header{Hook: contract.HookSubscribe, Aux: 1}, nil)
	if ext(t, d, contract.ExtCodes) != "\x01" || ext(t, d, contract.ExtFilters) != string(filters) {
		t.Error("codes or filters")
	}
	d = ask(t, &everything{verdict: Verdict{Action: Deny, Reason: 0x87, Text: "no", CacheTTL: time.Microsecond, CacheFilter: "a/#"}},
		contract.Header{Hook: contract.HookACL}, nil)
	if d.CacheTTL != 1 || d.Flags.CacheScope() != contract.CacheFilter || ext(t, d, contract.ExtCacheFilter) != "a/#" || d.Text() != "no" || d.Reason != 0x87 {
		t.Errorf("%+v", d)
	}
}

// Verdicts of one frame must not mix up their extensions.
func TestManyVerdictsInOneFrame(t *testing.T) {
	var w contract.Writer
	for i := range 50 {
		w.Begin(contract.Header{Hook: contract.HookPublish, Conn: uint64(i)})
		w.End()
	}
	i := 0
	p := &everything{}
	p.look = func(any) {
		topic := "t/" + string(rune('A'+i))
		p.verdict = Verdict{}
		if i%3 != 0 {
			p.verdict = Verdict{Action: Rewrite, Message: &MessageChange{Topic: &topic}}
		}
		i++
	}
	var v contract.Verdicts
	if err := v.Load(w.Frame(), 50, NewRunner(p, nil).Frame(w.Frame(), 50)); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		topic, ok := v.At(i).Ext(contract.ExtTopic)
		if ok != (i%3 != 0) || ok && string(topic) != "t/"+string(rune('A'+i)) {
			t.Errorf("record %d: %q %v", i, topic, ok)
		}
	}
}

// calls notes host calls and answers them all with one result.
type calls struct {
	got    []contract.HostCall
	result int64
}

func (c *calls) Call(h contract.HostCall) (int64, []byte) {
	h.Data = append([]byte(nil), h.Data...)
	c.got = append(c.got, h)
	return c.result, nil
}

func TestHostCalls(t *testing.T) {
	h := &calls{}
	p := &everything{look: func(e any) {
		switch e := e.(type) {
		case *RetainEvent:
			if e.Topic() == "keep" && e.Keep(time.Nanosecond) != nil || e.Topic() == "remove" && e.Remove() != nil {
				t.Error("an error without a reason")
			}
		case *RetainedReadEvent:
			if err := e.Deliver(); err != nil {
				t.Error(err)
			}
		}
	}}
	r := NewRunner(p, h)
	var w contract.Writer
	for _, topic := range []string{"keep", "remove"} {
		w.Begin(contract.Header{Hook: contract.HookRetainedStore})
		w.String(contract.SlotTopic, topic)
		w.End()
	}
	w.Begin(contract.Header{Hook: contract.HookRetainedRead})
	w.End()
	r.Frame(w.Frame(), 3)
	want := []contract.HostCall{{Call: contract.CallStorePut, Record: 0, Arg: 1}, {Call: contract.CallStoreDel, Record: 1}, {Call: contract.CallStoreDeliver, Record: 2}}
	for i := range want {
		if g := h.got[i]; g.Call != want[i].Call || g.Record != want[i].Record || g.Arg != want[i].Arg {
			t.Errorf("%+v, want %+v", g, want[i])
		}
	}
	h.got, h.result = nil, 3
	if n, err := Kept("a/#"); n != 3 || err != nil || string(h.got[0].Data) != "a/#" {
		t.Error(n, err)
	}
	Log(Warn, "careful")
	AddCounter(7, 1.5)
	SetGauge(8, -2)
	if h.got[1].Arg != 1 || string(h.got[1].Data) != "careful" || h.got[2].Record != 7 || h.got[3].Seq != 1 {
		t.Errorf("%+v", h.got[1:])
	}
	if err := Publish(Message{Topic: "t", QoS: 1}); err != nil {
		t.Error(err)
	}
	if rec, _, err := contract.Split(h.got[4].Data); err != nil || contract.CheckPublish(rec) != nil {
		t.Error(err)
	}
	h.result = int64(contract.ErrnoQuota)
	if err := Publish(Message{Topic: "t"}); err != ErrQuota {
		t.Error(err)
	}
	if _, err := Kept(""); err != ErrQuota {
		t.Error(err)
	}
	NewRunner(p, nil)
	if err := Publish(Message{Topic: "t"}); err != contract.ErrnoInternal {
		t.Errorf("without a host: %v", err)
	}
}

// batch is a plugin that takes messages in batches.
type batch struct {
	took, after int
	err         error
}

func (b *batch) OnMessage(e *MessageEvent) Verdict {
	b.took++
	return Verdict{Also: []Message{{Topic: "on/" + e.Topic()}}}
}

func (b *batch) AfterFrame() error { b.after++; return b.err }

// TestAfterFrame: once a frame, with the last word about all messages in it.
func TestAfterFrame(t *testing.T) {
	p := &batch{}
	r := NewRunner(p, nil)
	var w contract.Writer
	for range 3 {
		w.Begin(contract.Header{Hook: contract.HookMessage})
		w.String(contract.SlotTopic, "t")
		w.End()
	}
	judge := func() (out []Action) {
		t.Helper()
		var vs contract.Verdicts
		if err := vs.Load(w.Frame(), 3, r.Frame(w.Frame(), 3)); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			out = append(out, vs.At(i).Action)
			list, _ := vs.At(i).Ext(contract.ExtPublishes)
			if published := len(list) > 0; published != (p.err == nil) {
				t.Errorf("record %d publishes: %v", i, published)
			}
		}
		return out
	}
	if got := judge(); !slices.Equal(got, []Action{Next, Next, Next}) || p.took != 3 || p.after != 1 {
		t.Errorf("%v, %+v", got, p)
	}
	p.err = errors.New("the disk is full")
	if got := judge(); !slices.Equal(got, []Action{Deny, Deny, Deny}) || p.after != 2 {
		t.Errorf("%v, %+v", got, p)
	}
	var other contract.Writer
	other.Begin(contract.Header{Hook: contract.HookPublish})
	other.End()
	if block := r.Frame(other.Frame(), 1); block != nil || p.after != 3 {
		t.Errorf("a frame without messages is answered %v", block)
	}
}
