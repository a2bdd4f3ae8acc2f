package test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// reloadsEach is how often each bundled plugin is reloaded; make bench-hostile says 30.
var reloadsEach = flag.Int("reloads", 2, "how often each bundled plugin is reloaded under load")

// Every bundled plugin is loaded, reloaded and unloaded under messages of QoS 1 and 2
// on real connections: none is lost, none comes twice or out of order, no client is
// disconnected.
func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	manifests, err := filepath.Glob(filepath.Join(repo, "plugins", "*", "plugin.toml"))
	if err != nil || len(manifests) == 0 {
		t.Fatal(err)
	}
	etc := map[string]string{
		"etc/acl.conf": "{allow, all}.\n", "etc/users": "# nobody\n", "etc/scram_users": "# nobody\n", "etc/rules/none.sql": "",
	}
	var names []string
	for _, m := range manifests {
		name := filepath.Base(filepath.Dir(m))
		text, err := os.ReadFile(filepath.Join(repo, "etc", "plugins", name+".toml"))
		if err != nil {
			t.Fatalf("a bundled plugin without its file: %v", err)
		}
		names = append(names, name)
		etc["etc/plugins/"+name+".toml"] = strings.ReplaceAll(string(text), "${env:DUNLIN_JWT_SECRET}", "secret")
	}
	b := start(t, setup{listeners: "[listener.tcp.external]\nbind = \"127.0.0.1:0\"\n", etc: etc})
	ps := b.pairs("reload", "load/a", "load/b", "load/c", "load/d")
	for _, name := range names {
		b.ctl("plugins", "load", name)
		ps.flows()
		for range *reloadsEach {
			b.ctl("plugins", "reload", name)
			ps.flows()
		}
	}
	for _, name := range slices.Backward(names) { // acl, the first, allows what auth_http without its server does not
		b.ctl("plugins", "unload", name)
	}
	ps.end()
}
