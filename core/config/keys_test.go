package config

import (
	"os"
	"regexp"
	"testing"
)

// docs/emqx4-keys.md names every zone key of EMQ X 4 and tells the truth about
// each: it is here, or the fault of a file that has it says what to do.
func TestKeysOfEMQX(t *testing.T) {
	text, err := os.ReadFile("../../docs/emqx4-keys.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\| (as EMQ X 4|differs|not) \\| (.*) ?\\|$").FindAllStringSubmatch(string(text), -1)
	const known = 47 // emqx4 §2.2
	if len(rows) != known {
		t.Errorf("%d rows, and EMQ X 4 has %d keys", len(rows), known)
	}
	for _, row := range rows {
		name, here, why := row[1], row[2], row[3]
		_, ok := zoneKeys.find(name)
		switch {
		case ok == (here == "not"):
			t.Errorf("%s: the page says %q, the table has it: %v", name, here, ok)
		case here != "as EMQ X 4" && why == "":
			t.Errorf("%s: %s, but not how", name, here)
		case !ok:
			if _, err := parse(t, "zone.external."+name+" = \"1\"\n"+plainTCP); err == nil || regexp.MustCompile(`unknown key`).MatchString(err.Error()) {
				t.Errorf("%s: %v does not say what to do", name, err)
			}
		}
	}
}

// Keys of EMQ X 4's listeners that are not here say what to do instead.
func TestKeysOfListenersOfEMQX(t *testing.T) {
	for _, name := range []string{"compress", "deflate_opts.level", "idle_timeout", "mqtt_piggyback", "acceptors", "send_timeout"} {
		_, err := parse(t, "listener.ws.external.bind = 1\nlistener.ws.external."+name+" = \"1\"\n")
		if err == nil || !regexp.MustCompile(`remove the key`).MatchString(err.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
