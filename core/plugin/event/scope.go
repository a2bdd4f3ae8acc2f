package event

import (
	"strings"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/topic"
)

// Scope says which events of a hook its plugin wants: tested before anything
// is encoded, since the cheapest call is none. Immutable but for what the plugin
// itself wants.
type Scope struct {
	exact map[string]struct{} // filters without wildcards
	wild  []string
	all   bool // no filters given

	retain    *bool
	qosMin    byte
	listener  string
	principal string // prefix
	protocol  packet.Version

	// Wanted narrows the scope of a dynamic registration further; nil: of no other.
	Wanted *Wanted
}

// NewScope is the scope of a registration.
func NewScope(h *manifest.Hook) Scope {
	s := Scope{
		all: len(h.Filters) == 0, exact: map[string]struct{}{},
		retain: h.When.Retain, qosMin: h.When.QoSMin, listener: h.When.Listener,
		principal: h.When.PrincipalPrefix, protocol: h.When.Version(),
	}
	for _, f := range h.Filters {
		if topic.HasWildcard(f) {
			s.wild = append(s.wild, f)
		} else {
			s.exact[f] = struct{}{}
		}
	}
	return s
}

// client tests the conditions about a client; nil (no client) fails any.
func (s *Scope) client(c *hook.Client) bool {
	if s.Wanted != nil && !s.Wanted.any() {
		return false
	}
	if s.listener == "" && s.principal == "" && s.protocol == 0 {
		return true
	}
	return c != nil && (s.listener == "" || s.listener == c.Listener) &&
		(s.protocol == 0 || s.protocol == c.Protocol) && strings.HasPrefix(c.Principal, s.principal)
}

// flags tests the conditions about QoS and RETAIN.
func (s *Scope) flags(qos byte, retain bool) bool {
	return qos >= s.qosMin && (s.retain == nil || *s.retain == retain)
}

// message tests a message and the client that it is about.
func (s *Scope) message(c *hook.Client, m *message.Message) bool {
	return s.flags(m.QoS, m.Retain) && s.client(c) && s.topic(m.Topic)
}

// topic tells whether one of the filters matches a topic name.
func (s *Scope) topic(name string) bool {
	if s.Wanted != nil && !s.Wanted.topic(name) {
		return false
	}
	if s.all {
		return true
	}
	if _, ok := s.exact[name]; ok {
		return true
	}
	for _, f := range s.wild {
		if topic.Match(f, name) {
			return true
		}
	}
	return false
}

// filter tells whether some topic name matches both one of the filters and f,
// which is a topic filter, possibly of a shared subscription.
func (s *Scope) filter(f string) bool {
	if _, inner, shared := topic.ParseShare(f); shared {
		f = inner
	}
	if s.Wanted != nil && !s.Wanted.filter(f) {
		return false
	}
	if s.all {
		return true
	}
	for e := range s.exact {
		if overlap(e, f) {
			return true
		}
	}
	for _, w := range s.wild {
		if overlap(w, f) {
			return true
		}
	}
	return false
}

// overlap tells whether a topic name can match both filters. Wildcards in the
// first level do not match $-names [MQTT-4.7.2-1].
func overlap(a, b string) bool {
	if dollar(a) != dollar(b) && (wildFirst(a) || wildFirst(b)) {
		return false
	}
	for {
		x, restA, moreA := strings.Cut(a, "/")
		y, restB, moreB := strings.Cut(b, "/")
		switch {
		case x == "#" || y == "#":
			return true
		case x != y && x != "+" && y != "+":
			return false
		case !moreA && !moreB:
			return true
		case !moreA || !moreB: // "a/#" matches "a" too
			return moreA && restA == "#" || moreB && restB == "#"
		}
		a, b = restA, restB
	}
}

func dollar(s string) bool    { return strings.HasPrefix(s, "$") }
func wildFirst(s string) bool { return strings.HasPrefix(s, "+") || strings.HasPrefix(s, "#") }
