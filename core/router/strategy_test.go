package router

import (
	"testing"

	"github.com/dunlinmq/dunlin/core/message"
)

// New strategies hold for groups that exist, of exact and of wildcard filters,
// and for those to come.
func TestSetStrategies(t *testing.T) {
	r := New(Config{Strategy: Random})
	join := func(group, filter string) {
		r.Subscribe(&Subscription{Filter: filter, Share: &message.Share{Group: group, Filter: filter}, To: &member{}})
	}
	join("g", "a")
	join("g", "a/+")
	join("other", "a")
	r.SetStrategies(Config{Strategy: RoundRobin, GroupStrategies: map[string]Strategy{"other": Sticky}})
	join("later", "b/#")
	want := map[string]Strategy{"g": RoundRobin, "other": Sticky, "later": RoundRobin}
	n := 0
	for _, name := range []string{"a", "a/x", "b"} {
		var m Matches
		r.Match(name, &m)
		for _, g := range m.Groups {
			n++
			if got := Strategy(g.strategy.Load()); got != want[g.Share.Group] {
				t.Errorf("group %s of %s has %v, want %v", g.Share.Group, g.Share.Filter, got, want[g.Share.Group])
			}
		}
	}
	if n != 4 {
		t.Errorf("%d groups matched, want 4", n)
	}
}
