package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// locked is a broker that takes plugins only as `dunlin plugin add` has installed
// them; more goes under [plugins].
func locked(t *testing.T, more string) *broker {
	t.Helper()
	return start(t, setup{etc: map[string]string{"etc/dunlin.toml": fmt.Sprintf(
		"listener.tcp.external.bind = \"127.0.0.1:0\"\n[plugins]\ndirs = [\"plugins\"]\ncache_dir = %q\n%s", pluginCache, more)}})
}

// tool runs a command of `dunlin plugin`.
func (b *broker) tool(args ...string) (string, error) {
	out, err := b.dunlin(append([]string{"plugin"}, args...)...).CombinedOutput()
	return string(out), err
}

// must insists that a command worked.
func (b *broker) must(out string, err error) string {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// says insists that a command failed and said all of want.
func (b *broker) says(out string, err error, want ...string) {
	b.t.Helper()
	for _, w := range want {
		if err == nil || !strings.Contains(out, w) {
			b.t.Errorf("%v\n%s\nwant %q", err, out, w)
		}
	}
}

// moduleFolder is a copy of a bundled plugin's folder with the module alone.
func moduleFolder(t *testing.T, name string) string {
	t.Helper()
	from, to := filepath.Join(repo, "build", "plugins", name), filepath.Join(t.TempDir(), name)
	for _, file := range []string{"plugin.toml", "schema.json", name + ".wasm"} {
		text, err := os.ReadFile(filepath.Join(from, file))
		if err == nil {
			err = os.MkdirAll(to, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, file), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// flip changes one byte of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A plugin is added, loaded and reloaded by its lock. A byte that changes on the disk
// is refused by reload, load and start, with the file, both sums and what to do; what
// runs goes on, and the list says why a plugin that is on is not there.
func TestAChangedByteIsRefused(t *testing.T) {
	t.Parallel()
	b := locked(t, "")
	from := moduleFolder(t, "rewrite")
	out, err := b.tryCtl("plugins", "load", "rewrite")
	b.says(out, err, "looked for")
	out = b.must(b.tool("add", from, "--grant"))
	for _, want := range []string{"asks for    : nothing", "signed      : by nobody", " rewrite.wasm", "next        : dunlin ctl plugins load rewrite"} {
		if !strings.Contains(out, want) {
			t.Errorf("add says\n%s\nwant %q", out, want)
		}
	}
	rules := filepath.Join(b.home, "etc/plugins/rewrite.toml")
	if err := os.WriteFile(rules, []byte("[config]\npub.rule.1 = 'in/# ^in/(\\w+)$ out/$1'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.ctl("plugins", "load", "rewrite")
	if out := b.ctl("plugins", "show", "rewrite"); !strings.Contains(out, "vouched by  : plugins.lock") {
		t.Errorf("show says\n%s", out)
	}
	c := b.dial(v5)
	c.connect("c")
	c.subscribe("out/#", 1)
	works := func() {
		t.Helper()
		c.publish("in/a", "x", 1)
		c.expect("out/a", "x")
	}
	works()

	wasm := filepath.Join(b.home, "plugins/rewrite/rewrite.wasm")
	flip(t, wasm)
	changed := wasm + ": the file was changed after `dunlin plugin add`"
	out, err = b.tryCtl("plugins", "reload", "rewrite")
	b.says(out, err, changed, "plugins.lock has sha256 ", "found is ", "put the old file back, or run `dunlin plugin add`")
	works()
	b.ctl("plugins", "unload", "rewrite")
	out, err = b.tryCtl("plugins", "load", "rewrite")
	b.says(out, err, changed)
	if err := os.WriteFile(filepath.Join(b.home, "loaded_plugins"), []byte("{rewrite, true}.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := b.ctl("plugins", "list"); !strings.Contains(out, "not loaded") || !strings.Contains(out, changed) {
		t.Errorf("list says\n%s", out)
	}
	var list []struct{ Name, State, Error string }
	if err := json.Unmarshal([]byte(b.ctl("plugins", "list", "-o", "json")), &list); err != nil || len(list) != 1 ||
		list[0].State != "not loaded" || !strings.Contains(list[0].Error, changed) {
		t.Errorf("%v, %+v", err, list)
	}
	b.stop()
	said, err := b.dunlin("foreground").CombinedOutput()
	b.says(string(said), err, changed)

	flip(t, wasm) // as it was
	b.run()
	c = b.dial(v5)
	c.connect("c")
	c.subscribe("out/#", 1)
	works()
	out, err = b.tool("remove", "rewrite")
	b.says(out, err, "`dunlin ctl plugins unload rewrite` first")
}

// Where signatures are wanted, only what a trusted key has signed is added, and loaded.
func TestOnlySignedPlugins(t *testing.T) {
	t.Parallel()
	keys := t.TempDir()
	key, err := exec.Command(binary, "plugin", "keygen", filepath.Join(keys, "ours")).Output()
	if err != nil {
		t.Fatal(err)
	}
	b := locked(t, fmt.Sprintf("require_signature = true\ntrusted_keys = [%q]\n", strings.TrimSpace(string(key))))
	from := moduleFolder(t, "rewrite")
	out, err := b.tool("add", from)
	b.says(out, err, "the plugin is not signed, and plugins.require_signature is on")
	b.must(b.tool("sign", from, "--key", filepath.Join(keys, "ours")))
	if out := b.must(b.tool("add", from)); !strings.Contains(out, "(trusted)") {
		t.Errorf("add says\n%s", out)
	}
	b.ctl("plugins", "load", "rewrite")
	if out := b.ctl("plugins", "show", "rewrite"); !strings.Contains(out, "signed by "+strings.TrimSpace(string(key))) {
		t.Errorf("show says\n%s", out)
	}
	// Whoever can write the lock cannot sign.
	if err := os.Remove(filepath.Join(b.home, "plugins/rewrite/plugin.sig")); err != nil {
		t.Fatal(err)
	}
	out, err = b.tryCtl("plugins", "reload", "rewrite")
	b.says(out, err, "plugin.sig is missing: plugins.require_signature")
	b.ctl("plugins", "unload", "rewrite")
	b.must(b.tool("remove", "rewrite"))
	if _, err := os.Stat(filepath.Join(b.home, "plugins/rewrite")); !os.IsNotExist(err) {
		t.Errorf("after remove: %v", err)
	}
}
