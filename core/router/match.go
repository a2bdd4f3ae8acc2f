package router

import "strings"

// What a reused Matches keeps at most; more is given back at the next Reset.
const (
	keepSubs  = 64 << 10
	keepStack = 1 << 10
)

// Matches is the answer of [Router.Match]. It is owned by one goroutine and
// reused: a match into a warm one allocates nothing.
type Matches struct {
	// Subs are the ordinary subscriptions. A client with overlapping
	// subscriptions appears once for each.
	Subs []*Subscription
	// Groups are the shared subscriptions; one member of each gets the message,
	// see [Router.Pick].
	Groups []*Group
	// Nodes are the other nodes of the cluster that want the message.
	Nodes []uint32

	stack []step
}

// step is a node of the trie that the topic has led to, and where its next
// level begins; beyond the topic's end: there is none.
type step struct {
	n  *node
	at int
}

// Empty tells that nobody wants the message.
func (m *Matches) Empty() bool { return len(m.Subs)+len(m.Groups)+len(m.Nodes) == 0 }

// Reset forgets the last answer, and holds none of its subscriptions.
func (m *Matches) Reset() {
	clear(m.Subs)
	clear(m.Groups)
	m.Subs, m.Groups, m.Nodes = m.Subs[:0], m.Groups[:0], m.Nodes[:0]
	if cap(m.Subs) > keepSubs {
		m.Subs = nil
	}
	if cap(m.Groups) > keepSubs {
		m.Groups = nil
	}
	if cap(m.stack) > keepStack {
		m.stack = nil
	}
}

// Match finds everybody who wants a message with that topic name. It never
// waits. A subscription that is there during the whole call is found exactly
// once; one that comes or goes meanwhile may be found.
//
// It costs one hash of the topic and, for wildcards, one look at each node of
// the trie that a prefix of the topic leads to: never more than there are
// filters, and no recursion.
func (r *Router) Match(topic string, m *Matches) {
	m.Reset()
	h := hash(r.seed, topic)
	if e := find(r.shard(h).exact.Load(), h, topic); e != nil {
		m.collect(e)
	}
	if r.wild.root.kids.Load() != nil || r.wild.root.plus.Load() != nil || !r.wild.root.deep.empty() {
		r.wild.match(topic, m)
	}
}

// collect appends what is subscribed with one filter.
func (m *Matches) collect(e *entry) {
	c := e.many.Load()
	if c == nil {
		if s := e.one.Load(); s != nil {
			m.Subs = append(m.Subs, s)
		}
		return
	}
	subs := c.subs.walk()
	for i := range subs {
		if s := subs[i].Load(); s != nil {
			m.Subs = append(m.Subs, s)
		}
	}
	groups := c.groups.walk()
	for i := range groups {
		if g := groups[i].Load(); g != nil {
			m.Groups = append(m.Groups, g)
		}
	}
}

// match walks the nodes whose path matches a prefix of topic.
func (t *trie) match(topic string, m *Matches) {
	// A leading wildcard does not match a topic that begins with $ [MQTT-4.7.2-1].
	if strings.HasPrefix(topic, "$") {
		t.enterLiteral(&t.root, topic, 0, levelEnd(topic, 0), m)
	} else {
		m.stack = append(m.stack, step{n: &t.root})
	}
	for len(m.stack) > 0 {
		last := len(m.stack) - 1
		s := m.stack[last]
		m.stack[last] = step{}
		m.stack = m.stack[:last]

		// "sport/#" matches "sport" too [MQTT-4.7.1-2].
		if !s.n.deep.empty() {
			m.collect(&s.n.deep)
		}
		if s.at > len(topic) {
			m.collect(&s.n.here)
			continue
		}
		end := levelEnd(topic, s.at)
		if plus := s.n.plus.Load(); plus != nil {
			m.enter(plus, topic, s.at, end, plus.label == "+")
		}
		t.enterLiteral(s.n, topic, s.at, end, m)
	}
}

// levelEnd is where the level of topic ends that begins at at.
func levelEnd(topic string, at int) int {
	if i := strings.IndexByte(topic[at:], '/'); i >= 0 {
		return at + i
	}
	return len(topic)
}

// enterLiteral enters the child of n for the level topic[at:end].
func (t *trie) enterLiteral(n *node, topic string, at, end int, m *Matches) {
	kids := n.kids.Load()
	if kids == nil {
		return
	}
	level := topic[at:end]
	if c := find(kids, hash(t.seed, level), level); c != nil {
		m.enter(c, topic, at, end, len(c.label) == end-at)
	}
}

// enter puts n on the stack if its whole label matches topic from at on. The
// label's first level matches topic[at:end]; single: it has no other.
func (m *Matches) enter(n *node, topic string, at, end int, single bool) {
	next := end + 1
	if !single {
		if next = matchLabel(n.label, topic, at); next < 0 {
			return
		}
	}
	m.stack = append(m.stack, step{n: n, at: next})
}

// matchLabel compares a label with topic from the level at at on, and returns
// where the level after it begins (beyond the end: there is none), or -1.
// Levels without wildcard are compared as one piece.
func matchLabel(label, topic string, at int) int {
	for {
		run, plus := label, strings.IndexByte(label, '+')
		if plus >= 0 {
			run = label[:plus]
		}
		if !strings.HasPrefix(topic[at:], run) {
			return -1
		}
		at += len(run)
		if plus < 0 {
			if at < len(topic) && topic[at] != '/' {
				return -1
			}
			return at + 1
		}
		at = levelEnd(topic, at) + 1
		if plus+1 == len(label) {
			return at
		}
		if at > len(topic) {
			return -1
		}
		label = label[plus+2:]
	}
}
