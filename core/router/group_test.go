package router

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/dunlinmq/dunlin/core/message"
)

func msgFrom(client, name string) *message.Message {
	return &message.Message{From: client, Topic: name}
}

// groupOf is a router with one group "g" on "t/+" of n members.
func groupOf(s Strategy, n int) (*Router, *Group, []*member) {
	r := New(Config{Strategy: s})
	ms := make([]*member, n)
	for i := range ms {
		ms[i] = &member{id: fmt.Sprint("m", i)}
		r.Subscribe(shared(ms[i], "g", "t/+"))
	}
	return r, groupIn(r), ms
}

func groupIn(r *Router) *Group {
	var m Matches
	r.Match("t/1", &m)
	if len(m.Groups) == 0 {
		return nil
	}
	return m.Groups[0]
}

// tally counts who gets n messages of many publishers and topics.
func tally(r *Router, g *Group, n int) map[string]int {
	got := map[string]int{}
	for i := range n {
		if s := r.Pick(g, msgFrom(fmt.Sprint("p", i), fmt.Sprint("t/", i)), nil); s != nil {
			got[s.To.ClientID()]++
		}
	}
	return got
}

var strategies = []Strategy{Random, RoundRobin, Sticky, HashClientID, HashTopic, Local}

// TestSharedOneMemberPerGroup: each group that matches is there once, and
// gives a message to one member [MQTT-4.8.2].
func TestSharedOneMemberPerGroup(t *testing.T) {
	r, g, _ := groupOf(Random, 40)
	r.Subscribe(shared(&member{id: "x"}, "h", "t/+"))
	r.Subscribe(shared(&member{id: "y"}, "g", "t/#"))
	r.Subscribe(sub(&member{id: "m0"}, "t/+"))
	var m Matches
	r.Match("t/1", &m)
	names := filtersOf(&m)
	slices.Sort(names)
	if want := []string{"g:t/#", "g:t/+", "h:t/+", "t/+"}; !slices.Equal(names, want) {
		t.Errorf("found %q, want %q", names, want)
	}
	n := 0
	g.Each(func(s *Subscription) bool {
		n++
		if s.Share != g.Share {
			t.Error("members do not share one Share")
		}
		return true
	})
	if n != 40 {
		t.Errorf("Each yields %d", n)
	}
}

// TestSharedNeverOfflineWhileOneIsOnline, for every strategy.
func TestSharedNeverOfflineWhileOneIsOnline(t *testing.T) {
	for _, s := range strategies {
		for _, n := range []int{2, 3, 9, 100} {
			r, g, ms := groupOf(s, n)
			tally(r, g, 10) // sticky, round robin: some state
			for on := range ms {
				for i, m := range ms {
					m.offline.Store(i != on)
				}
				if got := tally(r, g, 20); got[ms[on].id] != 20 {
					t.Fatalf("%v, %d members: %v, only %s is online", s, n, got, ms[on].id)
				}
			}
			for _, m := range ms {
				m.offline.Store(true)
			}
			total := 0
			for _, n := range tally(r, g, 20) {
				total += n
			}
			if total != 20 {
				t.Errorf("%v: offline members got %d of 20", s, total)
			}
		}
	}
}

// TestSharedSpread: the strategies other than sticky use all online members.
func TestSharedSpread(t *testing.T) {
	for _, s := range []Strategy{Random, RoundRobin, HashClientID, HashTopic, Local} {
		r, g, ms := groupOf(s, 20)
		for _, m := range ms[10:] {
			m.offline.Store(true)
		}
		got := tally(r, g, 10_000)
		for _, m := range ms[:10] {
			if n := got[m.id]; n < 700 || n > 1300 {
				t.Errorf("%v: %s got %d of 10000, online are 10", s, m.id, n)
			}
		}
	}
}

// TestRoundRobinInTurn: exactly in turn, though members are offline or leave.
func TestRoundRobinInTurn(t *testing.T) {
	r, g, ms := groupOf(RoundRobin, 7)
	ms[2].offline.Store(true)
	r.Unsubscribe(ms[4], g.Share, "t/+")
	for id, n := range tally(r, g, 500) {
		if n != 100 {
			t.Errorf("%s got %d, want 100", id, n)
		}
	}
}

