package placeholder_test

import (
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/pluginsdk/placeholder"
)

func TestFilter(t *testing.T) {
	c := placeholder.Client{ID: "c1", Username: "u1", Named: true}
	unnamed := placeholder.Client{ID: "c1"}
	wild := placeholder.Client{ID: "+", Username: "a/b", Named: true}
	for _, tc := range []struct {
		filter string
		allow  bool
		client placeholder.Client
		want   string
		ok     bool
	}{
		{"a/#", true, wild, "a/#", true}, {"%u/%c/#", true, c, "u1/c1/#", true}, {"x%u/%cx", true, c, "x%u/%cx", true},
		{"%u", true, unnamed, "", false}, {"%u", false, unnamed, "", false}, {"%c", true, unnamed, "c1", true},
		{"a/%c", true, wild, "", false}, {"a/%c", false, wild, "a/+", true}, {"a/%u", true, wild, "", false}, {"a/%u/b", false, wild, "a/+/b", true},
		{"%u", true, placeholder.Client{Named: true}, "", false},
		{"%c/#", true, placeholder.Client{ID: "$SYS"}, "", false}, {"%c/#", false, placeholder.Client{ID: "$SYS"}, "$SYS/#", true},
		{"a/%c", true, placeholder.Client{ID: "$SYS"}, "a/$SYS", true},
		{"%c/%c", true, placeholder.Client{ID: strings.Repeat("x", 40_000)}, "", false},
	} {
		got, ok := placeholder.Filter(tc.filter, tc.allow, tc.client)
		if ok != tc.ok || ok && got != tc.want {
			t.Errorf("%s, allow %v, %+v: %q %v", tc.filter, tc.allow, tc.client, got, ok)
		}
	}
}
