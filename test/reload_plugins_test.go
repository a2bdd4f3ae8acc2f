package test

import (
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// A reload sees the files of plugins, too: they and the configuration change together or not at all, under load, with SIGHUP and
// with ctl.
func TestReloadOfPluginFiles(t *testing.T) {
	t.Parallel()
	rule := func(to string) string {
		return "[plugin.hook.publish]\nfilters = [\"in/#\"]\n[config]\npub.rule.1 = 'in/# ^in/(\\w+)$ " + to + "/$1'\n"
	}
	r := startReloading(t, module("rewrite", rule("first")))
	end := r.traffic()
	sub, pub := r.dial(v5), r.dial(v5)
	sub.connect("sub")
	sub.subscribe("first/#", 1)
	sub.subscribe("second/#", 1)
	sub.subscribe("third/#", 1)
	pub.connect("pub")
	goes := func(to string) {
		t.Helper()
		pub.publishSync(&packet.Publish{Topic: "in/x", Payload: []byte(to), QoS: 1})
		sub.expect(to+"/x", to)
	}
	inForce := func(value string) {
		t.Helper()
		if got := r.shown("zone.external.")["max_inflight"]; got != value {
			t.Errorf("max_inflight is %s, want %s", got, value)
		}
	}
	goes("first")
	const file = "etc/plugins/rewrite.toml"
	r.file(file, rule("second"))
	if said := r.mustReload("zone.external.max_inflight = 7\n"); !strings.Contains(said, `"plugins": ["rewrite"]`) {
		t.Errorf("the log says\n%s", said)
	}
	goes("second")
	inForce("7")

	r.file(file, "[config]\npub.rule.1 = 'in/#'\n")
	r.conf("zone.external.max_inflight = 8\n")
	if said := r.reload(); !strings.Contains(said, reloadRejected) || !strings.Contains(said, "rewrite.toml:2") {
		t.Errorf("a broken file of a plugin: the log says\n%s", said)
	}
	goes("second")
	inForce("7")

	r.file(file, rule("third"))
	r.conf("zone.external.max_inflight = \"many\"\n")
	if out, err := r.tryCtl("config", "reload"); err == nil || !strings.Contains(out, "max_inflight") {
		t.Errorf("a broken configuration: %v, %s", err, out)
	}
	goes("second")
	r.conf("listener.tcp.more.bind = \"" + r.addr("tcp:external") + "\"\n") // taken: found after the plugin was made ready
	if out, err := r.tryCtl("config", "reload"); err == nil || !strings.Contains(out, "in use") {
		t.Errorf("a listener without an address: %v, %s", err, out)
	}
	goes("second")

	r.conf("zone.external.max_inflight = 9\n")
	if out := r.ctl("config", "reload"); !strings.Contains(out, "changed: plugin rewrite\n") || !strings.Contains(out, "changed: zone.external.max_inflight\n") {
		t.Errorf("ctl says %s", out)
	}
	goes("third")
	inForce("9")
	if out := r.ctl("config", "reload"); out != "ok\n" {
		t.Errorf("with nothing to do ctl says %s", out)
	}
	end()
}
