package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCtlStatus: both forms of `ctl status` tell what is there, and follow it.
func TestCtlStatus(t *testing.T) {
	b := start(t, setup{})
	c := b.dial(v5)
	c.connect("counted")
	c.subscribe("counted/+", 1)
	s := b.nodeStatus()
	if s.Node != "dunlin@127.0.0.1" || s.Version == "" || s.PID != b.cmd.Process.Pid ||
		s.Connections != 1 || s.Sessions != 1 || s.Subscriptions != 1 || s.Routes != 1 || len(s.Listeners) != 4 {
		t.Errorf("status: %+v", s)
	}
	text := b.ctl("status")
	for _, want := range []string{"dunlin@127.0.0.1", s.Version, "connections", "tcp:external", b.addr("tcp:external"), "wss:external"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	c.close()
	b.eventually("the client is no longer counted", func() bool {
		s := b.nodeStatus()
		return s.Connections == 0 && s.Sessions == 0 && s.Subscriptions == 0
	})
	info, err := os.Stat(filepath.Join(b.home, "data", "admin.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the admin socket: %v %v", info, err)
	}
}

// TestCtlPlugins: the list in both forms, the outcomes of changes and their exit
// codes.
func TestCtlPlugins(t *testing.T) {
	b := start(t, setup{plugins: []string{"retainer"}})
	if p := b.pluginStatus("retainer"); p.State != "running" || p.Type != "wasm" || len(p.Hooks) != 2 || p.Version == "" {
		t.Errorf("retainer: %+v", p)
	}
	for _, want := range []string{"NAME", "retainer", "wasm", "running"} {
		if text := b.ctl("plugins", "list"); !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"plugins", "load", "presence"}, 0, "presence"},
		{[]string{"plugins", "load", "presence"}, 1, "loaded"},
		{[]string{"plugins", "unload", "presence"}, 0, "presence"},
		{[]string{"plugins", "unload", "presence"}, 1, "not loaded"},
		{[]string{"plugins", "load", "nobody"}, 3, "nobody"},
		{[]string{"plugins", "unload", "nobody"}, 1, "nobody"},
		{[]string{"plugins", "load", "../retainer"}, 1, "retainer"},
		{[]string{"plugins", "show", "nobody"}, 3, "nobody"},
		{[]string{"plugins", "load"}, 2, "arg"},
	} {
		out, err := b.tryCtl(tt.args...)
		code := 0
		if err != nil {
			code = b.exitCode(err)
		}
		if code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("ctl %v: exit %d, want %d with %q:\n%s", tt.args, code, tt.code, tt.want, out)
		}
	}
	var shown pluginStatus
	if err := json.Unmarshal([]byte(b.ctl("plugins", "show", "retainer", "-o", "json")), &shown); err != nil || shown.Name != "retainer" {
		t.Errorf("show: %+v %v", shown, err)
	}
	b.alive()
}

// TestCtlWithoutANode: ctl says plainly that nobody answers.
func TestCtlWithoutANode(t *testing.T) {
	b := start(t, setup{})
	b.stop()
	out, err := b.tryCtl("status")
	if err == nil || b.exitCode(err) != 5 || !strings.Contains(out, "no node answers") {
		t.Errorf("%v:\n%s", err, out)
	}
}
