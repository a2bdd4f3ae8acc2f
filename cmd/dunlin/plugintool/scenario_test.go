package plugintool

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// guest builds a C plugin from its source with a manifest and returns the target.
func guest(t *testing.T, source, manifest string) *Target {
	t.Helper()
	at := filepath.Join(t.TempDir(), "p")
	if err := New(at, "p", "c", "acl"); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"plugin.c": "#include \"dunlin.h\"\n" + source, "plugin.toml": "name = \"p\"\nversion = \"1\"\nabi = 1\n" + manifest} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Build(t.Context(), at, "", false)
	if err != nil {
		t.Fatal(err)
	}
	return &Target{Path: b.Artefact}
}

func scenario(t *testing.T, text string) *Scenario {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ReadScenario(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const interceptPublish = "[[hook]]\nname = \"publish\"\nclass = \"intercept\"\n"

// A verdict that differs is a failure with what was wanted and what came.
func TestDifferencesAreShown(t *testing.T) {
	target := guest(t, `void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) { dunlin_deny(v, 0x87, "no"); }`, interceptPublish)
	res, err := target.Test(t.Context(), scenario(t, `
[[step]]
hook = "publish"
record = [
  { slots = { topic = "a" }, want = { action = "deny", reason = 0x87, text = "no" } },
  { slots = { topic = "b" }, repeat = 2, want = { action = "deny", reason = 0x80 } },
  { slots = { topic = "c" } },
]`))
	if err != nil {
		t.Fatal(err)
	}
	if res.Records != 4 || len(res.Failures) != 3 {
		t.Fatalf("%+v", res)
	}
	f := res.Failures[0]
	got := f.Got.(map[string]any)
	if f.Step != 1 || f.Record != 2 || f.What != "publish topic=b" || got["text"] != "no" || got["reason"] != 135.0 {
		t.Errorf("%+v", f)
	}
}

// Publications by host calls, the topic store's calls and faults can be asked for.
func TestEffects(t *testing.T) {
	target := guest(t, `
void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) {
	if (dunlin_has_prefix(dunlin_message_topic(r), "trap")) __builtin_trap();
	dunlin_publish(dunlin_text("copy"), dunlin_message_payload(r), 1 | DUNLIN_FLAG_RETAIN);
}
void dunlin_on_retained_store(const dunlin_record *r, dunlin_verdict *v) {
	dunlin_topicstore_put(0, 5000);
	dunlin_allow(v);
}`, "capabilities = [\"publish\", \"topicstore\"]\n"+interceptPublish+"[[hook]]\nname = \"retained_store\"\nclass = \"provide\"\n")
	s := scenario(t, `
[[step]]
hook = "publish"
record = [ { slots = { topic = "a", payload = "hex:00ff" } } ]
publishes = [ { topic = "copy", payload = "hex:00ff", qos = 1, retain = true } ]
[[step]]
hook = "publish"
record = [ { slots = { topic = "trap" } } ]
fault = "unreachable"
[[step]]
hook = "retained_store"
record = [ { slots = { topic = "a", payload = "x" }, want = { action = "allow" } } ]
store = [ { call = "put", record = 0, ttl_ms = 5000 } ]`)
	res, err := target.Test(t.Context(), s)
	if err != nil || len(res.Failures) > 0 {
		t.Errorf("%v %+v", err, res)
	}
	s.Steps[0].Publishes, s.Steps[1].Fault, s.Steps[2].Store = nil, "", nil
	if res, err = target.Test(t.Context(), s); err != nil || len(res.Failures) != 3 {
		t.Errorf("what was not asked for: %v %+v", err, res)
	}
}

func TestScenarioFaults(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"":                        "no [[step]]",
		"[[step]]\nhok = \"acl\"": `no key "step.hok"`,
		"[[step]]\nhook = ":       "s.toml:2:",
		"[[step]]\nhook = \"acl\"\nrecord = [ 1 ]": "s.toml",
	} {
		path := filepath.Join(dir, "s.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadScenario(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	target := guest(t, `void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) {}`, interceptPublish)
	for text, want := range map[string]string{
		`hook = "nothing"`: `step 1: there is no hook "nothing"`,
		`hook = "acl"`:     `the manifest does not name the hook "acl"`,
		"hook = \"publish\"\nrecord = [ { slots = { filter = \"x\" } } ]": `publish has no slot "filter"; it has client_id`,
		"hook = \"publish\"\nrecord = [ { flags = [\"loud\"] } ]":         `there is no flag "loud"; there are bridge`,
		"hook = \"publish\"\nrecord = [ { slots = { topic = true } } ]":   "slot topic: true is not a text",
	} {
		if _, err := target.Test(t.Context(), scenario(t, "[[step]]\n"+text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A scenario may be JSON, and a plugin is refused as the broker would refuse it.
func TestScenarioJSONAndRefusal(t *testing.T) {
	target := guest(t, `const char *dunlin_configure(void) { dunlin_bytes v; return dunlin_config(dunlin_text("bad"), &v) ? "bad is set" : 0; }
void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) {}`, interceptPublish)
	path := filepath.Join(t.TempDir(), "s.json")
	if err := os.WriteFile(path, []byte(`{"config":{"bad":"yes"},"step":[{"hook":"publish","record":[{"slots":{"topic":"a"}}]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ReadScenario(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Test(t.Context(), s); err == nil || !strings.Contains(err.Error(), "configuration refused: bad is set") {
		t.Errorf("%v", err)
	}
	delete(s.Config, "bad")
	if res, err := target.Test(t.Context(), s); err != nil || len(res.Failures) > 0 {
		t.Errorf("%v %+v", err, res)
	}
	if _, err := (&Target{Path: filepath.Join(t.TempDir(), "x.wasm")}).Test(t.Context(), s); err == nil || !strings.Contains(err.Error(), "--manifest names one") {
		t.Errorf("%v", err)
	}
}
