package access

import (
	"net/netip"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/core/listener"
	"github.com/dunlinmq/dunlin/core/packet"
)

// LoginPolicy says how addresses are slowed from which logins fail.
type LoginPolicy struct {
	Failures int           // so many failures; 0: nobody is slowed
	Window   time.Duration // within this time
	First    time.Duration // refuse the address for this, and for twice as long after each further failure
	Longest  time.Duration // but never for longer
	Exempt   []netip.Prefix
}

// loginLimit is how many addresses are watched at once.
const loginLimit = 1 << 16

// Logins remembers the addresses from which logins fail. Its memory is bounded:
// of more addresses than it watches, those seen longest ago are forgotten. An
// IPv6 address counts as its /64. Safe for concurrent use; nil slows nobody.
type Logins struct {
	mu sync.Mutex
	// Guarded by mu.
	policy LoginPolicy
	from   *recent[netip.Addr, failures]
}

type failures struct {
	since int64         // of the first that counts
	n     int           // failures since
	wait  time.Duration // the last time of refusal; 0: none yet
	until int64         // refused until
}

// NewLogins returns a table for the policy.
func NewLogins(p LoginPolicy) *Logins {
	return &Logins{policy: p, from: newRecent[netip.Addr, failures](loginLimit)}
}

// SetPolicy changes who is slowed from now on. Addresses that have to wait go on
// waiting, unless they are exempt now or nobody is slowed any more.
func (l *Logins) SetPolicy(p LoginPolicy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.policy = p
	if p.Failures <= 0 {
		l.from = newRecent[netip.Addr, failures](loginLimit)
	}
}

// Refused tells whether the address has to wait at now, Unix nanoseconds.
func (l *Logins) Refused(a netip.Addr, now int64) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.from.look(listener.Origin(a))
	return f != nil && now < f.until && !l.exempt(a)
}

// Failed counts a login that was refused with the code. Only what says that the
// client could not prove who it is counts, not that nobody could be asked.
func (l *Logins) Failed(a netip.Addr, code packet.ReasonCode, now int64) {
	if l == nil || !guessed(code) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.policy.Failures <= 0 || l.exempt(a) {
		return
	}
	f := l.from.at(listener.Origin(a))
	if now-f.since > int64(max(l.policy.Window, 2*f.wait)) {
		*f = failures{since: now}
	}
	f.n++
	if f.n < l.policy.Failures {
		return
	}
	f.wait = min(max(2*f.wait, l.policy.First), l.policy.Longest)
	f.since, f.until = now, now+int64(f.wait)
}

func guessed(code packet.ReasonCode) bool {
	return code == packet.BadUserNameOrPassword || code == packet.NotAuthorized || code == packet.BadAuthenticationMethod
}

// exempt tells whether the address is never slowed. mu is held.
func (l *Logins) exempt(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range l.policy.Exempt {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Succeeded forgives an address: whoever can log in from it is no stranger, and
// many clients may share it.
func (l *Logins) Succeeded(a netip.Addr) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from.drop(listener.Origin(a))
}

// Waiting is how many addresses are refused at now.
func (l *Logins) Waiting(now int64) (n int) {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for a, e := range l.from.items {
		if now < e.Value.(*slot[netip.Addr, failures]).value.until && !l.exempt(a) {
			n++
		}
	}
	return n
}
