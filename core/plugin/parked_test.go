package plugin

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// putOff answers every record with Pending, its token counted from 1.
func putOff(token *uint64) *builtinPlugin {
	return &builtinPlugin{on: func(_ *builtinInstance, c *Call) error {
		var w contract.VerdictWriter
		w.Reset(nil, c.N)
		for i := range c.N {
			*token++
			w.Set(i, contract.Pending, 0)
			w.Put(i, contract.ExtPending, contract.AppendPending(nil, *token, 1000))
		}
		c.Guest = 1
		return c.Take(0, c.N, w.Block())
	}}
}

// block is a verdict block of one record.
func block(a contract.Action, reason byte) []byte {
	var w contract.VerdictWriter
	w.Reset(nil, 1)
	w.Set(0, a, reason)
	return w.Block()
}

// waiter is a client that can wait.
type waiter struct {
	*hook.Parking
	woken chan struct{}
}

func newWaiter() *waiter {
	w := &waiter{woken: make(chan struct{}, 100)}
	w.Parking = hook.NewParking(func() { w.woken <- struct{}{} })
	return w
}

// wait waits until all verdicts are there and settles them.
func (w *waiter) wait(t *testing.T) {
	t.Helper()
	select {
	case <-w.woken:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was woken")
	}
	if !w.Settle(time.Now().UnixNano()) {
		t.Fatal("something still waits")
	}
}

// parkedOf are the services that a running plugin's transport has.
func (f *fixture) parkedOf(name string) Parked {
	f.t.Helper()
	p, err := f.loaded(name)
	if err != nil {
		f.t.Fatal(err)
	}
	return p.cur.Load().spec.Services.Parked
}

// Every hook that can wait is decided by what comes later, as if the plugin had
// said it at once.
func TestDecidedLater(t *testing.T) {
	f := newFixture(t)
	var token uint64
	f.add("a", `hook = [ { name = "connect", class = "intercept" }, { name = "authenticate", class = "intercept" },
		{ name = "acl", class = "intercept" }, { name = "subscribe", class = "intercept" }, { name = "publish", class = "intercept" } ]`, putOff(&token))
	f.start("a.\n")
	parked := f.parkedOf("a")
	k := newWaiter()
	c := testClient()

	connect := &hook.ConnectEvent{Client: c, Packet: &packet.Connect{}, Park: k.Parking}
	call(&f.points.ClientConnect, connect)
	auth := &hook.AuthEvent{Client: c, Park: k.Parking}
	call(&f.points.ClientAuthenticate, auth)
	acl := []hook.ACLEvent{{Client: c, Action: hook.Publish, Topic: "a", Park: k.Parking}, {Client: c, Action: hook.Publish, Topic: "b", Park: k.Parking}}
	fold(&f.points.ClientCheckACL, acl)
	sub := &hook.SubscribeEvent{Client: c, Filters: []packet.Filter{{Filter: "x"}}, Codes: make([]packet.ReasonCode, 1), Park: k.Parking}
	call(&f.points.ClientSubscribe, sub)
	pub := []hook.PublishEvent{{Client: c, Msg: msg("t", "p", 1), Park: k.Parking}}
	fold(&f.points.MessagePublish, pub)
	if !k.Waiting() || auth.Verdict != hook.Next || pub[0].Verdict != hook.Next {
		t.Fatalf("waiting %v, verdicts %v %v", k.Waiting(), auth.Verdict, pub[0].Verdict)
	}
	var w contract.VerdictWriter
	w.Reset(nil, 1)
	w.Set(0, contract.Rewrite, 0)
	w.Put(0, contract.ExtPayload, []byte("changed"))
	for i, b := range [][]byte{
		block(contract.Deny, 0x8A), block(contract.Allow, 0), block(contract.Deny, 0), block(contract.Next, 0), block(contract.Deny, 0x97), w.Block(),
	} {
		if err := parked.Resume(1, uint64(i+1), b); err != nil {
			t.Fatalf("token %d: %v", i+1, err)
		}
	}
	k.wait(t)
	if connect.Reason != packet.Banned || auth.Verdict != hook.Allow || acl[0].Verdict != hook.Deny || acl[1].Verdict != hook.Next ||
		sub.Codes[0] != packet.QuotaExceeded || string(pub[0].Msg.Payload) != "changed" {
		t.Errorf("%v %v %v %v %v %q", connect.Reason, auth.Verdict, acl[0].Verdict, acl[1].Verdict, sub.Codes, pub[0].Msg.Payload)
	}
	if n := f.List()[0].Parked; n != 0 {
		t.Errorf("%d events still parked", n)
	}
}

