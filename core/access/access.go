// Package access answers yes or no for connect, publish and subscribe: bans,
// login back-off, authentication chain, permission lists, verdict cache, acl
// chain, default. It owns the banned list and counts flapping and failed logins.
// It refuses to know packets, sessions and sockets.
package access

import (
	"slices"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/topic"
)

// Policy is what a zone says about access (emqx4 §2.2).
type Policy struct {
	Anonymous  Anonymous
	BypassAuth bool // bypass_auth_plugins: nobody asks the authentication chain
	EnableACL  bool // enable_acl; off: every publish and subscribe is allowed
	NoMatch    bool // acl_nomatch: what holds when nobody decides; true: allow
	EnableBan  bool // enable_ban: bans hold here
}

// Anonymous says which clients may connect without a decision of an
// authentication plugin.
type Anonymous byte

// The values of allow_anonymous.
const (
	// AnonymousLoopback accepts clients from this machine until an
	// authentication plugin is loaded. The default.
	AnonymousLoopback Anonymous = iota
	AnonymousAllow
	AnonymousDeny
)

// Access decides by its guards and by the plugins bound to the hook points. It
// has no state of its own; the verdict cache belongs to each client's channel.
type Access struct {
	hooks  *hook.Points
	guards Guards
	about  *subjects
}

// New returns an Access over the hook points.
func New(hooks *hook.Points) *Access { return &Access{hooks: hooks, about: &subjects{}} }

// Authenticate asks the chain who the client is; e carries the answer. The
// first callback that does not answer Next decides. When nobody does, a client
// is refused as soon as any authentication plugin is loaded, unless the zone
// allows anonymous clients by name: fail closed. True: a callback decides later;
// call it again with e when e.Park is settled.
func (a *Access) Authenticate(p *Policy, e *hook.AuthEvent) (waits bool) {
	loaded := a.hooks.ClientAuthenticate.Chain() != nil && !p.BypassAuth
	if !p.BypassAuth {
		waits = a.hooks.ClientAuthenticate.Walk(e.Park, func(ask hook.Intercept[hook.AuthEvent]) bool {
			if e.Verdict == hook.Next {
				ask(e)
			}
			return e.Verdict == hook.Next
		})
	}
	if !waits && e.Verdict == hook.Next {
		undecided(p, e, loaded)
	}
	return waits
}

// undecided is the answer when no plugin has one.
func undecided(p *Policy, e *hook.AuthEvent, loaded bool) {
	switch {
	case e.Method != "":
		e.Verdict, e.Reason = hook.Deny, packet.BadAuthenticationMethod
	case p.BypassAuth, p.Anonymous == AnonymousAllow, p.Anonymous == AnonymousLoopback && !loaded && e.Client.Loopback():
		e.Verdict, e.Anonymous = hook.Allow, true
	case e.Client.HasUsername:
		e.Verdict, e.Reason = hook.Deny, packet.BadUserNameOrPassword
	default:
		e.Verdict, e.Reason = hook.Deny, packet.NotAuthorized
	}
}

// Check decides es, which all belong to one client: each Verdict becomes Allow
// or Deny. cache may be nil. now is Unix nanoseconds. The acl chain is asked
// once for all that neither a permission list nor the cache decides. True: a
// callback decides later; call it again with es when their Park is settled.
func (a *Access) Check(p *Policy, cache *Cache, now int64, es []hook.ACLEvent) (waits bool) {
	if len(es) == 0 {
		return false
	}
	park := es[0].Park
	a.about.rename(es)
	cache.at(a.hooks.ClientCheckACL.Version())
	if !park.Resuming() && !a.open(p, cache, now, es) {
		a.tell(p, es)
		return false
	}
	if a.hooks.ClientCheckACL.Walk(park, func(ask hook.InterceptMany[hook.ACLEvent]) bool { ask(es); return true }) {
		return true
	}
	for i := range es {
		e := &es[i]
		if e.Verdict != hook.Next {
			if cache != nil && e.CacheTTL > 0 {
				cache.put(now, e)
			}
			continue
		}
		settle(e, unasked(p, e))
	}
	a.tell(p, es)
	return false
}

// tell tells whoever wants to know of what was decided by rules: neither a superuser nor
// a client of a zone without any is checked (emqx4 §7.2).
func (a *Access) tell(p *Policy, es []hook.ACLEvent) {
	chain := a.hooks.ClientCheckedACL.Chain()
	if chain == nil || !p.EnableACL {
		return
	}
	for i := range es {
		if es[i].Client.Superuser {
			continue
		}
		for _, told := range chain {
			told(&es[i])
		}
	}
}

// open decides what needs no plugin and tells whether anything is left.
func (a *Access) open(p *Policy, cache *Cache, now int64, es []hook.ACLEvent) (left bool) {
	loaded := a.hooks.ClientCheckACL.Chain() != nil
	for i := range es {
		if e := &es[i]; !decided(p, cache, now, e) {
			if !loaded {
				settle(e, unasked(p, e))
				continue
			}
			left = true
		}
	}
	return left
}

