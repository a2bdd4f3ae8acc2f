package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/sys"
)

// result is what one command line did.
type result struct {
	code     int
	out, err string
}

func dunlin(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	// A cleanup stops the node, and by then the test's context has ended.
	code := run(context.WithoutCancel(t.Context()), args, &out, &errs)
	return result{code, out.String(), errs.String()}
}

func (r result) check(t *testing.T, code int, out, errs string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.out, out) || !strings.Contains(r.err, errs) {
		t.Errorf("exit code %d, want %d\nstdout: %s\nwant: %s\nstderr: %s\nwant: %s", r.code, code, r.out, out, r.err, errs)
	}
}

// home makes a home directory with the configuration given.
func home(t *testing.T, doc string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dunlin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc", "dunlin.toml"), []byte(doc), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

const oneListener = "listener.tcp.external.bind = \"127.0.0.1:0\"\n"

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"strat"}, `unknown command "strat" for "dunlin"; did you mean "start"?`},
		{[]string{"ctl", "plugns"}, `unknown command "plugns" for "dunlin ctl"; did you mean "plugins"?`},
		{[]string{"ctl", "plugins", "xyzzy"}, `unknown command "xyzzy" for "dunlin ctl plugins"`},
		{[]string{"--nonsense"}, "unknown flag: --nonsense"},
		{[]string{"version", "extra"}, `unknown command "extra"`},
		{[]string{"ctl", "plugins", "load"}, "accepts 1 arg(s), received 0"},
		{[]string{"ctl", "status", "-o", "xml"}, `"xml" is none of table, wide, json`},
	} {
		dunlin(t, c.args...).check(t, exitUsage, "", c.want)
	}
}

func TestHelpIsEverywhere(t *testing.T) {
	for _, args := range [][]string{
		{}, {"ctl"}, {"ctl", "plugins"}, {"cert"}, {"--help"}, {"foreground", "--help"}, {"start", "--help"}, {"stop", "--help"},
		{"restart", "--help"}, {"ping", "--help"}, {"check-config", "--help"}, {"cert", "dev", "--help"}, {"version", "--help"},
		{"ctl", "status", "--help"}, {"ctl", "plugins", "list", "--help"}, {"ctl", "plugins", "show", "--help"},
		{"ctl", "plugins", "load", "--help"}, {"ctl", "plugins", "unload", "--help"}, {"ctl", "plugins", "reload", "--help"},
		{"completion", "bash", "--help"},
	} {
		dunlin(t, args...).check(t, exitOK, "Usage:", "")
	}
}

func TestVersion(t *testing.T) {
	dunlin(t, "version").check(t, exitOK, "dunlin "+sys.Version, "")
}

func TestCompletion(t *testing.T) {
	dunlin(t, "completion", "bash").check(t, exitOK, "__start_dunlin", "")
	dunlin(t, "__complete", "ctl", "pl").check(t, exitOK, "plugins\tList and change plugins", "")
}

func TestCheckConfig(t *testing.T) {
	good := home(t, oneListener)
	dunlin(t, "check-config", "--home", good).check(t, exitOK, "is ok: 1 listeners, 2 zones", "")
	bad := home(t, oneListener+"nodes.name = 1\nzone.external.max_inflght = 2\n")
	r := dunlin(t, "check-config", "--config", filepath.Join(bad, "etc", "dunlin.toml"))
	r.check(t, exitError, "", "the configuration has 2 faults\n")
	r.check(t, exitError, "", `dunlin.toml:2: nodes.name: unknown key; did you mean "node"?`)
	r.check(t, exitError, "", `dunlin.toml:3: zone.external.max_inflght: unknown key; did you mean "zone.external.max_inflight"?`)
	dunlin(t, "check-config", "--home", t.TempDir()).check(t, exitError, "", "no such file")
}

// A fault stops the start before anything is made.
func TestForegroundRefusesFaults(t *testing.T) {
	dir := home(t, "nonsense = 1\n"+oneListener)
	dunlin(t, "foreground", "--home", dir).check(t, exitError, "", "nonsense: unknown key")
	if _, err := os.Stat(filepath.Join(dir, "data")); !os.IsNotExist(err) {
		t.Errorf("the data directory was made: %v", err)
	}
}

func TestNoNode(t *testing.T) {
	dir := home(t, oneListener)
	for _, args := range [][]string{{"ping"}, {"stop"}, {"ctl", "status"}, {"ctl", "plugins", "list"}, {"ctl", "plugins", "load", "x"}} {
		dunlin(t, append(args, "--home", dir)...).check(t, exitUnreachable, "", "no node answers on "+filepath.Join(dir, "data", "admin.sock"))
	}
}

// shelf is one plugin that can be loaded and one that cannot.
type shelf struct{}

func (shelf) Plugins() []admin.Plugin {
	return []admin.Plugin{{Name: "retainer", Version: "1.0.0", Description: "keeps messages", Transport: "wasm", State: "active", Hooks: []string{"a", "b"}, Calls: 42}}
}

func (shelf) change(name string) error {
	if name != "retainer" {
		return admin.ErrNotFound
	}
	return nil
}

