package topic

import (
	"errors"
	"strings"
	"testing"
)

func TestValidateName(t *testing.T) {
	long := strings.Repeat("a", MaxLength)
	tests := []struct {
		name, in string
		at       int // -1: valid
	}{
		{"one character", "a", -1},
		{"separator alone", "/", -1},
		{"empty levels", "//", -1},
		{"leading separator", "/finance", -1},
		{"space", "Accounts payable", -1},
		{"dollar", "$SYS/brokers", -1},
		{"share as a name", "$share/g/t", -1},
		{"non-ASCII", "sport/テニス", -1},
		{"longest", long, -1},                    // [MQTT-4.7.3-3]
		{"too long", long + "a", MaxLength},      // [MQTT-4.7.3-3]
		{"empty", "", 0},                         // [MQTT-4.7.3-1]
		{"null character", "a/\x00", 2},          // [MQTT-4.7.3-2]
		{"number sign", "sport/#", 6},            // [MQTT-4.7.0-1]
		{"plus", "+/tennis", 0},                  // [MQTT-4.7.0-1]
		{"wildcard within a level", "spo+rt", 3}, // [MQTT-4.7.0-1]
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantFault(t, ValidateName(tt.in), tt.at) })
	}
}

func TestValidateFilter(t *testing.T) {
	tests := []struct {
		name, in string
		at       int // -1: valid
	}{
		{"plain", "sport/tennis", -1},
		{"separator alone", "/", -1},
		{"number sign alone", "#", -1},
		{"number sign last", "sport/tennis/#", -1},
		{"plus alone", "+", -1},
		{"plus in the middle", "sport/+/player1", -1},
		{"plus and number sign", "+/tennis/#", -1},
		{"plus last", "/+", -1},
		{"all plus", "+/+/+", -1},
		{"longest", strings.Repeat("/", MaxLength), -1}, // [MQTT-4.7.3-3]
		{"too long", strings.Repeat("/", MaxLength+1), MaxLength},
		{"empty", "", 0},                             // [MQTT-4.7.3-1]
		{"null character", "\x00", 0},                // [MQTT-4.7.3-2]
		{"number sign not last", "sport/#/x", 6},     // [MQTT-4.7.1-1]
		{"number sign after text", "sport#", 5},      // [MQTT-4.7.1-1]
		{"number sign before text", "#sport", 0},     // [MQTT-4.7.1-1]
		{"number sign and separator", "sport/#/", 6}, // [MQTT-4.7.1-1]
		{"two number signs", "##", 0},                // [MQTT-4.7.1-1]
		{"plus after text", "sport+", 5},             // [MQTT-4.7.1-2]
		{"plus before text", "+sport/x", 0},          // [MQTT-4.7.1-2]
		{"plus within text", "a+b", 1},               // [MQTT-4.7.1-2]
		{"two plus", "++", 0},                        // [MQTT-4.7.1-2]
		{"plus and number sign in a level", "+#", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantFault(t, ValidateFilter(tt.in), tt.at) })
	}
}

// [MQTT-4.8.2-1] [MQTT-4.8.2-2]
func TestValidateShare(t *testing.T) {
	tests := []struct {
		name, in string
		at       int // -1: valid
	}{
		{"share", "$share/g/a/b", -1},
		{"share of everything", "$share/g/#", -1},
		{"share of an empty level", "$share/g//", -1},
		{"share of dollar topics", "$share/g/$SYS/#", -1},
		{"share as first level", "$share", -1}, // does not begin with $share/
		{"other prefix", "$shared/g", -1},
		{"queue", "$queue/a/+", -1},
		{"queue as first level", "$queue", -1},
		{"share nothing", "$share/", 7},
		{"share without group", "$share//t", 7},
		{"share without filter", "$share/g", 8},
		{"share with empty filter", "$share/g/", 9},
		{"plus in group", "$share/g+/t", 8},
		{"number sign in group", "$share/#/t", 7},
		{"plus as group", "$share/+/t", 7},
		{"bad inner filter", "$share/g/a#", 10},
		{"bad inner wildcard", "$share/g/#/a", 9},
		{"shared twice", "$share/g/$share/h/t", 9},
		{"shared queue", "$share/g/$queue/t", 9},
		{"queue without filter", "$queue/", 7},
		{"queue with bad filter", "$queue/a+", 8},
		{"queue of share", "$queue/$share/g/t", 7},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantFault(t, ValidateFilter(tt.in), tt.at) })
	}
}

func wantFault(t *testing.T, err error, at int) {
	t.Helper()
	var e *Error
	switch {
	case at < 0 && err != nil:
		t.Errorf("refused: %v", err)
	case at >= 0 && !errors.As(err, &e):
		t.Errorf("error is %v, want an *Error", err)
	case at >= 0 && e.At != at:
		t.Errorf("fault %v, want it at byte %d", e, at)
	case at >= 0 && !strings.Contains(e.Error(), e.What):
		t.Errorf("message %q does not say %q", e.Error(), e.What)
	}
}

func TestParseShare(t *testing.T) {
	tests := []struct {
		in, group, inner string
		shared           bool
	}{
		{"a/b", "", "a/b", false},
		{"$SYS/#", "", "$SYS/#", false},
		{"$share", "", "$share", false},
		{"$queue", "", "$queue", false},
		{"$share/g/a/b", "g", "a/b", true},
		{"$share/g//a", "g", "/a", true},
		{"$share/g/#", "g", "#", true},
		{"$queue/a/b", QueueGroup, "a/b", true},
		{"$share/$queue/a", QueueGroup, "a", true},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			group, inner, shared := ParseShare(tt.in)
			if group != tt.group || inner != tt.inner || shared != tt.shared {
				t.Errorf("got %q, %q, %v", group, inner, shared)
			}
		})
	}
}

func TestLevels(t *testing.T) {
	for in, want := range map[string]int{"a": 1, "/": 2, "a/b": 2, "/a/": 3, "a/+/#": 3, strings.Repeat("/", MaxLength): 65536} {
		if got := Levels(in); got != want {
			t.Errorf("Levels(%.9q) = %d, want %d", in, got, want)
		}
	}
}

func TestHasWildcard(t *testing.T) {
	for in, want := range map[string]bool{"": false, "a/b": false, "+": true, "a/#": true, "/+/a": true, "$SYS": false} {
		if got := HasWildcard(in); got != want {
			t.Errorf("HasWildcard(%q) = %v", in, got)
		}
	}
}