// unasked is what holds when nobody decides. What the node says about itself is
// for clients of this machine; for others a plugin or a permission list has to
// say so, as EMQ X 4's shipped rules do (emqx4 §5.1).
func unasked(p *Policy, e *hook.ACLEvent) bool {
	return p.NoMatch && (!aboutNode(e.Topic) || e.Client.Loopback())
}

// aboutNode tells whether a topic name or filter begins with the level $SYS.
func aboutNode(name string) bool {
	rest, found := strings.CutPrefix(name, "$SYS")
	return found && (rest == "" || rest[0] == '/')
}

// decided decides an event that needs no plugin.
func decided(p *Policy, cache *Cache, now int64, e *hook.ACLEvent) bool {
	c := e.Client
	if !p.EnableACL || c.Superuser {
		e.Verdict = hook.Allow
		return true
	}
	if c.Permissions != nil && hook.Permitted(c.Permissions, e) {
		return true
	}
	return cache != nil && cache.get(now, e)
}

// Trivial tells that every check of the client ends in "allow" without looking
// at the topic, but for $SYS, and that nobody is told, so that the hot path need not
// build events.
func (a *Access) Trivial(p *Policy, c *hook.Client) bool {
	return !p.EnableACL || c.Superuser ||
		(p.NoMatch && c.Permissions == nil && a.hooks.ClientCheckACL.Chain() == nil && a.hooks.ClientCheckedACL.Chain() == nil)
}

func settle(e *hook.ACLEvent, allow bool) {
	if allow {
		e.Verdict = hook.Allow
		return
	}
	e.Verdict = hook.Deny
}

// Cache remembers the acl chain's verdicts for one client. Owned by the
// client's channel. Its size is bounded; a full cache forgets everything, which
// costs calls and never a wrong verdict.
type Cache struct {
	max     int
	version uint64 // of the chain that has answered
	entries map[cacheKey]cacheEntry
	wide    []wideEntry // answers about filters, newest last
}

// wideEntry is an answer about all topics of a filter.
type wideEntry struct {
	key cacheKey // its topic is the filter
	cacheEntry
}

// maxWide bounds the answers about filters of one client.
const maxWide = 8

type cacheKey struct {
	topic  string
	action hook.Action
	qos    byte
	retain bool
}

type cacheEntry struct {
	until  int64
	allow  bool
	reason packet.ReasonCode
}

// NewCache returns a cache of at most limit verdicts; nil for 0.
func NewCache(limit int) *Cache {
	if limit <= 0 {
		return nil
	}
	return &Cache{max: limit}
}

// Clear forgets all verdicts.
func (c *Cache) Clear() { c.entries, c.wide = nil, nil }

// at forgets what another version of the chain has answered.
func (c *Cache) at(version uint64) {
	if c != nil && c.version != version {
		c.Clear()
		c.version = version
	}
}

func keyOf(e *hook.ACLEvent) cacheKey {
	return cacheKey{topic: e.Topic, action: e.Action, qos: e.QoS, retain: e.Retain}
}

func (c *Cache) get(now int64, e *hook.ACLEvent) bool {
	if c.entries == nil && c.wide == nil {
		return false
	}
	k := keyOf(e)
	v, ok := c.entries[k]
	if !ok || now >= v.until {
		if v, ok = c.covering(now, k); !ok {
			return false
		}
	}
	settle(e, v.allow)
	e.Reason, e.Cached = v.reason, true
	return true
}

// covering finds an answer about a filter that covers k's topic.
func (c *Cache) covering(now int64, k cacheKey) (cacheEntry, bool) {
	name := k.topic
	for i := len(c.wide) - 1; i >= 0; i-- {
		w := &c.wide[i]
		k.topic = w.key.topic
		if k != w.key || now >= w.until {
			continue
		}
		covers := topic.Match
		if k.action == hook.Subscribe {
			covers = topic.Covers
		}
		if w.key.topic == "#" || covers(w.key.topic, name) {
			return w.cacheEntry, true
		}
	}
	return cacheEntry{}, false
}

// putWide keeps an answer about a filter.
func (c *Cache) putWide(k cacheKey, v cacheEntry) {
	c.wide = slices.DeleteFunc(c.wide, func(w wideEntry) bool { return w.key == k })
	if len(c.wide) >= maxWide {
		c.wide = slices.Delete(c.wide, 0, 1)
	}
	c.wide = append(c.wide, wideEntry{k, v})
}

func (c *Cache) put(now int64, e *hook.ACLEvent) {
	if e.CacheFilter != "" {
		k := keyOf(e)
		k.topic = e.CacheFilter
		c.putWide(k, cacheEntry{until: now + int64(min(e.CacheTTL, 24*time.Hour)), allow: e.Verdict == hook.Allow, reason: e.Reason})
		return
	}
	if c.entries == nil || len(c.entries) >= c.max {
		c.entries = make(map[cacheKey]cacheEntry)
	}
	k := keyOf(e)
	k.topic = strings.Clone(k.topic) // the event's topic is borrowed
	c.entries[k] = cacheEntry{until: now + int64(min(e.CacheTTL, 24*time.Hour)), allow: e.Verdict == hook.Allow, reason: e.Reason}
}
