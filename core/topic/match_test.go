package topic

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		name, filter, topic string
		want                bool
	}{
		{"same", "sport/tennis", "sport/tennis", true},
		{"prefix of the name", "sport", "sport/tennis", false},
		{"prefix of the filter", "sport/tennis", "sport", false},
		{"prefix of a level", "sport/ten", "sport/tennis", false},
		{"longer level", "sport/tennis", "sport/ten", false},
		{"case", "ACCOUNTS", "Accounts", false}, // 5.0 §4.7.3
		{"leading separator differs", "/finance", "finance", false},
		{"trailing separator differs", "finance", "finance/", false},
		{"number sign matches the parent", "sport/tennis/player1/#", "sport/tennis/player1", true}, // 5.0 §4.7.1.2
		{"number sign matches a child", "sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"number sign matches descendants", "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"number sign and another prefix", "sport/#", "sports", false},
		{"number sign matches all", "#", "a/b/c", true},
		{"number sign matches an empty level", "#", "/", true},
		{"number sign matches an empty child", "a/#", "a/", true},
		{"plus matches one level", "sport/tennis/+", "sport/tennis/player1", true}, // 5.0 §4.7.1.3
		{"plus does not match two levels", "sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"plus does not match the parent", "sport/+", "sport", false},
		{"plus matches an empty level", "sport/+", "sport/", true},
		{"plus in the middle", "a/+/c", "a/b/c", true},
		{"two plus", "+/+", "/finance", true},
		{"plus after the separator", "/+", "/finance", true},
		{"plus alone and two levels", "+", "/finance", false},
		{"plus and number sign match the parent", "+/#", "a", true},
		{"parent of plus", "a/+/#", "a", false},
		{"dollar not by number sign", "#", "$SYS/x", false},                        // [MQTT-4.7.2-1]
		{"dollar not by plus", "+/monitor/Clients", "$SYS/monitor/Clients", false}, // [MQTT-4.7.2-1]
		{"dollar not by plus alone", "+", "$SYS", false},                           // [MQTT-4.7.2-1]
		{"dollar by its own number sign", "$SYS/#", "$SYS/monitor/Clients", true},  // [MQTT-4.7.2-1]
		{"dollar by its own plus", "$SYS/monitor/+", "$SYS/monitor/Clients", true}, // [MQTT-4.7.2-1]
		{"dollar in a later level", "+/$x", "a/$x", true},
		{"dollar below a wildcard", "a/#", "a/$x", true},
		{"no normalisation", "a/\u00e9", "a/e\u0301", false}, // [MQTT-4.7.3-4]
		{"byte order mark", "\ufeffa", "a", false},           // [MQTT-1.5.4-3]
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Match(tt.filter, tt.topic); got != tt.want {
				t.Errorf("Match(%q, %q) = %v", tt.filter, tt.topic, got)
			}
		})
	}
}

// naiveMatch is the definition, level by level and recursive.
func naiveMatch(filter, name []string) bool {
	switch {
	case len(filter) == 0:
		return len(name) == 0
	case filter[0] == "#":
		return true
	case len(name) == 0:
		return false
	}
	return (filter[0] == "+" || filter[0] == name[0]) && naiveMatch(filter[1:], name[1:])
}

func reference(filter, name string) bool {
	if name[0] == '$' && strings.ContainsAny(filter[:1], "+#") {
		return false
	}
	return naiveMatch(strings.Split(filter, "/"), strings.Split(name, "/"))
}

func words(alphabet []string, most int) (all []string) {
	last := []string{""}
	for range most {
		var longer []string
		for _, w := range last {
			for _, a := range alphabet {
				longer = append(longer, w+a)
			}
		}
		all = append(all, longer...)
		last = longer
	}
	return all
}

func small(alphabet string, valid func(string) error, most int) (all []string) {
	for _, w := range words(strings.Split(alphabet, ""), most) {
		if valid(w) == nil {
			all = append(all, w)
		}
	}
	return all
}

// TestMatchExhaustive compares with the definition on all short strings.
func TestMatchExhaustive(t *testing.T) {
	names := small("a$/", ValidateName, 5)
	for _, f := range small("a$/+#", ValidateFilter, 5) {
		for _, n := range names {
			if got, want := Match(f, n), reference(f, n); got != want {
				t.Fatalf("Match(%q, %q) = %v, want %v", f, n, got, want)
			}
		}
	}
}

