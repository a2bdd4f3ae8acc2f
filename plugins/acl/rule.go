package main

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// rule is one line of acl.conf.
type rule struct {
	allow              bool
	who                who
	publish, subscribe bool
	everything         bool // {allow, all}: no topic is asked for
	topics             []entry
}

// entry is one topic of a rule's list.
type entry struct {
	filter string
	exact  bool // {eq, "..."}
	holes  bool // a level is %c or %u
}

// client is what rules are about.
type client struct {
	id       string
	username string
	named    bool // it gave a user name
	addr     netip.Addr
}

// who says which clients a rule is about.
type who interface{ covers(c *client) bool }

type (
	everybody struct{}
	user      string
	clientID  string
	nets      []netip.Prefix
	every     []who // 'and'
	some      []who // 'or'
)

func (everybody) covers(*client) bool    { return true }
func (u user) covers(c *client) bool     { return c.named && c.username == string(u) }
func (i clientID) covers(c *client) bool { return c.id == string(i) }

func (n nets) covers(c *client) bool {
	for _, p := range n {
		if p.Contains(c.addr) {
			return true
		}
	}
	return false
}

func (e every) covers(c *client) bool {
	for _, w := range e {
		if !w.covers(c) {
			return false
		}
	}
	return true
}

func (s some) covers(c *client) bool {
	for _, w := range s {
		if w.covers(c) {
			return true
		}
	}
	return false
}

// reader turns terms into rules and notes every fault.
type reader struct{ faults []fault }

func (r *reader) fault(t *term, text string) { r.faults = append(r.faults, fault{t.at, text}) }

// parse reads acl.conf. With faults there are no rules.
func parse(src string) ([]rule, []fault) {
	all, f := terms(src)
	r := &reader{}
	rules := make([]rule, 0, len(all))
	for i := range all {
		rules = append(rules, r.rule(&all[i]))
	}
	if f != nil {
		r.faults = append(r.faults, *f)
	}
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	if len(rules) == 0 {
		return nil, []fault{{0, "there is no rule; to leave everything to acl_nomatch, unload the plugin"}}
	}
	return rules, nil
}

// rule reads {allow, all}. or {allow, Who, Access, Topics}.
func (r *reader) rule(t *term) (out rule) {
	if t.kind != tuple || len(t.items) != 2 && len(t.items) != 4 {
		r.fault(t, "want {allow, Who, Access, Topics} or {allow, all}")
		return out
	}
	switch p := &t.items[0]; {
	case p.is("allow"):
		out.allow = true
	case !p.is("deny"):
		r.fault(p, "want allow or deny")
	}
	if len(t.items) == 2 {
		if !t.items[1].is("all") {
			r.fault(&t.items[1], "want all, or three terms: Who, Access, Topics")
		}
		out.who, out.publish, out.subscribe, out.everything = everybody{}, true, true, true
		return out
	}
	out.who = r.who(&t.items[1])
	switch a := &t.items[2]; {
	case a.is("publish"):
		out.publish = true
	case a.is("subscribe"):
		out.subscribe = true
	case a.is("pubsub"):
		out.publish, out.subscribe = true, true
	default:
		r.fault(a, "want publish, subscribe or pubsub")
	}
	out.topics = r.topics(&t.items[3])
	return out
}

const whoForms = `want all, {user, "name"}, {client, "id"}, {ipaddr, "10.0.0.0/8"}, {ipaddrs, [...]}, {'and', [...]} or {'or', [...]}`

func (r *reader) who(t *term) who {
	if t.is("all") {
		return everybody{}
	}
	if t.kind != tuple || len(t.items) != 2 || t.items[0].kind != atom {
		r.fault(t, whoForms)
		return everybody{}
	}
	head, arg := &t.items[0], &t.items[1]
	switch head.text {
	case "user":
		if arg.is("all") {
			return everybody{}
		}
		return user(r.name(arg))
	case "client":
		if arg.is("all") {
			return everybody{}
		}
		return clientID(r.name(arg))
	case "ipaddr":
		return nets{r.prefix(arg)}
	case "ipaddrs":
		var n nets
		for i := range r.list(arg, "addresses") {
			n = append(n, r.prefix(&arg.items[i]))
		}
		return n
	case "and", "or":
		if !head.quoted {
			r.fault(head, "want '"+head.text+"' in single quotes")
		}
		var parts []who
		for i := range r.list(arg, "conditions") {
			parts = append(parts, r.who(&arg.items[i]))
		}
		if head.text == "and" {
			return every(parts)
		}
		return some(parts)
	case "clientid":
		r.fault(head, "want client")
	default:
		r.fault(head, whoForms)
	}
	return everybody{}
}

// list checks for a list that is not empty: an empty 'and' would be everybody.
func (r *reader) list(t *term, of string) []term {
	if t.kind != list || len(t.items) == 0 {
		r.fault(t, "want a list of "+of+" in brackets")
		return nil
	}
	return t.items
}

func (r *reader) name(t *term) string {
	if t.kind != text || !utf8.ValidString(t.text) {
		r.fault(t, "want all, or a text in double quotes")
	}
	return t.text
}

// prefix reads an address or a CIDR block; host bits are cut off.
func (r *reader) prefix(t *term) netip.Prefix {
	if t.kind == text {
		if a, err := netip.ParseAddr(t.text); err == nil && a.Zone() == "" {
			return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		if p, err := netip.ParsePrefix(t.text); err == nil && !p.Addr().Is4In6() {
			return p.Masked()
		}
	}
	r.fault(t, `want an address or a block of addresses, such as "192.0.2.1" or "10.0.0.0/8"`)
	return netip.Prefix{}
}

func (r *reader) topics(t *term) (topics []entry) {
	items := t.items
	switch {
	case t.kind == text && t.binary:
		items = []term{*t}
	case t.kind != list:
		r.fault(t, `want a list of topics, such as ["a/+", {eq, "#"}]`)
		return nil
	}
	for i := range items {
		topics = append(topics, r.topic(&items[i]))
	}
	return topics
}

func (r *reader) topic(t *term) entry {
	exact := t.kind == tuple && len(t.items) == 2 && t.items[0].is("eq")
	if exact {
		t = &t.items[1]
	}
	if t.kind != text {
		r.fault(t, `want a topic in double quotes or {eq, "topic"}`)
		return entry{}
	}
	if !contract.ValidFilter([]byte(t.text)) {
		r.fault(t, strconv.Quote(t.text)+" is not a topic filter")
	}
	if strings.HasPrefix(t.text, "$share/") || strings.HasPrefix(t.text, "$queue/") {
		r.fault(t, "shared subscriptions are compared without their prefix: leave it out")
	}
	out := entry{filter: t.text, exact: exact}
	for level := range strings.SplitSeq(t.text, "/") {
		switch {
		case exact:
		case level == "%c", level == "%u":
			out.holes = true
		case level == "%cida", level == "%cna":
			r.fault(t, level+" is not known here; %c is the client identifier, %u the user name")
		}
	}
	return out
}

// clientOf is what a record says of its client.
func clientOf(id []byte, username []byte, peer []byte) client {
	c := client{id: string(id), username: string(username), named: username != nil}
	if ap, err := netip.ParseAddrPort(string(bytes.Clone(peer))); err == nil {
		c.addr = ap.Addr().Unmap().WithZone("")
	}
	return c
}
