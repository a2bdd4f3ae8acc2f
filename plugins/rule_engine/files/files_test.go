package files

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const good = `
[rule.a]
sql = '''SELECT 1'''
[[rule.a.action]]
name = "republish"
params = { target_topic = "x", deep = { list = [1, 2] } }
[[rule.a.action.fallback]]
name = "inspect"

[resource."resource:1"]
type = "web_hook"
[resource."resource:1".config]
url = "http://x"
`

// TestScan: what is right is read, what is not is told with its place, and what a
// torn file had stays.
func TestScan(t *testing.T) {
	dir := t.TempDir()
	f := Open(dir)
	if c, changed, err := f.Scan(); err != nil || changed || len(c.Rules) != 0 {
		t.Fatalf("of nothing: %v, %v", changed, err)
	}
	write(t, dir, "a.toml", good)
	c, changed, err := f.Scan()
	if err != nil || !changed {
		t.Fatal(err)
	}
	a := c.Rules["a"]
	if a.SQL != "SELECT 1" || len(a.Actions) != 1 || a.Actions[0].Params["target_topic"] != "x" || a.Actions[0].Fallbacks[0].Name != "inspect" {
		t.Errorf("%+v", a)
	}
	if r := c.Resources["resource:1"]; r.Type != "web_hook" || r.Config["url"] != "http://x" || c.ResourceAt["resource:1"].Line != 11 || c.RuleAt["a"].Line != 3 {
		t.Errorf("%+v at %v, %v", r, c.ResourceAt["resource:1"], c.RuleAt["a"])
	}
	if _, changed, _ = f.Scan(); changed {
		t.Error("changed without a change")
	}
	for text, want := range map[string]string{
		"[rule.a\n":                                "a.toml:2: expected",
		"[rule.a]\nsql = 3\n":                      "a.toml:2: ",
		"[rule.a]\nsql = ''\ncolour = 1\n":         `a.toml:3: unknown key "rule.a.colour"`,
		"[rule.a]\nsql = ''\n[rule.a]\nsql = ''\n": "a.toml:3: ",
		strings.Repeat("#", maxFile+1):             "larger than",
	} {
		write(t, dir, "a.toml", text)
		c, _, err := f.Scan()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %s", text, err, want)
		}
		if c.Rules["a"].SQL != "SELECT 1" {
			t.Errorf("%.30q: what was right is gone", text)
		}
	}
	write(t, dir, "a.toml", good)
	write(t, dir, "b.toml", "[rule.a]\nsql = 'SELECT 2'\n")
	if c, _, err := f.Scan(); err == nil || !strings.Contains(err.Error(), "b.toml:2: there is a rule a in "+filepath.Join(dir, "a.toml:3")) || c.Rules["a"].SQL != "SELECT 1" {
		t.Errorf("twice: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "a.toml")); err != nil {
		t.Fatal(err)
	}
	if c, changed, err := f.Scan(); err != nil || !changed || c.Rules["a"].SQL != "SELECT 2" || len(c.Resources) != 0 {
		t.Errorf("after a file went: %v, %v, %v", c.Rules, changed, err)
	}
}

// TestWrite: what is written is read back the same, by nobody else, and files of
// people are left alone.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rules")
	f := Open(dir)
	off := false
	rule := Rule{SQL: "SELECT *\nFROM \"a\"", Enabled: &off, Actions: []Action{{Name: "republish", ID: "x", Params: map[string]any{"n": int64(1), "f": 1.5, "deep": map[string]any{"a": "'\"\\"}},
		Fallbacks: []Action{{Name: "inspect"}}}}}
	if err := f.PutRule("rule:1", rule, Place{}); err != nil {
		t.Fatal(err)
	}
	if err := f.PutResource("r", Resource{Type: "web_hook", Config: map[string]any{"password": "p"}}, Place{}); err != nil {
		t.Fatal(err)
	}
	c, _, err := f.Scan()
	if err != nil {
		t.Fatal(err)
	}
	got := c.Rules["rule:1"]
	if got.SQL != rule.SQL || *got.Enabled || got.Actions[0].Params["n"] != int64(1) || got.Actions[0].Params["deep"].(map[string]any)["a"] != "'\"\\" || len(got.Actions[0].Fallbacks) != 1 {
		t.Errorf("read back %+v", got)
	}
	if info, err := os.Stat(f.ResourcePath("r")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := f.PutRule("rule:1", rule, Place{File: "other.toml", Line: 2}); !errors.Is(err, ErrByHand) {
		t.Errorf("by hand: %v", err)
	}
	if err := f.DeleteRule("rule:1", Place{File: "other.toml"}); !errors.Is(err, ErrByHand) {
		t.Errorf("by hand: %v", err)
	}
	if err := errors.Join(f.DeleteRule("rule:1", c.RuleAt["rule:1"]), f.DeleteResource("r", c.ResourceAt["r"])); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