func TestCovers(t *testing.T) {
	tests := []struct {
		name, outer, inner string
		want               bool
	}{
		{"same", "a/b", "a/b", true},
		{"other", "a/b", "a/c", false},
		{"number sign covers all", "#", "a/+/#", true},
		{"number sign covers itself", "#", "#", true},
		{"number sign covers the parent", "a/#", "a", true},
		{"number sign covers plus", "a/#", "a/+", true},
		{"number sign of another level", "a/b/#", "a/#", false},
		{"plus covers a level", "a/+", "a/b", true},
		{"plus covers plus", "+/+", "+/b", true},
		{"plus does not cover number sign", "a/+", "a/#", false},
		{"level does not cover plus", "a/b", "a/+", false},
		{"first level and below is all", "+/#", "#", true},
		{"empty level and below has no parent", "/+/#", "/#", true},
		{"two levels and below is not all", "+/+/#", "#", false},
		{"plus and below lacks the parent", "a/+/#", "a/#", false},
		{"dollar not by number sign", "#", "$SYS/#", false},
		{"dollar not by plus", "+/a", "$SYS/a", false},
		{"dollar by its own", "$SYS/#", "$SYS/a/+", true},
		{"longer", "a/b/c", "a/b", false},
		{"shorter", "a/b", "a/b/c", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Covers(tt.outer, tt.inner); got != tt.want {
				t.Errorf("Covers(%q, %q) = %v", tt.outer, tt.inner, got)
			}
		})
	}
}

// TestCoversExhaustive compares with the definition: b stands for every level
// that no filter names, and five levels are more than any filter has.
func TestCoversExhaustive(t *testing.T) {
	var names []string
	for _, w := range words([]string{"/", "/a", "/b", "/$"}, 5) {
		names = append(names, w[1:])
	}
	names = append(names[1:], "/") // the empty name is none
	filters := small("a$/+#", ValidateFilter, 4)
	matched := make(map[string]map[string]bool, len(filters))
	for _, f := range filters {
		matched[f] = map[string]bool{}
		for _, n := range names {
			if n != "" && reference(f, n) {
				matched[f][n] = true
			}
		}
	}
	for _, outer := range filters {
		for _, inner := range filters {
			want := true
			for n := range matched[inner] {
				if !matched[outer][n] {
					want = false
					break
				}
			}
			if got := Covers(outer, inner); got != want && len(matched[inner]) > 0 {
				t.Fatalf("Covers(%q, %q) = %v, want %v", outer, inner, got, want)
			}
		}
	}
}

// TestMatchLinear: the longest input with the most levels is one pass.
func TestMatchLinear(t *testing.T) {
	name := strings.Repeat("a/", MaxLength/2) + "a"
	filter := strings.Repeat("+/", MaxLength/2) + "b"
	if Match(filter, name) {
		t.Error("matched")
	}
	if n := testing.AllocsPerRun(10, func() { _ = Match(filter, name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(10, func() { Covers(filter, name) }); n != 0 {
		t.Errorf("%v allocations by Covers", n)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a/+/#", "a/b/c")
	f.Add("#", "$SYS")
	f.Add("+/+", "/")
	f.Fuzz(func(t *testing.T, filter, name string) {
		if ValidateFilter(filter) != nil || ValidateName(name) != nil {
			return
		}
		_, filter, _ = ParseShare(filter)
		got := Match(filter, name)
		if want := reference(filter, name); got != want {
			t.Errorf("Match(%q, %q) = %v", filter, name, got)
		}
		if Covers(filter, name) != got {
			t.Errorf("Covers(%q, %q) differs from Match", filter, name)
		}
	})
}

func FuzzValidateFilter(f *testing.F) {
	for _, s := range []string{"a/b", "#", "+/#", "a#", "a+b", "$share/g/#", "$queue/x", "$share//", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		if err, want := ValidateFilter(filter), validFilter(filter); (err == nil) != want {
			t.Errorf("ValidateFilter(%q) = %v", filter, err)
		}
		if err, want := ValidateName(filter), filter != "" && len(filter) <= MaxLength && !strings.ContainsAny(filter, "+#\x00"); (err == nil) != want {
			t.Errorf("ValidateName(%q) = %v", filter, err)
		}
	})
}

// validFilter is the grammar, written level by level.
func validFilter(s string) bool {
	if s == "" || len(s) > MaxLength || strings.Contains(s, "\x00") {
		return false
	}
	levels := strings.Split(s, "/")
	switch shared := len(levels) > 1; {
	case shared && levels[0] == "$queue":
		levels = levels[1:]
	case shared && levels[0] == "$share":
		if len(levels) < 3 || levels[1] == "" || strings.ContainsAny(levels[1], "+#") {
			return false
		}
		levels = levels[2:]
	}
	plain := len(levels) < len(strings.Split(s, "/"))
	if plain && (len(levels) == 1 && levels[0] == "" || len(levels) > 1 && (levels[0] == "$share" || levels[0] == "$queue")) {
		return false
	}
	for i, l := range levels {
		wild := strings.ContainsAny(l, "+#")
		if wild && len(l) > 1 || l == "#" && i < len(levels)-1 {
			return false
		}
	}
	return true
}

func BenchmarkMatch(b *testing.B) {
	for b.Loop() {
		Match("site/+/line/7/#", "site/42/line/7/temperature/celsius")
	}
}