// What a guest may say wrong about a token.
func TestResumeRefuses(t *testing.T) {
	f := newFixture(t)
	var token uint64
	f.add("a", hookLine(contract.HookSubscribe, ""), putOff(&token))
	f.start("a.\n")
	parked, k := f.parkedOf("a"), newWaiter()
	sub := &hook.SubscribeEvent{Client: testClient(), Filters: []packet.Filter{{Filter: "x"}}, Codes: make([]packet.ReasonCode, 1), Park: k.Parking}
	call(&f.points.ClientSubscribe, sub)
	var again, codes contract.VerdictWriter
	again.Reset(nil, 1)
	again.Set(0, contract.Pending, 0)
	again.Put(0, contract.ExtPending, contract.AppendPending(nil, 9, 10))
	codes.Reset(nil, 1)
	codes.Set(0, contract.Rewrite, 0)
	codes.Put(0, contract.ExtCodes, []byte{1, 1}) // one filter was asked for
	for _, c := range []struct {
		guest, token uint64
		block        []byte
		want         contract.Errno
	}{
		{2, 1, block(contract.Allow, 0), contract.ErrnoNotFound},
		{1, 2, block(contract.Allow, 0), contract.ErrnoNotFound},
		{1, 1, nil, contract.ErrnoInvalid},
		{1, 1, block(contract.Drop, 0), contract.ErrnoInvalid},
		{1, 1, block(contract.Deny, 0x01), contract.ErrnoInvalid},
		{1, 1, again.Block(), contract.ErrnoInvalid},
		{1, 1, codes.Block(), contract.ErrnoInvalid},
	} {
		if err := parked.Resume(c.guest, c.token, c.block); !errors.Is(err, c.want) {
			t.Errorf("guest %d token %d: %v, want %v", c.guest, c.token, err, c.want)
		}
	}
	if err := parked.Resume(1, 1, block(contract.Allow, 0)); err != nil {
		t.Error(err)
	}
	if err := parked.Resume(1, 1, block(contract.Allow, 0)); !errors.Is(err, contract.ErrnoNotFound) {
		t.Errorf("a second verdict: %v", err)
	}
	k.wait(t)
}

// A verdict that does not come is a refusal, whatever on_error says.
func TestTooLate(t *testing.T) {
	f := newFixture(t)
	var token uint64
	f.add("a", hookLine(contract.HookPublish, `, on_error = "allow"`), putOff(&token))
	f.start("a.\n")
	k := newWaiter()
	pub := []hook.PublishEvent{{Client: testClient(), Msg: msg("t", "p", 1), Park: k.Parking}}
	fold(&f.points.MessagePublish, pub)
	if k.Settle(time.Now().UnixNano()) {
		t.Fatal("settled at once")
	}
	if !k.Settle(k.Deadline()) || pub[0].Verdict != hook.Deny || pub[0].Reason != packet.UnspecifiedError {
		t.Errorf("verdict %v reason %v", pub[0].Verdict, pub[0].Reason)
	}
	if err := f.parkedOf("a").Resume(1, 1, block(contract.Allow, 0)); !errors.Is(err, contract.ErrnoNotFound) {
		t.Errorf("resumed too late: %v", err)
	}
	if i := f.List()[0]; i.Overdue != 1 || i.Parked != 0 {
		t.Errorf("overdue %d, parked %d", i.Overdue, i.Parked)
	}
}

// An event whose guest is lost is asked again, and fails if that is lost too.
func TestGuestLost(t *testing.T) {
	f := newFixture(t)
	var token uint64
	f.add("a", hookLine(contract.HookPublish, ""), putOff(&token))
	f.start("a.\n")
	parked, k := f.parkedOf("a"), newWaiter()
	pub := []hook.PublishEvent{{Client: testClient(), Msg: msg("t", "p", 1), Park: k.Parking}}
	fold(&f.points.MessagePublish, pub)
	parked.Gone(1)
	<-k.woken
	if k.Settle(time.Now().UnixNano()) || token != 2 {
		t.Fatalf("asked %d times", token)
	}
	parked.Gone(1)
	k.wait(t)
	if token != 2 || pub[0].Verdict != hook.Deny {
		t.Errorf("asked %d times, verdict %v", token, pub[0].Verdict)
	}
	if i := f.List()[0]; i.Failed != 1 {
		t.Errorf("failed %d", i.Failed)
	}
}

