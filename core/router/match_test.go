package router

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/topic"
)

// matched returns the filters that match name, sorted.
func matched(r *Router, name string) []string {
	var m Matches
	r.Match(name, &m)
	fs := filtersOf(&m)
	slices.Sort(fs)
	return fs
}

func routerOf(filters ...string) *Router {
	r, c := New(Config{}), &member{id: "c"}
	for _, f := range filters {
		r.Subscribe(sub(c, f))
	}
	return r
}

// TestMultiLevelWildcardMatchesParent: "sport/#" also matches "sport"
// [MQTT-4.7.1-2].
func TestMultiLevelWildcardMatchesParent(t *testing.T) {
	r := routerOf("sport/#", "sport/tennis/#", "#", "sport/+", "sport/+/#", "+/#")
	for name, want := range map[string][]string{
		"sport":             {"#", "+/#", "sport/#"},
		"sport/tennis":      {"#", "+/#", "sport/#", "sport/+", "sport/+/#", "sport/tennis/#"},
		"sport/tennis/ball": {"#", "+/#", "sport/#", "sport/+/#", "sport/tennis/#"},
		"sports":            {"#", "+/#"},
		"sport/":            {"#", "+/#", "sport/#", "sport/+", "sport/+/#"},
	} {
		if got := matched(r, name); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

// TestSingleLevelWildcard: "+" is one level, also an empty one [MQTT-4.7.1-3].
func TestSingleLevelWildcard(t *testing.T) {
	r := routerOf("+", "+/+", "/+", "a/+", "a/+/c", "+/b/+")
	for name, want := range map[string][]string{
		"finance":  {"+"},
		"/finance": {"+/+", "/+"},
		"a/":       {"+/+", "a/+"},
		"a/b":      {"+/+", "a/+"},
		"a/b/c":    {"+/b/+", "a/+/c"},
		"a//c":     {"a/+/c"},
		"/":        {"+/+", "/+"},
	} {
		if got := matched(r, name); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

// TestDollarTopicsNotMatchedByLeadingWildcard [MQTT-4.7.2-1].
func TestDollarTopicsNotMatchedByLeadingWildcard(t *testing.T) {
	r := routerOf("#", "+/#", "+/monitor/clients", "$SYS/#", "$SYS/monitor/+", "$SYS/monitor/clients", "a/+")
	want := []string{"$SYS/#", "$SYS/monitor/+", "$SYS/monitor/clients"}
	if got := matched(r, "$SYS/monitor/clients"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := matched(r, "$SYS"); !slices.Equal(got, []string{"$SYS/#"}) {
		t.Errorf("got %q", got)
	}
	if got := matched(r, "a/$SYS"); !slices.Equal(got, []string{"#", "+/#", "a/+"}) {
		t.Errorf("a $ that is not at the beginning: %q", got)
	}
}

// TestTopicsAreCaseSensitive: names are compared byte by byte, no case, no
// normalisation [MQTT-4.7.3-4].
func TestTopicsAreCaseSensitive(t *testing.T) {
	r := routerOf("ACCOUNTS", "Accounts", "accounts/+", "\u00c5", "A\u030a", " a", "a")
	for name, want := range map[string]string{
		"ACCOUNTS": "ACCOUNTS", "Accounts": "Accounts", "\u00c5": "\u00c5", "A\u030a": "A\u030a", "a": "a", " a": " a",
	} {
		if got := matched(r, name); !slices.Equal(got, []string{want}) {
			t.Errorf("%q: got %q", name, got)
		}
	}
	if got := matched(r, "ACCOUNTS/x"); got != nil {
		t.Errorf("got %q", got)
	}
}

// TestOverlappingSubscriptionsAllFound: a client is found by each of its
// filters, so that the highest granted QoS and every subscription identifier
// can be honoured [MQTT-3.3.4-2] [MQTT-3.3.5-1].
func TestOverlappingSubscriptionsAllFound(t *testing.T) {
	r, c := New(Config{}), &member{id: "c"}
	for i, f := range []string{"a/b", "a/+", "a/#", "#"} {
		s := sub(c, f)
		s.Opts.QoS, s.Opts.ID = byte(i%3), uint32(i+1)
		r.Subscribe(s)
	}
	var m Matches
	r.Match("a/b", &m)
	ids := map[uint32]bool{}
	for _, s := range m.Subs {
		ids[s.Opts.ID] = true
	}
	if len(m.Subs) != 4 || len(ids) != 4 {
		t.Errorf("found %d subscriptions, ids %v", len(m.Subs), ids)
	}
}

// TestSubscribeReplacesSameFilter: a subscription with an equal filter is
// replaced, options and all [MQTT-3.8.4-3].
func TestSubscribeReplacesSameFilter(t *testing.T) {
	for _, f := range []string{"a/b", "a/+", "#"} {
		r, c, d := New(Config{}), &member{id: "c"}, &member{id: "d"}
		for others := range 3 {
			first, second := sub(c, f), sub(c, strings.Clone(f))
			second.Opts.QoS = 2
			r.Subscribe(first)
			if !r.Subscribe(second) {
				t.Errorf("%s: not replaced", f)
			}
			var m Matches
			r.Match("a/b", &m)
			n := 0
			for _, s := range m.Subs {
				if s.To == Subscriber(c) {
					n++
					if s.Opts.QoS != 2 {
						t.Errorf("%s: old options", f)
					}
				}
			}
			if n != 1 {
				t.Errorf("%s: found %d times beside %d others", f, n, others)
			}
			r.Subscribe(sub(&member{id: fmt.Sprint(d.id, others)}, f))
		}
	}
}

// TestUnsubscribeComparesWhole: a filter is removed only by an equal one
// [MQTT-3.10.4-1], and nothing more is found for it [MQTT-3.10.4-2].
func TestUnsubscribeComparesWhole(t *testing.T) {
	r, c := New(Config{}), &member{id: "c"}
	for _, f := range []string{"a/+", "a/b", "a/b/+/c", "a/#"} {
		r.Subscribe(sub(c, f))
	}
	for _, f := range []string{"a", "+/+", "a/+/#", "a/b/+", "a/b/+/c/d", "#", "b", "a/b/", "A/b", "a/+/"} {
		if r.Unsubscribe(c, nil, f) {
			t.Errorf("%q removed something", f)
		}
	}
	if r.Unsubscribe(&member{id: "c"}, nil, "a/+") {
		t.Error("another subscriber with the same id removed it")
	}
	if r.Unsubscribe(c, shared(c, "g", "a/+").Share, "a/+") {
		t.Error("a shared one removed an ordinary one")
	}
	if !r.Unsubscribe(c, nil, "a/+") || r.Unsubscribe(c, nil, "a/+") {
		t.Error("an equal filter did not remove it once")
	}
	if got := matched(r, "a/b"); !slices.Equal(got, []string{"a/#", "a/b"}) {
		t.Errorf("left: %q", got)
	}
}

// TestMatchAllocatesNothing pins the hot path.
func TestMatchAllocatesNothing(t *testing.T) {
	r := routerOf("a/b/c", "a/+/c", "a/#", "+/+/+", "#", "x/+")
	r.Subscribe(shared(&member{id: "m"}, "g", "a/b/+"))
	var m Matches
	r.Match("a/b/c", &m)
	if n := testing.AllocsPerRun(200, func() { r.Match("a/b/c", &m) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(m.Subs) != 5 || len(m.Groups) != 1 || m.Empty() {
		t.Errorf("found %q", filtersOf(&m))
	}
	r.Match("none", &m)
	if len(m.Subs) != 1 || m.Subs[:5][4] != nil {
		t.Error("Reset keeps old subscriptions")
	}
}

// TestManyPluses: filters whose plain search would double at every level cost
// one look at each node.
func TestManyPluses(t *testing.T) {
	var filters []string
	for i := range 1 << 12 {
		levels := make([]string, 13)
		for j := range 12 {
			levels[j] = "+"
			if i>>j&1 == 1 {
				levels[j] = "a"
			}
		}
		levels[12] = "x"
		filters = append(filters, strings.Join(levels, "/"))
	}
	filters = append(filters, strings.Repeat("+/", 30_000)+"x", strings.Repeat("+/", 30_000)+"#")
	r := routerOf(filters...)
	var m Matches
	took := bestOf(3, func() { r.Match(strings.Repeat("a/", 12)+"y", &m) })
	if len(m.Subs) != 0 || took > 250*time.Millisecond {
		t.Errorf("found %d in %v", len(m.Subs), took)
	}
	took = bestOf(3, func() { r.Match(strings.Repeat("a/", 30_000)+"x", &m) })
	if len(m.Subs) != 2 || took > 250*time.Millisecond {
		t.Errorf("30 k levels: found %d in %v", len(m.Subs), took)
	}
	if cap(m.stack) > keepStack {
		t.Errorf("the stack has grown to %d", cap(m.stack))
	}
}

// TestDeepFiltersStayCheap: ten thousand filters of one client, and topics of
// 32 k levels, take memory by their bytes and not by their levels.
func TestDeepFiltersStayCheap(t *testing.T) {
	before := heap()
	r, c := New(Config{}), &member{id: "c"}
	bytes := 0
	for i := range 10_000 {
		f := fmt.Sprintf("dev/%d/+/%s#", i, strings.Repeat("s/", 50))
		bytes += len(f)
		r.Subscribe(sub(c, f))
	}
	for i := range 50 {
		f := strings.Repeat("a/", 650*i) + "+" + strings.Repeat("/a", 32_000-650*i)
		bytes += len(f)
		r.Subscribe(sub(c, f))
	}
	used := heap() - before
	if limit := int64(2*bytes + 10_050*400); used > limit {
		t.Errorf("%d bytes for filters of %d bytes", used, bytes)
	}
	name := strings.Repeat("a/", 32_000) + "a"
	if len(name) > topic.MaxLength {
		t.Fatal("the topic is too long")
	}
	var m Matches
	took := bestOf(3, func() { r.Match(name, &m) })
	if len(m.Subs) != 50 || took > 500*time.Millisecond {
		t.Errorf("found %d in %v", len(m.Subs), took)
	}
	r.Each(func(s *Subscription) bool { return r.Unsubscribe(c, nil, s.Filter) })
	if st := r.Stats(); st != (Stats{}) || r.wild.root.children() != 0 {
		t.Errorf("left: %+v", st)
	}
	if left := heap() - before; left > 100_000 {
		t.Errorf("%d bytes left of %d", left, used)
	}
	runtime.KeepAlive(r)
}

// heap is the live heap in bytes.
func heap() int64 {
	var ms runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&ms)
	return int64(ms.HeapAlloc)
}

// bestOf is the shortest of n runs.
func bestOf(n int, f func()) time.Duration {
	best := time.Hour
	for range n {
		start := time.Now()
		f()
		best = min(best, time.Since(start))
	}
	return best
}

// FuzzMatch compares the router with the naive match, for two filters that may
// share nodes and a third that splits them and is gone again.
func FuzzMatch(f *testing.F) {
	f.Add("a/b/#", "a/+/c", "a/b/c/d", "a/b/c")
	f.Add("#", "+", "+/+", "$SYS/x")
	f.Add("/", "//", "/+/", "/")
	f.Add("a/+/+/#", "a/+/b", "a/+", "a//")
	f.Fuzz(func(t *testing.T, one, two, three, name string) {
		if topic.ValidateName(name) != nil {
			return
		}
		r, mod := New(Config{}), &model{subs: map[string]*Subscription{}}
		c := &member{id: "c"}
		for _, filter := range []string{one, two, three} {
			if _, _, share := topic.ParseShare(filter); share || topic.ValidateFilter(filter) != nil {
				return
			}
			r.Subscribe(sub(c, filter))
			mod.subs[keyOf(sub(c, filter))] = sub(c, filter)
			checkShape(t, r)
		}
		for range 2 {
			var m Matches
			r.Match(name, &m)
			if got, want := found(&m), mod.match(name); !slices.Equal(got, want) {
				t.Fatalf("%q %q %q: Match(%q) = %q, want %q", one, two, three, name, got, want)
			}
			r.Unsubscribe(c, nil, three)
			delete(mod.subs, keyOf(sub(c, three)))
			checkShape(t, r)
		}
	})
}
