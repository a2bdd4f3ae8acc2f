package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/action"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/catalog"
)

// TestCatalogIsWhatThereIs: every action has its words, every type of its resources
// too, in the order of names.
func TestCatalogIsWhatThereIs(t *testing.T) {
	var names []string
	for _, a := range catalog.Actions {
		names = append(names, a.Name)
		if kind := action.Kind(a.Name); strings.Join(a.Types, "") != kind {
			t.Errorf("%s has the types %v, want %q", a.Name, a.Types, kind)
		}
		if kind := action.Kind(a.Name); kind != "" && !slices.ContainsFunc(catalog.Types, func(t catalog.Type) bool { return t.Name == kind }) {
			t.Errorf("%s is of a type that is not listed: %s", a.Name, kind)
		}
	}
	if !slices.Equal(names, action.Names()) {
		t.Errorf("the catalog has %v, there are %v", names, action.Names())
	}
	if !slices.IsSortedFunc(catalog.Types, func(a, b catalog.Type) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the types are not in order")
	}
}
