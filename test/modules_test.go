package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module is the setup of a broker with one bundled plugin and its file.
func module(name, file string) setup {
	return setup{plugins: []string{name}, etc: map[string]string{"etc/plugins/" + name + ".toml": file}}
}

// reconfigure writes the plugin's file and reloads the plugin.
func (b *broker) reconfigure(name, file string) (string, error) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.home, "etc/plugins", name+".toml"), []byte(file), 0o644); err != nil {
		b.t.Fatal(err)
	}
	return b.tryCtl("plugins", "reload", name)
}

// refused insists that a configuration is refused with want and that the one
// before stays.
func (b *broker) refused(name, file, want string) {
	b.t.Helper()
	if out, err := b.reconfigure(name, file); err == nil || !strings.Contains(out, want) {
		b.t.Errorf("a broken configuration: %v\n%s\nwant %s", err, out, want)
	}
}

// TestRewriteModule: topics are rewritten for publishers and subscribers, by
// rules that a reload replaces and a broken file does not.
func TestRewriteModule(t *testing.T) {
	t.Parallel()
	b := start(t, module("rewrite", `[plugin.hook.publish]
filters = ["in/#"]
[config]
pub.rule.1 = 'in/# ^in/(\w+)$ devices/%c/$1'
sub.rule.1 = 'mine/# ^mine/(.+)$ devices/%u/$1'
`))
	m := mosquitto{b: b, id: "tcp:external", version: v5}
	sub := m.sub(t, "-t", "mine/+", "-t", "in/#", "-u", "c1", "-P", "x")
	m.pub(t, "-i", "c1", "-t", "in/one", "-m", "rewritten", "-q", "1")
	sub.expect("devices/c1/one 0 0 rewritten")
	m.pub(t, "-i", "c1", "-t", "in/one/two", "-m", "as it was")
	sub.expect("in/one/two 0 0 as it was")

	b.refused("rewrite", "[config]\npub.rule.1 = 'in/# ^in/(\\w+$ x/$1'\n", "pub.rule.1: error parsing regexp: missing closing )")
	b.refused("rewrite", "[config]\npub.rule.1 = 'in/# ^in/(\\w+)$ x/$1'\npub.rule.2 = 'in/#'\n", "rewrite.toml:3:")
	m.pub(t, "-i", "c1", "-t", "in/two", "-m", "still", "-q", "1")
	sub.expect("devices/c1/two 0 0 still")

	if out, err := b.reconfigure("rewrite", "[config]\npub.rule.1 = 'in/# ^in/(\\w+)$ devices/c1/new$1'\n"); err != nil {
		t.Fatalf("reload: %v\n%s", err, out)
	}
	m.pub(t, "-i", "c2", "-t", "in/two", "-m", "other rules", "-q", "1")
	sub.expect("devices/c1/newtwo 0 0 other rules")
}
