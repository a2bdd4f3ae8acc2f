package channel_test

import (
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
)

// clerk is a plugin that decides later: each event leaves a ticket with it.
type clerk struct {
	w     *world
	slips []*slip
}

type slip struct {
	park   *hook.Parking
	until  int64
	apply  func() // nil: not decided
	refuse func()
	gone   bool
}

func (s *slip) Deadline() int64 { return s.until }
func (s *slip) Cancel()         { s.gone = true }
func (s *slip) Settle(now int64) bool {
	switch {
	case s.apply != nil:
		s.apply()
	case now >= s.until:
		s.refuse()
	default:
		return false
	}
	return true
}

func (k *clerk) take(park *hook.Parking, refuse func()) {
	s := &slip{park: park, until: k.w.now + int64(5*time.Second), refuse: refuse}
	k.slips = append(k.slips, s)
	park.Hold(s)
}

// decide lets the oldest slip become apply.
func (k *clerk) decide(apply func()) {
	s := k.slips[0]
	k.slips = k.slips[1:]
	s.apply = apply
	s.park.Done()
}

// run runs commands and returns what they showed.
func (w *world) script(t *testing.T, lines ...string) string {
	t.Helper()
	var b strings.Builder
	for _, line := range lines {
		got, err := w.do(line)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(got)
	}
	return b.String()
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}

const connack = " < connack recvmax=100 retainavailable=0 maxpacket=1048576 aliasmax=10\n"

// TestConnectWaits: CONNECT and login wait one after the other; nothing that
// follows is looked at meanwhile, not even by the idle timeout.
func TestConnectWaits(t *testing.T) {
	w := newWorld()
	k := &clerk{w: w}
	var connect *hook.ConnectEvent
	var auth *hook.AuthEvent
	w.env.Hooks.ClientConnect.Add(hookSpec, func(e *hook.ConnectEvent) {
		connect = e
		k.take(e.Park, func() { e.Reason = packet.ServerUnavailable })
	})
	w.env.Hooks.ClientAuthenticate.Add(hookSpec, func(e *hook.AuthEvent) {
		auth = e
		k.take(e.Park, func() { e.Verdict, e.Reason = hook.Deny, packet.ServerUnavailable })
	})
	expect(t, "connect", w.script(t, "a connect id=a + ping"), "")
	w.advance(4 * time.Second)
	k.decide(func() { connect.Client.ID = "b" })
	expect(t, "after the connect hook", w.shown(), "")
	w.advance(4 * time.Second)
	if len(k.slips) != 1 || auth.Client.ID != "b" {
		t.Fatalf("%d slips, client %q", len(k.slips), auth.Client.ID)
	}
	k.decide(func() { auth.Verdict = hook.Allow })
	expect(t, "after the login", w.shown(), "a"+connack+"a < pingresp\n")
	if w.env.Registry.Lookup("b") == nil {
		t.Error("the client id was not taken over")
	}
	expect(t, "refused", w.script(t, "c connect id=c", "advance 5s"), "c < connack code=0x88\nc closed\n")
	d := w.script(t, "d connect id=d")
	k.slips = k.slips[len(k.slips)-1:]
	s := k.slips[0]
	expect(t, "lost", d+w.script(t, "d lost"), "d closed\n")
	if !s.gone {
		t.Error("the ticket of a lost client was not cancelled")
	}
}

// TestLeavingIsFailing: a client that leaves before its login was judged has failed as
// often as one that was refused; one whose server stops has not.
func TestLeavingIsFailing(t *testing.T) {
	for _, end := range []error{io.EOF, channel.ErrServerShutdown} {
		w := newWorld()
		logins := access.NewLogins(access.LoginPolicy{Failures: 2, Window: time.Hour, First: time.Hour, Longest: time.Hour})
		w.env.Access = w.env.Access.Guarded(access.Guards{Logins: logins})
		k := &clerk{w: w}
		var from netip.Addr
		w.env.Hooks.ClientAuthenticate.Add(hookSpec, func(e *hook.AuthEvent) {
			from = e.Client.Peer.Addr()
			k.take(e.Park, func() {})
		})
		for n, name := range []string{"a", "b"} {
			w.script(t, name+" connect id="+name)
			l := w.links[n]
			l.turn(func(i *channel.IO) { l.m.Lost(i, end) })
			if got, want := logins.Refused(from, w.now), n == 1 && end == io.EOF; got != want {
				t.Errorf("%v: after %s refused is %v", end, name, got)
			}
		}
	}
}

