package plugin

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

func testClient() *hook.Client {
	return &hook.Client{
		ID: "c1", Username: "u1", HasUsername: true, Peer: netip.MustParseAddrPort("192.0.2.1:5000"), Listener: "tcp:external",
		Zone: "external", Protocol: packet.V50, KeepAlive: 60, Conn: 7, Principal: "p1", Expiry: 30, ConnectedAt: time.Unix(1, 0),
	}
}

func fold[E any](p *hook.Point[hook.InterceptMany[E]], es []E) {
	for _, f := range p.Chain() {
		f(es)
	}
}

func call[E any](p *hook.Point[hook.Intercept[E]], e *E) {
	for _, f := range p.Chain() {
		f(e)
	}
}

// One frame carries all PUBLISHes of one socket read that are in scope, and
// each gets its own verdict.
func TestPublishVerdicts(t *testing.T) {
	f := newFixture(t)
	var frames, records int
	p := each(func(r contract.Record, w *contract.VerdictWriter, i int) {
		records++
		switch string(r.Slot(contract.SlotPayload)) {
		case "deny":
			w.Set(i, contract.Deny, 0x97)
		case "deny0":
			w.Set(i, contract.Deny, 0)
		case "drop":
			w.Set(i, contract.Drop, 0)
		case "rewrite":
			w.Set(i, contract.Rewrite, 0)
			w.Put(i, contract.ExtTopic, []byte("s/new"))
			w.Put(i, contract.ExtPayload, []byte("changed"))
			w.Put(i, contract.ExtProps, packet.AppendStringProp(nil, packet.PropContentType, "x"))
			w.PutUint32(i, contract.ExtExpiry, 10)
			w.PutFlags(i, contract.FlagQoS|contract.FlagRetain, contract.FlagRetain.WithQoS(2))
		case "also":
			var more contract.Writer
			more.Begin(contract.Header{Hook: contract.HookPublish, Flags: contract.Flags(0).WithQoS(1)})
			more.String(contract.SlotTopic, "more")
			more.String(contract.SlotPayload, "m")
			more.End()
			w.Put(i, contract.ExtPublishes, more.Frame())
		}
	})
	on := p.on
	p.on = func(i *builtinInstance, c *Call) error { frames++; return on(i, c) }
	f.add("pub", hookLine(contract.HookPublish, `, filters = ["s/#"]`), p)
	f.start("{pub, true}.\n")

	c := testClient()
	payloads := []string{"pass", "deny", "deny0", "drop", "rewrite", "also"}
	var es []hook.PublishEvent
	for _, s := range payloads {
		es = append(es, hook.PublishEvent{Client: c, Msg: msg("s/a", s, 1)})
	}
	es = append(es, hook.PublishEvent{Client: c, Msg: msg("other", "deny", 1)})
	es = append(es, hook.PublishEvent{Client: c, Msg: msg("s/a", "deny", 1), Verdict: hook.Drop})
	before := es[4].Msg
	fold(&f.points.MessagePublish, es)

	if frames != 1 || records != len(payloads) {
		t.Errorf("%d frames with %d records, want 1 with %d", frames, records, len(payloads))
	}
	verdicts := []hook.Verdict{hook.Next, hook.Deny, hook.Deny, hook.Drop, hook.Next, hook.Next, hook.Next, hook.Drop}
	reasons := []packet.ReasonCode{0, packet.QuotaExceeded, packet.NotAuthorized, 0, 0, 0, 0, 0}
	for i := range es {
		if es[i].Verdict != verdicts[i] || es[i].Reason != reasons[i] {
			t.Errorf("event %d: verdict %d reason %v", i, es[i].Verdict, es[i].Reason)
		}
	}
	m := es[4].Msg
	if m == before || before.Topic != "s/a" || string(before.Payload) != "rewrite" {
		t.Error("the message itself was changed")
	}
	if m.Topic != "s/new" || string(m.Payload) != "changed" || m.QoS != 2 || !m.Retain || m.Expiry == 0 || !m.Props.Has(packet.PropContentType) {
		t.Errorf("rewritten to %+v", m)
	}
	if len(es[5].Also) != 1 {
		t.Fatalf("also %v", es[5].Also)
	}
	if a := es[5].Also[0]; a.Topic != "more" || a.Origin != message.OriginPlugin || a.From != "pub" || a.Hops != 1 || a.QoS != 1 {
		t.Errorf("also %+v", a)
	}
}

// What a plugin is told of a message and of its publisher.
func TestPublishRecord(t *testing.T) {
	f := newFixture(t)
	got := map[string]string{}
	var head contract.Header
	p := each(func(r contract.Record, _ *contract.VerdictWriter, _ int) {
		head = r.Header()
		for s, name := range r.Hook().Slots() {
			if b, ok := r.Lookup(contract.Slot(s)); ok {
				got[name] = string(b)
			}
		}
	})
	f.add("pub", hookLine(contract.HookPublish, `, max_payload = 3, fields = ["client_id", "username", "peer", "listener", "topic", "payload", "expiry", "from"]`), p)
	f.start("pub.\n")
	m := msg("a/b", "payload", 2)
	m.Retain, m.Time, m.Hops, m.Expiry = true, 42, 2, time.Now().Add(time.Hour).UnixNano()
	fold(&f.points.MessagePublish, []hook.PublishEvent{{Client: testClient(), Msg: m}})
	want := map[string]string{
		"client_id": "c1", "username": "u1", "peer": "192.0.2.1:5000", "listener": "tcp:external",
		"topic": "a/b", "payload": "pay", "from": "c1", "expiry": "\x10\x0e\x00\x00",
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s = %q, want %q", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("slots that were not asked for: %v", got)
	}
	if fl := head.Flags; fl.QoS() != 2 || !fl.Has(contract.FlagRetain|contract.FlagPayloadCut) || fl.Version() != 5 || fl.Hops() != 2 || fl.Origin() != contract.OriginClient {
		t.Errorf("flags %x", fl)
	}
	if head.Conn != 7 || head.Time != 42 || head.Aux != 7 || head.Hook != contract.HookPublish {
		t.Errorf("header %+v", head)
	}
}