// TestStickyStays with one member until that goes offline or leaves.
func TestStickyStays(t *testing.T) {
	r, g, ms := groupOf(Sticky, 10)
	byID := map[string]*member{}
	for _, m := range ms {
		byID[m.id] = m
	}
	for range 8 {
		got := tally(r, g, 50)
		if len(got) != 1 {
			t.Fatalf("%v", got)
		}
		for id := range got {
			byID[id].offline.Store(true)
		}
	}
	for _, m := range ms {
		m.offline.Store(false)
	}
	first := slices.Collect(maps.Keys(tally(r, g, 1)))[0]
	r.Unsubscribe(byID[first], g.Share, "t/+")
	if got := tally(r, g, 50); len(got) != 1 || got[first] != 0 {
		t.Errorf("after %s has left: %v", first, got)
	}
}

// TestHashKeepsKey: the same publisher or topic meets the same member, and when
// a member goes offline only its share moves.
func TestHashKeepsKey(t *testing.T) {
	for _, s := range []Strategy{HashClientID, HashTopic} {
		r, g, ms := groupOf(s, 8)
		pick := func(i int) string {
			m := msgFrom(fmt.Sprint("p", i), "t/0")
			if s == HashTopic {
				m = msgFrom("p0", fmt.Sprint("t/", i))
			}
			return r.Pick(g, m, nil).To.ClientID()
		}
		before := make([]string, 500)
		for i := range before {
			before[i] = pick(i)
			if pick(i) != before[i] {
				t.Fatalf("%v: key %d moves", s, i)
			}
		}
		ms[3].offline.Store(true)
		for i, was := range before {
			if now := pick(i); now == "m3" || (was != "m3" && now != was) {
				t.Errorf("%v: key %d moves from %s to %s", s, i, was, now)
			}
		}
	}
}

// TestPickSkips the member that has failed.
func TestPickSkips(t *testing.T) {
	for _, s := range strategies {
		r, g, ms := groupOf(s, 2)
		for range 50 {
			if got := r.Pick(g, msgFrom("p", "t/1"), ms[0]); got == nil || got.To != Subscriber(ms[1]) {
				t.Fatalf("%v: picked %v", s, got)
			}
		}
		ms[1].offline.Store(true)
		if got := r.Pick(g, msgFrom("p", "t/1"), ms[0]); got == nil || got.To != Subscriber(ms[1]) {
			t.Errorf("%v: %v rather than the offline one", s, got)
		}
		r.Unsubscribe(ms[1], g.Share, "t/+")
		if got := r.Pick(g, msgFrom("p", "t/1"), ms[0]); got != nil {
			t.Errorf("%v: picked the only member, which is to be skipped", s)
		}
		r.Unsubscribe(ms[0], g.Share, "t/+")
		if got := r.Pick(g, msgFrom("p", "t/1"), nil); got != nil {
			t.Errorf("%v: picked %v from an empty group", s, got)
		}
		if groupIn(r) != nil {
			t.Errorf("%v: the empty group is found", s)
		}
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	for _, s := range strategies {
		r, g, ms := groupOf(s, 50)
		ms[1].offline.Store(true)
		m := msgFrom("p", "t/1")
		if n := testing.AllocsPerRun(100, func() { r.Pick(g, m, nil) }); n != 0 {
			t.Errorf("%v: %v allocations", s, n)
		}
	}
}

// TestGroupStrategies: a group's own strategy goes before the default.
func TestGroupStrategies(t *testing.T) {
	r := New(Config{Strategy: Sticky, GroupStrategies: map[string]Strategy{"g": RoundRobin}})
	for i := range 4 {
		r.Subscribe(shared(&member{id: fmt.Sprint(i)}, "g", "t/+"))
	}
	if got := tally(r, groupIn(r), 8); len(got) != 4 {
		t.Errorf("not in turn: %v", got)
	}
}

func TestParseStrategy(t *testing.T) {
	for _, s := range strategies {
		if got, ok := ParseStrategy(s.String()); !ok || got != s {
			t.Errorf("ParseStrategy(%q) = %v, %v", s, got, ok)
		}
	}
	if s, ok := ParseStrategy("hash"); !ok || s != HashClientID {
		t.Error(`"hash" is EMQ X 4's name of hash_clientid`)
	}
	if _, ok := ParseStrategy("best"); ok || Strategy(99).String() != "unknown" {
		t.Error("an unknown strategy is known")
	}
}
