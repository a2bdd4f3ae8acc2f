package access_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
)

// flapper leads a detector by the hand: 3 disconnections in a minute ban for 5.
type flapper struct {
	f    *access.Flapping
	bans *access.Bans
	now  time.Time
}

func newFlapper(t *testing.T) *flapper {
	bans := openBans(t, access.BansConfig{})
	policy := func(zone string) *access.FlapPolicy {
		if zone != "watched" {
			return nil
		}
		return &access.FlapPolicy{Count: 3, Window: time.Minute, Ban: 5 * time.Minute}
	}
	return &flapper{f: access.NewFlapping(policy, bans, zap.NewNop()), bans: bans, now: time.Now()}
}

func (f *flapper) leaves(zone, id string, reason packet.ReasonCode, after time.Duration) bool {
	f.now = f.now.Add(after)
	c := named(id, "", "192.0.2.1:1")
	c.Zone = zone
	f.f.Disconnected(&hook.ConnectionEvent{Client: c, At: f.now, Reason: reason})
	_, banned := f.bans.Check(c, f.now.UnixNano())
	return banned
}

func TestFlapping(t *testing.T) {
	f := newFlapper(t)
	const gone = packet.UnspecifiedError
	for i, want := range []bool{false, false, true} {
		if got := f.leaves("watched", "c", gone, 10*time.Second); got != want {
			t.Errorf("disconnection %d: banned %v, want %v", i+1, got, want)
		}
	}
	list := f.bans.List()
	if len(list) != 1 || list[0].By != access.FlappingDetector || list[0].Until.Sub(list[0].At) != 5*time.Minute {
		t.Errorf("bans %+v", list)
	}
	for i := range 10 {
		if f.leaves("watched", "slow", gone, 31*time.Second) {
			t.Errorf("banned after %d slow disconnections", i+1)
		}
		if f.leaves("other", "unwatched", gone, 0) {
			t.Error("banned in a zone that is not watched")
		}
		if f.leaves("watched", "kicked", packet.AdministrativeAction, 0) || f.leaves("watched", "stopped", packet.ServerShuttingDown, 0) {
			t.Error("banned for what the server did")
		}
	}
}

// Of more clients than it can watch it forgets some; it neither grows nor bans
// the wrong ones.
func TestFlappingIsBounded(t *testing.T) {
	f := newFlapper(t)
	for round := range 2 {
		for i := range 70_000 {
			if f.leaves("watched", fmt.Sprint("c", i), 0, 0) {
				t.Fatalf("round %d: client %d is banned after %d disconnections", round, i, round+1)
			}
		}
	}
	if f.leaves("watched", "c0", 0, 0) {
		t.Error("the counter of the first client was not forgotten")
	}
	if f.leaves("watched", "c69999", 0, 0); !f.leaves("watched", "c69999", 0, 0) {
		t.Error("the counter of the last client was forgotten")
	}
}

