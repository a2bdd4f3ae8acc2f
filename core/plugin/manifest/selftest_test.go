package manifest

import (
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

const tested = "name = \"a\"\nversion = \"1\"\nabi = 1\n[[hook]]\nname = \"publish\"\nclass = \"intercept\"\n[[hook]]\nname = \"acked\"\nclass = \"observe\"\n"

func TestSelfTestRecord(t *testing.T) {
	m, err := ParseManifest("plugin.toml", []byte(tested+
		"[[self_test]]\nhook = \"publish\"\nflags = [\"retain\"]\nqos = 2\nslots = { topic = \"a/b\", payload = \"xyz\" }\nwant = \"drop\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	var w contract.Writer
	m.SelfTests[0].Record(&w)
	r, rest, err := contract.Split(w.Frame())
	if err != nil || len(rest) != 0 || r.Check() != nil {
		t.Fatalf("record %x, %v", w.Frame(), err)
	}
	_, named := r.Lookup(contract.SlotClientID)
	if r.Hook() != contract.HookPublish || r.Flags().QoS() != 2 || !r.Flags().Has(contract.FlagRetain) || r.Aux() != 3 || named ||
		string(r.Slot(contract.SlotTopic)) != "a/b" || string(r.Slot(contract.SlotPayload)) != "xyz" {
		t.Errorf("record %x", r.Raw())
	}
	if a, ok := m.SelfTests[0].Action(); a != contract.Drop || !ok {
		t.Errorf("action %v", a)
	}
}

func TestSelfTestFaults(t *testing.T) {
	for text, want := range map[string]string{
		"hook = \"publsh\"\nwant = \"allow\"":                            `plugin.toml:11: self_test 1: there is no hook "publsh"; did you mean "publish"?`,
		"hook = \"acl\"\nwant = \"allow\"":                               `the plugin has no hook "acl"`,
		"hook = \"acked\"\nwant = \"next\"":                              `hook "acked" is of class observe: it has no verdict`,
		"hook = \"publish\"\nwant = \"pending\"":                         `want = "pending": want next, allow`,
		"hook = \"publish\"":                                             `want = ""`,
		"hook = \"publish\"\nwant = \"drop\"\nqos = 3":                   "qos = 3",
		"hook = \"publish\"\nwant = \"drop\"\nflags = [\"dup\"]":         `flags: there is no "dup"; there are clean_start`,
		"hook = \"publish\"\nwant = \"drop\"\nslots = { topik = \"a\" }": `slots: there is no "topik"; did you mean "topic"?`,
		"hook = \"publish\"\nwants = \"drop\"":                           `unknown key "self_test.wants"`,
		strings.Repeat("hook = \"publish\"\nwant = \"drop\"\n[[self_test]]\n", maxSelfTests) + "hook = \"publish\"\nwant = \"drop\"": "65 self-tests: at most 64",
	} {
		_, err := ParseManifest("plugin.toml", []byte(tested+"[[self_test]]\n"+text+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: err = %v, want %q", text, err, want)
		}
	}
}
