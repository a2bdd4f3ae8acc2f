package router

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
)

// fleet subscribes n filters: nine in ten exact, the others with wildcards.
func fleet(r *Router, n int) {
	for i := range n {
		// Filters come from packets: bytes of their own.
		f := "fleet/device/" + strconv.Itoa(i) + "/command"
		if i%10 == 0 {
			f = "fleet/device/" + strconv.Itoa(i) + "/+/state"
		}
		r.Subscribe(sub(one, f))
	}
}

var one = &member{id: "one"}

// TestMemoryPerSubscription: all in, a subscription takes 250 bytes at most.
func TestMemoryPerSubscription(t *testing.T) {
	const n = 100_000
	many := &member{id: "many"}
	for _, c := range []struct {
		name   string
		filter func(i int) string
	}{
		{"exact", func(i int) string { return "fleet/device/" + strconv.Itoa(i) + "/command" }},
		{"wildcard", func(i int) string { return "fleet/device/" + strconv.Itoa(i) + "/+/state" }},
		{"wildcard tree", func(i int) string { return fmt.Sprintf("site/%d/device/%d/#", i/100, i%100) }},
		{"wildcard pairs", func(i int) string { return fmt.Sprintf("site/%d/+/%d", i/2, i%2) }},
		{"pairs on one filter", func(i int) string { return "fleet/device/" + strconv.Itoa(i/2) + "/command" }},
		{"all on one filter", func(int) string { return string([]byte("fleet/all")) }},
	} {
		before := heap()
		r := New(Config{})
		for i := range n {
			to := many
			if c.name == "all on one filter" || c.name == "pairs on one filter" && i%2 == 1 {
				to = one
			}
			if c.name == "all on one filter" {
				to = &member{}
			}
			r.Subscribe(sub(to, c.filter(i)))
		}
		each := (heap() - before) / n
		t.Logf("%-20s %d bytes a subscription", c.name, each)
		if each > 250 || r.Stats().Subscriptions != n {
			t.Errorf("%s: %d bytes a subscription, %d subscriptions", c.name, each, r.Stats().Subscriptions)
		}
		runtime.KeepAlive(r)
	}
}

func BenchmarkMatchExact(b *testing.B) {
	r := routerOf("fleet/device/1/command")
	benchMatch(b, r, []string{"fleet/device/1/command"}, 1)
}

func BenchmarkMatchWildcards(b *testing.B) {
	r := routerOf("fleet/+/1/command", "fleet/#", "fleet/device/+/command", "+/+/+/+", "other/+", "fleet/device/1/command")
	benchMatch(b, r, []string{"fleet/device/1/command"}, 5)
}

func BenchmarkMatchNone(b *testing.B) {
	r := routerOf("fleet/+/1/command", "other/+", "fleet/device/1/command")
	benchMatch(b, r, []string{"fleet/device/2/command"}, 0)
}

func BenchmarkMatchFanout1000(b *testing.B) {
	r := New(Config{})
	for i := range 1000 {
		r.Subscribe(sub(&member{id: strconv.Itoa(i)}, "all"))
	}
	benchMatch(b, r, []string{"all"}, 1000)
}

// BenchmarkMatchAdversary: ten thousand filters that all begin to match.
func BenchmarkMatchAdversary(b *testing.B) {
	r := New(Config{})
	for i := range 10_000 {
		f := ""
		for j := range 14 {
			f += []string{"+/", "a/"}[i>>j&1]
		}
		r.Subscribe(sub(one, f+"x"))
	}
	benchMatch(b, r, []string{"a/a/a/a/a/a/a/a/a/a/a/a/a/a/y"}, 0)
}

func BenchmarkMatchMillion(b *testing.B) {
	r := New(Config{})
	fleet(r, 1_000_000)
	names := make([]string, 1<<16)
	for i := range names {
		names[i] = "fleet/device/" + strconv.Itoa(i*15+1-i*15%10) + "/command"
	}
	benchMatch(b, r, names, 1)
}

func benchMatch(b *testing.B, r *Router, names []string, want int) {
	var m Matches
	i := 0
	for b.Loop() {
		r.Match(names[i&(len(names)-1)], &m)
		i++
	}
	if len(m.Subs) != want {
		b.Fatalf("found %d, want %d", len(m.Subs), want)
	}
}

func BenchmarkSubscribeMillion(b *testing.B) {
	for b.Loop() {
		before := heap()
		r := New(Config{})
		b.StartTimer()
		fleet(r, 1_000_000)
		b.StopTimer()
		b.ReportMetric(float64(heap()-before)/1e6, "B/subscription")
		runtime.KeepAlive(r)
		b.StartTimer()
	}
}

func BenchmarkSubscribeUnsubscribe(b *testing.B) {
	for _, f := range []string{"a/b/c", "a/+/c"} {
		b.Run(f, func(b *testing.B) {
			r := New(Config{})
			fleet(r, 10_000)
			for b.Loop() {
				r.Subscribe(sub(one, f))
				r.Unsubscribe(one, nil, f)
			}
		})
	}
}

func BenchmarkPick(b *testing.B) {
	for _, s := range strategies {
		b.Run(s.String(), func(b *testing.B) {
			r, g, _ := groupOf(s, 10)
			m := msgFrom("publisher", "t/1")
			for b.Loop() {
				r.Pick(g, m, nil)
			}
		})
	}
}