// A plugin's own messages do not meet its own hooks.
func TestPublishSkipsOwn(t *testing.T) {
	f := newFixture(t)
	f.add("a", hookLine(contract.HookPublish, ""), always(contract.Drop, 0))
	f.start("a.\n")
	own := msg("t", "", 0)
	own.Origin, own.From = message.OriginPlugin, "a"
	other := msg("t", "", 0)
	other.Origin, other.From = message.OriginPlugin, "b"
	es := []hook.PublishEvent{{Msg: own}, {Msg: other}}
	fold(&f.points.MessagePublish, es)
	if es[0].Verdict != hook.Next || es[1].Verdict != hook.Drop {
		t.Errorf("verdicts %d %d", es[0].Verdict, es[1].Verdict)
	}
}

// Frames keep to the transport's number of records and to MaxFrameBytes.
func TestFrameLimits(t *testing.T) {
	f := newFixture(t)
	f.transport.max = 64
	var sizes []int
	p := always(contract.Drop, 0)
	on := p.on
	p.on = func(i *builtinInstance, c *Call) error {
		sizes = append(sizes, c.N)
		if c.N > 1 && len(c.Frame) > contract.MaxFrameBytes {
			t.Errorf("frame of %d bytes", len(c.Frame))
		}
		return on(i, c)
	}
	f.add("a", hookLine(contract.HookPublish, ""), p)
	f.start("a.\n")
	es := make([]hook.PublishEvent, 150)
	for i := range es {
		es[i].Msg = msg("t", "", 0)
	}
	big := string(make([]byte, 200<<10))
	es = append(es, hook.PublishEvent{Msg: msg("t", big, 0)}, hook.PublishEvent{Msg: msg("t", big, 0)})
	fold(&f.points.MessagePublish, es)
	for i := range es {
		if es[i].Verdict != hook.Drop {
			t.Fatalf("event %d was not asked about", i)
		}
	}
	if len(sizes) != 4 || sizes[0] != 64 || sizes[1] != 64 || sizes[2] != 23 || sizes[3] != 1 {
		t.Errorf("frames of %v records", sizes)
	}
}

func TestPublishAllocatesNothing(t *testing.T) {
	f := newFixture(t)
	block := make([]byte, 8*contract.VerdictSize)
	f.add("a", hookLine(contract.HookPublish, ""), &builtinPlugin{on: func(_ *builtinInstance, c *Call) error { return c.Take(0, c.N, block) }})
	f.start("a.\n")
	es := make([]hook.PublishEvent, 8)
	for i := range es {
		es[i] = hook.PublishEvent{Client: testClient(), Msg: msg("t/a", "payload", 1)}
	}
	if n := testing.AllocsPerRun(1000, func() { fold(&f.points.MessagePublish, es) }); n > 0 && !raced {
		t.Errorf("%v allocations for a call of 8 records", n)
	}
}

// Chain order is the order of loaded_plugins; each sees what the one before made.
func TestChainOrder(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"x", "y", "z"} {
		f.add(name, hookLine(contract.HookPublish, ""), each(func(r contract.Record, w *contract.VerdictWriter, i int) {
			w.Set(i, contract.Rewrite, 0)
			w.Put(i, contract.ExtPayload, append(append([]byte(nil), r.Slot(contract.SlotPayload)...), name...))
		}))
	}
	f.start("{z, true}.\n{y, false}.\n{x, true}.\n")
	run := func() string {
		es := []hook.PublishEvent{{Msg: msg("t", "", 0)}}
		fold(&f.points.MessagePublish, es)
		return string(es[0].Msg.Payload)
	}
	if got := run(); got != "zx" {
		t.Errorf("chain %q, want zx", got)
	}
	if err := f.Load("y"); err != nil { // between the running ones, where the file has it
		t.Fatal(err)
	}
	if got := run(); got != "zyx" {
		t.Errorf("after load: chain %q, want zyx", got)
	}
	if err := f.Unload("z"); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload("x"); err != nil {
		t.Fatal(err)
	}
	if got := run(); got != "yx" {
		t.Errorf("after unload: chain %q, want yx", got)
	}
}

func TestDeliver(t *testing.T) {
	f := newFixture(t)
	f.add("a", hookLine(contract.HookDeliver, `, filters = ["s/+"]`), each(func(r contract.Record, w *contract.VerdictWriter, i int) {
		if string(r.Slot(contract.SlotPayload)) == "drop" {
			w.Set(i, contract.Drop, 0)
			return
		}
		w.Set(i, contract.Rewrite, 0)
		w.Put(i, contract.ExtPayload, []byte("new"))
	}))
	f.start("a.\n")
	es := []hook.DeliverEvent{{Client: testClient(), Msg: msg("s/1", "drop", 0)}, {Client: testClient(), Msg: msg("s/2", "x", 0)}, {Client: testClient(), Msg: msg("t", "drop", 0)}}
	fold(&f.points.MessageDeliver, es)
	if es[0].Verdict != hook.Drop || string(es[1].Msg.Payload) != "new" || es[2].Verdict != hook.Next {
		t.Errorf("%+v", es)
	}
}

var errBoom = errors.New("boom")
