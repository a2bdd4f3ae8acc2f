package event

import (
	"fmt"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// rememberer is a plugin whose clock a test turns.
type rememberer struct {
	Plugin
	clock   int64
	binding Binding
}

func newRememberer() *rememberer {
	r := &rememberer{clock: int64(time.Hour)}
	r.Now = func() time.Time { return time.Unix(0, r.clock) }
	r.binding = Binding{Hook: contract.HookACL, Scope: Scope{all: true}}
	return r
}

func question1(who, topic string, action hook.Action) *hook.ACLEvent {
	return &hook.ACLEvent{Client: &hook.Client{ID: "c" + who, Username: who}, Action: action, Topic: topic, QoS: 1}
}

// answer applies a verdict to e as the plugin had given it.
func (r *rememberer) answer(t *testing.T, e *hook.ACLEvent, a contract.Action, flags contract.VerdictFlags, filter string) {
	t.Helper()
	var w contract.VerdictWriter
	w.Reset(nil, 1)
	w.Set(0, a, 0)
	w.SetFlags(0, flags)
	w.SetCacheTTL(0, 1000)
	if filter != "" {
		w.Put(0, contract.ExtCacheFilter, []byte(filter))
	}
	var fw contract.Writer
	fw.Begin(contract.Header{Hook: contract.HookACL})
	fw.End()
	var v contract.Verdicts
	if err := v.Load(fw.Frame(), 1, w.Block()); err != nil {
		t.Fatal(err)
	}
	ACL.Apply(&Answer{Verdict: v.At(0), Plugin: &r.Plugin, Binding: &r.binding, Now: r.clock}, e)
}

func (r *rememberer) asked(e *hook.ACLEvent) bool { return ACL.Wants(&r.Plugin, &r.binding, e) }

// An answer that is shared holds for every client of the name, for its time, for
// this version, yes or no.
func TestSharedAnswers(t *testing.T) {
	r := newRememberer()
	r.answer(t, question1("alice", "a/1", hook.Publish), contract.Deny, contract.CacheShared, "")
	r.answer(t, question1("alice", "b/1", hook.Publish), contract.Allow, contract.CacheShared|contract.CacheFilter, "b/#")
	r.answer(t, question1("bob", "a/1", hook.Publish), contract.Allow, 0, "")
	for _, c := range []struct {
		e     *hook.ACLEvent
		asked bool
		want  hook.Verdict
	}{
		{question1("alice", "a/1", hook.Publish), false, hook.Deny},
		{question1("alice", "a/2", hook.Publish), true, hook.Next},
		{question1("alice", "a/1", hook.Subscribe), true, hook.Next},
		{question1("alice", "b/2/c", hook.Publish), false, hook.Allow},
		{question1("alice", "b/#", hook.Subscribe), true, hook.Next},
		{question1("bob", "a/1", hook.Publish), true, hook.Next},
		{question1("", "a/1", hook.Publish), true, hook.Next},
		{&hook.ACLEvent{Action: hook.Publish, Topic: "a/1", QoS: 1}, true, hook.Next},
		{&hook.ACLEvent{Client: &hook.Client{Username: "alice"}, Action: hook.Publish, Topic: "a/1", QoS: 2}, true, hook.Next},
		{&hook.ACLEvent{Client: &hook.Client{Username: "alice", Tenant: "x"}, Action: hook.Publish, Topic: "a/1", QoS: 1}, true, hook.Next},
		{&hook.ACLEvent{Client: &hook.Client{Username: "x", Principal: "alice"}, Action: hook.Publish, Topic: "a/1", QoS: 1}, true, hook.Next},
	} {
		if got := r.asked(c.e); got != c.asked || c.e.Verdict != c.want {
			t.Errorf("%+v %s: asked %v, verdict %v", c.e.Client, c.e.Topic, got, c.e.Verdict)
		}
	}
	e := question1("alice", "a/1", hook.Publish)
	if r.asked(e); e.Reason != packet.NotAuthorized || !e.Cached {
		t.Errorf("reason %v, cached %v", e.Reason, e.Cached)
	}
	other := r.binding
	if !ACL.Wants(&r.Plugin, &other, question1("alice", "a/1", hook.Publish)) {
		t.Error("another version's answer was used")
	}
	r.clock += int64(time.Second)
	if !r.asked(question1("alice", "a/1", hook.Publish)) || !r.asked(question1("alice", "b/2", hook.Publish)) {
		t.Error("an answer was used after its time")
	}
}

func TestForget(t *testing.T) {
	r := newRememberer()
	fill := func() {
		r.answer(t, question1("alice", "a/1", hook.Publish), contract.Allow, contract.CacheShared, "")
		r.answer(t, question1("alice", "b/1", hook.Publish), contract.Allow, contract.CacheShared, "")
		r.answer(t, question1("alice", "c", hook.Publish), contract.Allow, contract.CacheShared|contract.CacheConnection, "")
	}
	fill()
	if r.asked(question1("alice", "whatever", hook.Publish)) {
		t.Error("an answer about all topics was not used")
	}
	r.Forget("a/")
	if !r.asked(question1("alice", "a/1", hook.Publish)) || r.asked(question1("alice", "b/1", hook.Publish)) || !r.asked(question1("alice", "c", hook.Publish)) {
		t.Error("not what begins with a/, and all that is about filters, was forgotten")
	}
	fill()
	r.Forget("")
	if !r.asked(question1("alice", "b/1", hook.Publish)) {
		t.Error("not everything was forgotten")
	}
}

// What is remembered is bounded, whatever clients ask.
func TestMemoryIsBounded(t *testing.T) {
	r := newRememberer()
	for i := range partExact + 10 {
		r.answer(t, question1("alice", fmt.Sprint("t/", i), hook.Publish), contract.Allow, contract.CacheShared, "")
	}
	for i := range partWide + 10 {
		r.answer(t, question1("alice", "x", hook.Publish), contract.Allow, contract.CacheShared|contract.CacheFilter, fmt.Sprint("f/", i, "/#"))
	}
	q := ask(question1("alice", "", hook.Publish))
	p := r.memory.part(&q)
	if len(p.exact) > partExact || len(p.wide[q]) != partWide {
		t.Errorf("%d answers, %d about filters", len(p.exact), len(p.wide[q]))
	}
}

// Checks that remembered answers decide are hits, others misses; before there is an
// answer, and without a name, nobody looks.
func TestRememberedAreCounted(t *testing.T) {
	r := newRememberer()
	tell := func(what string, hits, misses uint64) {
		t.Helper()
		if h, m := r.Remembered(); h != hits || m != misses {
			t.Errorf("%s: %d hits and %d misses, not %d and %d", what, h, m, hits, misses)
		}
	}
	r.asked(question1("alice", "a/1", hook.Publish))
	tell("before an answer", 0, 0)
	r.answer(t, question1("alice", "a/1", hook.Publish), contract.Deny, contract.CacheShared, "")
	r.answer(t, question1("alice", "b/1", hook.Publish), contract.Allow, contract.CacheShared|contract.CacheFilter, "b/#")
	tell("answers only", 0, 0)
	r.asked(question1("alice", "a/1", hook.Publish))
	tell("about a topic", 1, 0)
	r.asked(question1("alice", "b/2", hook.Publish))
	tell("about a filter", 2, 0)
	r.asked(question1("bob", "a/1", hook.Publish))
	tell("of another", 2, 1)
	r.asked(question1("", "a/1", hook.Publish))
	tell("without a name", 2, 1)
	r.clock += int64(time.Hour)
	r.asked(question1("alice", "a/1", hook.Publish))
	tell("too late", 2, 2)
}