func loginPolicy() access.LoginPolicy {
	return access.LoginPolicy{Failures: 3, Window: time.Minute, First: time.Second, Longest: 4 * time.Second,
		Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
}

func TestFailedLoginsSlowAnAddress(t *testing.T) {
	l := access.NewLogins(loginPolicy())
	a := netip.MustParseAddr("192.0.2.1")
	now := time.Now().UnixNano()
	fail := func() { l.Failed(a, packet.BadUserNameOrPassword, now) }
	fail()
	fail()
	if l.Refused(a, now) {
		t.Fatal("refused after 2 failures")
	}
	for _, want := range []time.Duration{1, 2, 4, 4} {
		fail()
		want *= time.Second
		if !l.Refused(a, now) || !l.Refused(a, now+int64(want)-1) || l.Refused(a, now+int64(want)) {
			t.Errorf("not refused for exactly %v", want)
		}
		if l.Waiting(now) != 1 || l.Waiting(now+int64(want)) != 0 {
			t.Errorf("%d addresses wait", l.Waiting(now))
		}
		now += int64(want)
	}
	if l.Refused(netip.MustParseAddr("192.0.2.2"), now) {
		t.Error("another address is refused")
	}
	now += int64(2 * time.Minute)
	fail()
	if l.Refused(a, now) {
		t.Error("old failures count")
	}
}

func TestWhatIsNoFailedLogin(t *testing.T) {
	l := access.NewLogins(loginPolicy())
	now := time.Now().UnixNano()
	tries := func(addr string, code packet.ReasonCode) bool {
		a := netip.MustParseAddr(addr)
		for range 10 {
			l.Failed(a, code, now)
		}
		return l.Refused(a, now)
	}
	if tries("127.0.0.1", packet.BadUserNameOrPassword) || tries("::1", packet.BadUserNameOrPassword) || tries("::ffff:127.0.0.9", packet.NotAuthorized) {
		t.Error("an exempt address is refused")
	}
	for _, code := range []packet.ReasonCode{packet.ServerUnavailable, packet.ServerBusy, packet.UnspecifiedError, packet.Banned} {
		if tries("192.0.2.1", code) {
			t.Errorf("%v counts as a failed login", code)
		}
	}
	if !tries("2001:db8::1", packet.NotAuthorized) || !l.Refused(netip.MustParseAddr("2001:db8::2"), now) || l.Refused(netip.MustParseAddr("2001:db8:0:1::1"), now) {
		t.Error("an IPv6 address must count as its /64")
	}
	l.Succeeded(netip.MustParseAddr("2001:db8::3"))
	if l.Refused(netip.MustParseAddr("2001:db8::1"), now) {
		t.Error("a success does not forgive")
	}
}

// Strangers with many addresses cannot make the table grow.
func TestLoginsAreBounded(t *testing.T) {
	l := access.NewLogins(loginPolicy())
	now := time.Now().UnixNano()
	a := netip.MustParseAddr("10.0.0.0")
	first := a
	for range 70_000 {
		for range 3 {
			l.Failed(a, packet.NotAuthorized, now)
		}
		a = a.Next()
	}
	if n := l.Waiting(now); n != 1<<16 {
		t.Errorf("%d addresses are remembered", n)
	}
	if l.Refused(first, now) || !l.Refused(a.Prev(), now) {
		t.Error("the oldest must go first")
	}
}

func TestNoLoginPolicySlowsNobody(t *testing.T) {
	l := access.NewLogins(access.LoginPolicy{})
	a := netip.MustParseAddr("192.0.2.1")
	for range 1000 {
		l.Failed(a, packet.NotAuthorized, 1)
	}
	l.Succeeded(a)
	if l.Refused(a, 1) || l.Waiting(1) != 0 {
		t.Error("somebody is slowed")
	}
	var none *access.Logins
	none.Failed(a, packet.NotAuthorized, 1)
	none.Succeeded(a)
	if none.Refused(a, 1) || none.Waiting(1) != 0 {
		t.Error("somebody is slowed by no table")
	}
}

// A new policy holds at once, and forgives only whom it exempts.
func TestLoginPolicyChanges(t *testing.T) {
	l := access.NewLogins(access.LoginPolicy{})
	a, b, now := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), time.Now().UnixNano()
	fail := func(a netip.Addr) {
		for range 3 {
			l.Failed(a, packet.NotAuthorized, now)
		}
	}
	fail(a)
	l.SetPolicy(loginPolicy())
	if l.Refused(a, now) {
		t.Error("failures count that nobody wanted to count")
	}
	fail(a)
	fail(b)
	p := loginPolicy()
	p.Exempt = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
	l.SetPolicy(p)
	if l.Refused(a, now) || !l.Refused(b, now) || l.Waiting(now) != 1 {
		t.Errorf("a waits %v, b waits %v, %d wait", l.Refused(a, now), l.Refused(b, now), l.Waiting(now))
	}
	l.SetPolicy(access.LoginPolicy{})
	if l.Refused(b, now) || l.Waiting(now) != 0 {
		t.Error("somebody is slowed by no policy")
	}
}

func TestGuards(t *testing.T) {
	bans := openBans(t, access.BansConfig{})
	if err := bans.Add(access.Ban{As: access.BanClientID, Who: "bad"}); err != nil {
		t.Fatal(err)
	}
	busy := false
	a := access.New(new(hook.Points)).Guarded(access.Guards{
		Bans: bans, Logins: access.NewLogins(loginPolicy()), Busy: func() bool { return busy },
	})
	on, trusted := &access.Policy{EnableBan: true}, &access.Policy{BypassAuth: true}
	good, bad := named("good", "", "192.0.2.1:1"), named("bad", "", "192.0.2.9:1")
	admit := func(p *access.Policy, c *hook.Client) packet.ReasonCode {
		code, text := a.Admit(p, c, 1)
		if (code == packet.Success) != (text == "") {
			t.Errorf("code %v, text %q", code, text)
		}
		return code
	}
	if admit(on, good) != packet.Success || admit(on, bad) != packet.Banned || admit(trusted, bad) != packet.Success {
		t.Error("bans hold where enable_ban is on, and only there")
	}
	for range 3 {
		a.Judged(on, &hook.AuthEvent{Client: good, Verdict: hook.Deny, Reason: packet.NotAuthorized}, 1)
	}
	if admit(on, good) != packet.QuotaExceeded || admit(trusted, good) != packet.Success {
		t.Error("failed logins slow where logins are asked for, and only there")
	}
	a.Judged(trusted, &hook.AuthEvent{Client: good, Verdict: hook.Allow}, 1)
	if admit(on, good) != packet.QuotaExceeded {
		t.Error("who needs no login has not logged in")
	}
	a.Judged(on, &hook.AuthEvent{Client: good, Verdict: hook.Allow}, 1)
	if admit(on, good) != packet.Success {
		t.Error("a success does not forgive")
	}
	if a.Busy() {
		t.Error("busy")
	}
	if busy = true; !a.Busy() || access.New(new(hook.Points)).Busy() {
		t.Error("Busy does not say what the guard says")
	}
	if code, _ := access.New(new(hook.Points)).Admit(on, bad, 1); code != packet.Success {
		t.Error("an Access without guards refuses")
	}
}
