//go:build !wasip1

package plugintest

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// docs/hookpoints.md has a row for each field of hook.Points and for each hook
// of the contract, with the class that the contract gives it.
func TestHookPointsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/hookpoints.md")
	if err != nil {
		t.Fatal(err)
	}
	fields, hooks := map[string]bool{}, map[string]bool{}
	for _, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 7 || !strings.HasPrefix(line, "| `") || strings.Contains(line, "hook.Points") {
			continue
		}
		field, name := strings.Trim(cells[1], " `"), strings.Trim(cells[2], " `")
		fields[field], hooks[name] = true, true
		h, ok := contract.ParseHook(name)
		if !ok || h.Class().String() != strings.TrimSpace(cells[5]) {
			t.Errorf("row %s: the contract says %v, class %s", name, h, h.Class())
		}
		if want := "On" + strings.ReplaceAll(name, "_", ""); !strings.EqualFold(strings.Trim(cells[3], " `"), want) {
			t.Errorf("row %s: handler %s, want %s", name, cells[3], want)
		}
	}
	points := reflect.TypeFor[hook.Points]()
	for i := range points.NumField() {
		if name := points.Field(i).Name; !fields[name] {
			t.Errorf("no row for hook.Points.%s", name)
		}
		delete(fields, points.Field(i).Name)
	}
	for name := range fields {
		t.Errorf("hook.Points has no field %s", name)
	}
	for _, h := range contract.Hooks() {
		if h.Class() != contract.Answer && !hooks[h.String()] {
			t.Errorf("no row for hook %s", h)
		}
	}
}