// A reload asks the new version; an unload leaves the event to the next plugin.
func TestParkedOverReload(t *testing.T) {
	f := newFixture(t)
	var token uint64
	p := putOff(&token)
	f.add("a", hookLine(contract.HookPublish, ""), p)
	f.start("a.\n")
	k := newWaiter()
	pub := []hook.PublishEvent{{Client: testClient(), Msg: msg("t", "p", 1), Park: k.Parking}}
	fold(&f.points.MessagePublish, pub)
	if err := f.Reload("a"); err != nil {
		t.Fatal(err)
	}
	<-k.woken
	if k.Settle(time.Now().UnixNano()) || token != 2 {
		t.Fatalf("asked %d times", token)
	}
	if err := f.Unload("a"); err != nil {
		t.Fatal(err)
	}
	k.wait(t)
	if pub[0].Verdict != hook.Next || token != 2 {
		t.Errorf("verdict %v after an unload", pub[0].Verdict)
	}
}

// Events that no client waits for, a token used twice, a client that leaves.
func TestPendingOutOfPlace(t *testing.T) {
	f := newFixture(t)
	same := each(func(_ contract.Record, w *contract.VerdictWriter, i int) {
		w.Set(i, contract.Pending, 0)
		w.Put(i, contract.ExtPending, contract.AppendPending(nil, 5, 1000))
	})
	f.add("a", `hook = [ { name = "publish", class = "intercept" }, { name = "acl", class = "intercept" } ]`, same)
	f.start("a.\n")
	pub := []hook.PublishEvent{{Msg: msg("t", "p", 1)}}
	if fold(&f.points.MessagePublish, pub); pub[0].Verdict != hook.Deny {
		t.Errorf("verdict %v for a message of nobody", pub[0].Verdict)
	}
	k := newWaiter()
	pub = []hook.PublishEvent{{Client: testClient(), Msg: msg("t", "p", 1), Park: k.Parking}, {Client: testClient(), Msg: msg("t", "p", 1), Park: k.Parking}}
	if fold(&f.points.MessagePublish, pub); pub[0].Verdict != hook.Deny || pub[1].Verdict != hook.Deny || k.Waiting() {
		t.Errorf("verdicts %v %v with one token, waiting %v", pub[0].Verdict, pub[1].Verdict, k.Waiting())
	}
	pub = pub[:1]
	pub[0].Verdict = hook.Next
	if fold(&f.points.MessagePublish, pub); !k.Waiting() {
		t.Fatal("not parked")
	}
	k.Cancel()
	if i := f.List()[0]; i.Parked != 0 {
		t.Errorf("%d events of a client that is gone", i.Parked)
	}
	if err := f.parkedOf("a").Resume(0, 5, block(contract.Allow, 0)); !errors.Is(err, contract.ErrnoNotFound) {
		t.Errorf("resumed for a client that is gone: %v", err)
	}
}

// The number of events that wait is bounded; one more is refused.
func TestTooManyParked(t *testing.T) {
	f := newFixture(t)
	var token uint64
	f.add("a", hookLine(contract.HookPublish, ""), putOff(&token))
	f.start("a.\n")
	k := newWaiter()
	c := testClient()
	es := make([]hook.PublishEvent, maxParked+1)
	m := &message.Message{Topic: "t"}
	for i := range es {
		es[i] = hook.PublishEvent{Client: c, Msg: m, Park: k.Parking}
	}
	fold(&f.points.MessagePublish, es)
	parked := f.parkedOf("a")
	for i := range maxParked {
		if err := parked.Resume(1, uint64(i+1), block(contract.Next, 0)); err != nil {
			t.Fatal(fmt.Errorf("token %d: %w", i+1, err))
		}
	}
	k.wait(t)
	if es[maxParked-1].Verdict != hook.Next || es[maxParked].Verdict != hook.Deny {
		t.Errorf("verdicts %v and %v", es[maxParked-1].Verdict, es[maxParked].Verdict)
	}
}