func (s shelf) Load(_ context.Context, name string) error   { return s.change(name) }
func (s shelf) Unload(_ context.Context, name string) error { return s.change(name) }
func (s shelf) Reload(_ context.Context, name string) error { return s.change(name) }
func (s shelf) Enable(name string, _ bool) error            { return s.change(name) }

type house struct{}

func (house) Counts() admin.Counts { return admin.Counts{Connections: 3, Sessions: 4, Routes: 17} }
func (house) Listeners() []admin.Listener {
	return []admin.Listener{{ID: "tcp:external", Address: "127.0.0.1:1883", Connections: 3}}
}

// node runs an admin service for the data directory of dir until the test ends
// or someone asks it to stop.
func node(t *testing.T, dir string) {
	t.Helper()
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := admin.Listen(admin.Config{DataDir: data, Node: "n@h", Version: "1.2.3", Started: time.Now(), Stop: cancel, Log: zap.NewNop()}, shelf{}, house{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestCtl(t *testing.T) {
	dir := home(t, oneListener)
	node(t, dir)
	at := func(args ...string) []string { return append(args, "--home", dir) }

	dunlin(t, at("ping")...).check(t, exitOK, "pong\n", "")
	status := dunlin(t, at("ctl", "status")...)
	status.check(t, exitOK, "Node 'n@h' 1.2.3 is started\n", "")
	status.check(t, exitOK, "connections   : 3\n", "")
	status.check(t, exitOK, "tcp:external  127.0.0.1:1883  3\n", "")
	dunlin(t, at("ctl", "status", "-o", "wide")...).check(t, exitOK, "routes        : 17\n", "")

	list := dunlin(t, at("ctl", "plugins", "list")...)
	list.check(t, exitOK, "NAME      VERSION  TYPE  STATE   DESCRIPTION\nretainer  1.0.0    wasm  active  keeps messages\n", "")
	dunlin(t, at("ctl", "plugins", "list", "-o", "wide")...).check(t, exitOK, "a,b\n", "")
	dunlin(t, at("ctl", "plugins", "show", "retainer")...).check(t, exitOK, "hooks       : a, b\n", "")
	dunlin(t, at("ctl", "plugins", "show", "nope")...).check(t, exitNotFound, "", `no plugin "nope" is loaded`)
	for verb, done := range map[string]string{"load": "loaded", "unload": "unloaded", "reload": "reloaded", "enable": "enabled", "disable": "disabled"} {
		dunlin(t, at("ctl", "plugins", verb, "retainer")...).check(t, exitOK, "Plugin retainer "+done+" successfully.\n", "")
		dunlin(t, at("ctl", "plugins", verb, "nope")...).check(t, exitNotFound, "", "error: not found\n")
	}
	dunlin(t, "__complete", "--home", dir, "ctl", "plugins", "unload", "").check(t, exitOK, "retainer\tkeeps messages", "")
}

func TestCtlJSON(t *testing.T) {
	dir := home(t, oneListener)
	node(t, dir)
	var st statusView
	r := dunlin(t, "ctl", "status", "-o", "json", "--data-dir", filepath.Join(dir, "data"))
	if err := json.Unmarshal([]byte(r.out), &st); err != nil || st.Node != "n@h" || st.Connections != 3 || len(st.Listeners) != 1 || st.PID != int64(os.Getpid()) {
		t.Errorf("status is %s (%v)", r.out, err)
	}
	var plugins []pluginJSON
	r = dunlin(t, "ctl", "plugins", "list", "-o", "json", "--home", dir)
	if err := json.Unmarshal([]byte(r.out), &plugins); err != nil || len(plugins) != 1 || plugins[0].Calls != 42 || len(plugins[0].Hooks) != 2 {
		t.Errorf("plugins are %s (%v)", r.out, err)
	}
}

// A node is reached while its file has faults: its operator is mending it.
func TestCtlWithABrokenFile(t *testing.T) {
	dir := home(t, oneListener+"nonsense = 1\n")
	node(t, dir)
	dunlin(t, "ping", "--home", dir).check(t, exitOK, "pong", "")
	dunlin(t, "start", "--home", dir).check(t, exitError, "", "nonsense: unknown key")
}

func TestStop(t *testing.T) {
	dir := home(t, oneListener)
	node(t, dir)
	dunlin(t, "start", "--home", dir).check(t, exitError, "", "a node is already running")
	dunlin(t, "stop", "--home", dir).check(t, exitOK, "ok\n", "")
	dunlin(t, "ping", "--home", dir).check(t, exitUnreachable, "", "no node answers")
}

// A buffer is no terminal: nothing is coloured.
func TestNoColoursInAPipe(t *testing.T) {
	dir := home(t, oneListener)
	node(t, dir)
	for _, args := range [][]string{{"ctl", "status"}, {"ctl", "plugins", "list"}, {"ctl", "plugins", "show", "retainer"}, {"nonsense"}} {
		if r := dunlin(t, append(args, "--home", dir)...); strings.Contains(r.out+r.err, "\x1b") {
			t.Errorf("%q: %q %q", args, r.out, r.err)
		}
	}
}