// TestPublishWaits: what one read brought waits together, keeps its order, and is
// acknowledged when all verdicts are there; what follows waits behind it.
func TestPublishWaits(t *testing.T) {
	w := newWorld()
	k := &clerk{w: w}
	w.env.Hooks.ClientCheckACL.Add(hook.Spec{Order: 1}, func(es []hook.ACLEvent) {
		for i := range es {
			if e := &es[i]; strings.HasPrefix(e.Topic, "ask/") && e.Action == hook.Publish {
				k.take(e.Park, func() { e.Verdict = hook.Deny })
			}
		}
	})
	w.env.Hooks.MessagePublish.Add(hook.Spec{Order: 1}, func(es []hook.PublishEvent) {
		for i := range es {
			if e := &es[i]; strings.HasSuffix(e.Msg.Topic, "/later") && e.Verdict == hook.Next {
				k.take(e.Park, func() { e.Verdict, e.Reason = hook.Deny, packet.QuotaExceeded })
			}
		}
	})
	asked := 0
	w.env.Hooks.MessagePublish.Add(hook.Spec{Order: 2}, func(es []hook.PublishEvent) { asked += len(es) })
	w.script(t, "s connect id=s", "s subscribe id=1 f=#:0", "a connect id=a keep=2")
	got := w.script(t, "a publish t=one p=1 q=1 id=1 + publish t=ask/later p=2 q=2 id=2 + publish t=three p=3 q=1 id=3 + ping", "a publish t=four p=4 q=1 id=4")
	expect(t, "while the acl waits", got, "")
	expect(t, "others are not held up", w.script(t, "broker t=sys p=x"), "s < publish t=sys p=x\n")
	w.advance(4 * time.Second) // longer than the keep alive
	k.decide(func() {})
	expect(t, "while the publish waits", w.shown(), "")
	w.advance(4 * time.Second)
	k.decide(func() {})
	expect(t, "at last", w.shown(), `s < publish t=one p=1
s < publish t=ask/later p=2
s < publish t=three p=3
s < publish t=four p=4
a < puback id=1
a < pubrec id=2
a < puback id=3
a < pingresp
a < puback id=4
`)
	if asked != 5 { // the broker's own one too
		t.Errorf("the plugin behind was asked about %d messages", asked)
	}
	expect(t, "refused in time", w.script(t, "a publish t=ask/x q=1 id=5", "advance 5s"), "a < puback id=5 code=0x87\n")
}

// TestWaitIsForgone: a QoS 2 message that was not taken when its connection ended
// is a new message when it is sent again, not a duplicate.
func TestWaitIsForgone(t *testing.T) {
	w := newWorld()
	k := &clerk{w: w}
	hold := true
	w.env.Hooks.MessagePublish.Add(hookSpec, func(es []hook.PublishEvent) {
		if hold && es[0].Client != nil {
			k.take(es[0].Park, func() {})
		}
	})
	w.script(t, "s connect id=s", "s subscribe id=1 f=#:0", "a connect id=a expiry=100")
	expect(t, "held", w.script(t, "a publish t=x p=1 q=2 id=7", "a lost"), "a closed\n")
	hold = false
	got := w.script(t, "a connect id=a resume expiry=100", "a publish t=x p=1 q=2 id=7 dup")
	if !strings.HasSuffix(got, "s < publish t=x p=1\na < pubrec id=7\n") {
		t.Errorf("sent again: %s", got)
	}
}

// TestKickedWhileWaiting: an operator's word reaches a client that waits.
func TestKickedWhileWaiting(t *testing.T) {
	w := newWorld()
	k := &clerk{w: w}
	w.env.Hooks.MessagePublish.Add(hookSpec, func(es []hook.PublishEvent) { k.take(es[0].Park, func() {}) })
	w.script(t, "a connect id=a")
	expect(t, "kicked", w.script(t, "a publish t=x q=1 id=7", "kick a"), "a < disconnect code=0x98\na closed\n")
	if !k.slips[0].gone {
		t.Error("the ticket was not cancelled")
	}
}

// TestSubscribeWaits: hook and acl may wait; the reason of a refusal is passed on.
func TestSubscribeWaits(t *testing.T) {
	w := newWorld()
	k := &clerk{w: w}
	var sub *hook.SubscribeEvent
	w.env.Hooks.ClientSubscribe.Add(hookSpec, func(e *hook.SubscribeEvent) {
		sub = e
		k.take(e.Park, func() { e.Codes[0] = packet.UnspecifiedError })
	})
	w.env.Hooks.ClientCheckACL.Add(hookSpec, func(es []hook.ACLEvent) {
		e := &es[len(es)-1]
		k.take(e.Park, func() { e.Verdict, e.Text = hook.Deny, "too late" })
	})
	w.script(t, "a connect id=a")
	expect(t, "held", w.script(t, "a subscribe id=1 f=x:1 f=y:2 + ping"), "")
	k.decide(func() { sub.Filters[0].QoS = 0 })
	expect(t, "the acl waits", w.shown(), "")
	expect(t, "answered", w.script(t, "advance 5s"), "a < suback id=1 codes=0087 reason=too late\na < pingresp\n")
}

// TestThrottle: a plugin may slow a client down; it is not silent meanwhile.
func TestThrottle(t *testing.T) {
	w := newWorld()
	w.env.Hooks.ClientConnect.Add(hookSpec, func(e *hook.ConnectEvent) {
		if e.Client.ID == "slow" {
			e.Throttle = 20 * time.Second
		}
	})
	w.env.Hooks.MessagePublish.Add(hookSpec, func(es []hook.PublishEvent) {
		if es[0].Msg.Topic == "flood" {
			es[0].Throttle = 10 * time.Second
		}
	})
	expect(t, "connect", w.script(t, "slow connect id=slow keep=5 + ping", "advance 19s"), "slow"+connack)
	expect(t, "then read", w.script(t, "advance 2s"), "slow < pingresp\n")
	w.script(t, "slow disconnect", "a connect id=a keep=4")
	expect(t, "publish", w.script(t, "a publish t=flood q=1 id=1 + ping", "advance 9s"), "a < puback id=1 code=0x10\n")
	expect(t, "then read", w.script(t, "advance 2s"), "a < pingresp\n")
}
