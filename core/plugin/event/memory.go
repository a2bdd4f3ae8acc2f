package event

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/topic"
)

// Bounds of what one plugin's answers are remembered for all clients. A part that
// is full forgets, which costs calls and never a wrong answer.
const (
	memoryParts = 16
	partExact   = 4096 // answers about one topic, in one part
	partWide    = 32   // answers about a filter, for one asker
	maxRemember = 24 * time.Hour
)

// memory are acl answers of one plugin that hold for every client with the same
// name and tenant. Safe for concurrent use.
type memory struct {
	used  atomic.Bool // something is in it
	parts [memoryParts]part
}

type part struct {
	mu    sync.Mutex
	exact map[question]answer
	wide  map[question][]answer // the question's topic is ""

	hits, misses uint64 // guarded by mu
}

// Remembered tells how many acl checks the remembered answers of the plugin have
// decided, and how many of those who may share answers they have not. Until there is
// a first answer nobody looks, and nothing is counted.
func (p *Plugin) Remembered() (hits, misses uint64) {
	for i := range p.memory.parts {
		part := &p.memory.parts[i]
		part.mu.Lock()
		hits, misses = hits+part.hits, misses+part.misses
		part.mu.Unlock()
	}
	return hits, misses
}

// question is what was asked, by whom.
type question struct {
	who, tenant, topic string
	action             hook.Action
	qos                byte
	retain             bool
}

// answer is what holds until then.
type answer struct {
	binding *Binding // that gave it: another version's is nobody's
	filter  string   // of wide answers
	until   int64
	allow   bool
	reason  packet.ReasonCode
	text    string
}

var memorySeed = maphash.MakeSeed()

// who is the name under which answers about a client are shared; "": they are not.
func who(c *hook.Client) string {
	switch {
	case c == nil:
		return ""
	case c.Principal != "":
		return "p" + c.Principal
	case c.Username != "":
		return "u" + c.Username
	}
	return ""
}

func (m *memory) part(q *question) *part {
	return &m.parts[maphash.String(memorySeed, q.who)%memoryParts]
}

func ask(e *hook.ACLEvent) question {
	q := question{who: who(e.Client), action: e.Action, qos: e.QoS, retain: e.Retain}
	if e.Client != nil {
		q.tenant = e.Client.Tenant
	}
	return q
}

// decide answers e if b's plugin has said so before.
func (m *memory) decide(b *Binding, now func() int64, e *hook.ACLEvent) bool {
	if !m.used.Load() {
		return false
	}
	q := ask(e)
	if q.who == "" {
		return false
	}
	p := m.part(&q)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.wide[q] {
		if a.binding == b && covers(a.filter, e) && now() < a.until {
			a.apply(e)
			p.hits++
			return true
		}
	}
	q.topic = e.Topic
	a, ok := p.exact[q]
	if !ok || a.binding != b || now() >= a.until {
		p.misses++
		return false
	}
	a.apply(e)
	p.hits++
	return true
}

func (a *answer) apply(e *hook.ACLEvent) {
	e.Verdict, e.Reason, e.Text = hook.Deny, a.reason, a.text
	if a.allow {
		e.Verdict = hook.Allow
	}
	e.Cached = true
}

// covers tells whether an answer about filter is one about e's topic.
func covers(filter string, e *hook.ACLEvent) bool {
	if filter == "#" {
		return true
	}
	if e.Action == hook.Subscribe {
		return topic.Covers(filter, e.Topic)
	}
	return topic.Match(filter, e.Topic)
}

// keep remembers what was decided about e for its CacheTTL.
func (m *memory) keep(b *Binding, now int64, e *hook.ACLEvent) {
	q := ask(e)
	if q.who == "" || e.CacheTTL <= 0 {
		return
	}
	a := answer{binding: b, filter: e.CacheFilter, until: now + int64(min(e.CacheTTL, maxRemember)), allow: e.Verdict == hook.Allow, reason: e.Reason, text: e.Text}
	p := m.part(&q)
	p.mu.Lock()
	defer p.mu.Unlock()
	m.used.Store(true)
	if e.CacheFilter == "" {
		if q.topic = strings.Clone(e.Topic); p.exact == nil || len(p.exact) >= partExact { // the event's topic is borrowed
			p.exact = map[question]answer{}
		}
		p.exact[q] = a
		return
	}
	list := slices.DeleteFunc(p.wide[q], func(o answer) bool { return o.filter == a.filter || o.binding != b || o.until <= now })
	if len(list) >= partWide {
		list = list[1:]
	}
	if p.wide == nil || len(p.wide) >= partExact {
		p.wide = map[question][]answer{}
	}
	p.wide[q] = append(list, a)
}

// Forget drops the remembered answers about topics that begin with prefix, and all
// answers about filters; "": everything.
func (p *Plugin) Forget(prefix string) {
	for i := range p.memory.parts {
		part := &p.memory.parts[i]
		part.mu.Lock()
		part.wide = nil
		for q := range part.exact {
			if strings.HasPrefix(q.topic, prefix) {
				delete(part.exact, q)
			}
		}
		part.mu.Unlock()
	}
}
