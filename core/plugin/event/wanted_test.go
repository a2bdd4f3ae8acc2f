package event

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/topic"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// TestWantedIsTheNaiveMatch: over random filters and topics, with empty levels and
// $-topics among them.
func TestWantedIsTheNaiveMatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	levels := []string{"a", "b", "", "$x", "+"}
	pick := func(n int) string {
		var out []string
		for range 1 + rng.IntN(4) {
			out = append(out, levels[rng.IntN(n)])
		}
		return strings.Join(out, "/")
	}
	for range 2000 {
		var filters []string
		for range 1 + rng.IntN(3) {
			f := pick(5)
			if rng.IntN(3) == 0 {
				f += "/#"
			}
			if topic.ValidateFilter(f) == nil {
				filters = append(filters, f)
			}
		}
		var w Wanted
		if err := w.Set(filters); err != nil {
			t.Fatal(err)
		}
		name := pick(4)
		want := false
		for _, f := range filters {
			want = want || topic.Match(f, name)
		}
		if got := w.topic(name); got != want {
			t.Fatalf("%q and %q: %v, want %v", filters, name, got, want)
		}
	}
}

// TestDynamicScope: a dynamic registration takes nothing until its plugin says
// what, and never more than the manifest allows.
func TestDynamicScope(t *testing.T) {
	var w Wanted
	s := NewScope(&manifest.Hook{Filters: []string{"in/#"}})
	s.Wanted = &w
	c := &hook.Client{}
	on := func(name string) bool { return s.message(c, &message.Message{Topic: name}) }
	if on("in/a") || s.client(c) || s.filter("in/a") {
		t.Error("wanted before the plugin said so")
	}
	if err := w.Set([]string{"in/a", "out/+", "in/b/#"}); err != nil {
		t.Fatal(err)
	}
	if !on("in/a") || !on("in/b") || on("in/c") || on("out/x") || !s.client(c) || !s.filter("in/+") || s.filter("out/x") {
		t.Error("not what the plugin and the manifest want")
	}
	if err := w.Set([]string{"in/a/#/b"}); !errors.Is(err, contract.ErrnoInvalid) {
		t.Errorf("a bad filter: %v", err)
	}
	if err := w.Set([]string{"$share/g/in/a"}); !errors.Is(err, contract.ErrnoInvalid) {
		t.Errorf("a shared filter: %v", err)
	}
	if err := w.Set(make([]string, contract.MaxWanted+1)); !errors.Is(err, contract.ErrnoQuota) {
		t.Errorf("too many: %v", err)
	}
	var deep []string // 16 levels of their own each: too many together
	for i := range maxWantedLevels/16 + 1 {
		deep = append(deep, fmt.Sprintf("%d%s", i, strings.Repeat("/x", 15)))
	}
	if err := w.Set(deep); !errors.Is(err, contract.ErrnoQuota) {
		t.Errorf("too deep: %v", err)
	}
	if err := (&Wanted{}).Set(deep[1:]); err != nil {
		t.Errorf("just not too deep: %v", err)
	}
	if !on("in/a") {
		t.Error("a refused change has changed something")
	}
	if err := w.Set(nil); err != nil || on("in/a") || s.client(c) {
		t.Errorf("off: %v", err)
	}
}

func BenchmarkWanted(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		var w Wanted
		var filters []string
		for i := range n {
			filters = append(filters, fmt.Sprintf("site/%d/+/temp", i))
		}
		if err := w.Set(filters); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if w.topic("site/7/oven/pressure") {
					b.Fatal("matched")
				}
			}
		})
	}
}
