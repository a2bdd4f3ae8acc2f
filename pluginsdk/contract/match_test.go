package contract_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/topic"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		filter, name string
		want         bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/c", false}, {"a/+", "a/b", true}, {"a/+", "a/b/c", false}, {"a/#", "a", true}, {"a/#", "a/b/c", true},
		{"#", "a", true}, {"#", "$SYS/x", false}, {"+/x", "$SYS/x", false}, {"$SYS/#", "$SYS/x", true}, {"a/+", "a/", true}, {"+", "", true}, {"a", "a/", false},
	} {
		if got := contract.Match(tc.filter, tc.name); got != tc.want {
			t.Errorf("%s %s: %v", tc.filter, tc.name, got)
		}
	}
}

// Guests and the broker agree about what a filter matches.
func TestMatchIsTheBrokers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	levels := func(from ...string) string {
		parts := make([]string, 1+r.IntN(4))
		for i := range parts {
			parts[i] = from[r.IntN(len(from))]
		}
		return strings.Join(parts, "/")
	}
	for range 20_000 {
		filter, name := levels("a", "b", "", "+", "$x"), levels("a", "b", "", "$x")
		if r.IntN(3) == 0 {
			filter += "/#"
		}
		if got, want := contract.Match(filter, name), topic.Match(filter, name); got != want {
			t.Fatalf("%q %q: %v, the broker says %v", filter, name, got, want)
		}
	}
}
