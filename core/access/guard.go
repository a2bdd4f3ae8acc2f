package access

import (
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
)

// Guards stand before authentication. Each may be nil.
type Guards struct {
	Bans   *Bans
	Logins *Logins
	// Busy tells that the node has no room for another client.
	Busy func() bool
}

// Guarded returns an Access over the same hook points with guards.
func (a *Access) Guarded(g Guards) *Access { return &Access{hooks: a.hooks, guards: g, about: a.about} }

// Busy tells whether new connections are to be refused with 0x89.
func (a *Access) Busy() bool { return a.guards.Busy != nil && a.guards.Busy() }

// Banned tells whether a ban holds for the client in a zone with the policy.
func (a *Access) Banned(p *Policy, c *hook.Client, now int64) bool {
	if !p.EnableBan {
		return false
	}
	_, banned := a.guards.Bans.Check(c, now)
	return banned
}

// Admit says before authentication whether the client may try: Success, or the
// code of the refusal. now is Unix nanoseconds. A banned client gets 0x8A (3.x:
// 5). An address that has to wait after failed logins gets 0x97 (3.x: 3, server
// unavailable): the refusal passes and says nothing about the login.
func (a *Access) Admit(p *Policy, c *hook.Client, now int64) (code packet.ReasonCode, text string) {
	switch {
	case a.Banned(p, c, now):
		return packet.Banned, "banned"
	case !p.BypassAuth && a.guards.Logins.Refused(c.Peer.Addr(), now):
		return packet.QuotaExceeded, "too many failed logins, try later"
	}
	return packet.Success, ""
}

// Abandoned remembers a login that its client has left before it was judged. It
// counts as a failed one: else who guesses would leave early, and keep those busy that
// compare passwords. now is Unix nanoseconds.
func (a *Access) Abandoned(p *Policy, c *hook.Client, now int64) {
	if !p.BypassAuth {
		a.guards.Logins.Failed(c.Peer.Addr(), packet.BadUserNameOrPassword, now)
	}
}

// Judged remembers how a login ended. now is Unix nanoseconds.
func (a *Access) Judged(p *Policy, e *hook.AuthEvent, now int64) {
	if p.BypassAuth {
		return
	}
	switch e.Verdict {
	case hook.Allow:
		a.guards.Logins.Succeeded(e.Client.Peer.Addr())
	case hook.Deny:
		a.guards.Logins.Failed(e.Client.Peer.Addr(), e.Reason, now)
	}
}
