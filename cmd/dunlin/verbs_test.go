package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// each calls fn for every command that does something of its own.
func each(cmd *cobra.Command, fn func(*cobra.Command)) {
	for _, sub := range cmd.Commands() {
		each(sub, fn)
	}
	if cmd.HasParent() && (!cmd.HasSubCommands() || verbs[pathOf(cmd)].example != "") {
		fn(cmd)
	}
}

// Every command has an example, and every example is a command line.
func TestEveryVerbHasAnExample(t *testing.T) {
	rows := map[string]bool{}
	for path := range verbs {
		rows[path] = true
	}
	each((&app{}).root(), func(cmd *cobra.Command) {
		path := pathOf(cmd)
		if !rows[path] {
			t.Errorf("%q has no row in verbs", path)
		}
		delete(rows, path)
		words, err := split(verbs[path].example)
		if err != nil {
			t.Fatal(err)
		}
		if i := strings.Index(strings.Join(words, " "), "&&"); i >= 0 {
			words = strings.Fields(strings.Join(words, " ")[:i])
		}
		root := (&app{}).root()
		found, rest, err := root.Find(words)
		if err != nil || pathOf(found) != path {
			t.Errorf("the example of %q is one of %q (%v)", path, pathOf(found), err)
			return
		}
		if err := found.ParseFlags(rest); err != nil {
			t.Errorf("the example of %q: %v", path, err)
		}
		if err := found.ValidateArgs(found.Flags().Args()); err != nil {
			t.Errorf("the example of %q: %v", path, err)
		}
	})
	for path := range rows {
		t.Errorf("%q has a row in verbs and is no command", path)
	}
	dunlin(t, "ctl", "clients", "kick", "--help").check(t, exitOK, "Examples:\n  dunlin ctl clients kick sensor-7\n", "")
}

// Every command that lists or shows something has all three forms.
func TestListingsHaveForms(t *testing.T) {
	silent := map[string]bool{"config reload": true, "log set-level": true, "log primary-level": true, "acl cache-clean": true, "users passwd": true, "plugins command": true,
		"store check": true, "store compact": true, "store backup": true, "store restore": true,
		"topic-metrics register": true, "topic-metrics unregister": true, "topic-metrics reset": true}
	each((&app{}).ctl(), func(cmd *cobra.Command) {
		path := pathOf(cmd)
		acts := silent[path]
		for _, verb := range []string{"add", "del", "create", "update", "delete", "kick", "stop", "start", "restart", "load", "unload", "reload", "enable", "disable", "import", "cancel"} {
			acts = acts || cmd.Name() == verb
		}
		if (cmd.Flags().Lookup("output") == nil) != acts {
			t.Errorf("%s: acts is %v, -o is %v", path, acts, cmd.Flags().Lookup("output"))
		}
	})
}

// The shell is offered what the running node has.
func TestCompletionAsksTheNode(t *testing.T) {
	dir := home(t, oneListener)
	write(t, "", dir, "plugins", "found", "plugin.toml")
	one := connect(t, foreground(t, dir), "one")
	finish(t, one.Subscribe("a/#", 1, nil))
	ctl(t, dir, "banned", "add", "clientid", "three", "--reason", "noisy").check(t, exitOK, "ok", "")
	for line, want := range map[string]string{
		"clients kick o":                      "one\t127.0.0.1:",
		"clients kick x":                      ":4",
		"clients list --listener ":            "tcp:external\t127.0.0.1:",
		"subscriptions del one ":              "a/#\n",
		"subscriptions add one x ":            "0\n1\n2\n",
		"routes show a":                       "a/#\n",
		"listeners restart ":                  "tcp:external\t",
		"plugins load ":                       "found\n",
		"plugins show ":                       ":4",
		"banned del ":                         "clientid\nusername\npeerhost\n",
		"banned del clientid ":                "three\tnoisy\n",
		"config show listener.tcp.external.b": "listener.tcp.external.bind\n",
		"log set-level no":                    "notice\n",
		"clients list -o ":                    "table\nwide\njson\n",
	} {
		words := strings.Split(line, " ")
		r := dunlin(t, append([]string{"__complete", "--home", dir, "ctl"}, words...)...)
		if r.code != exitOK || !strings.HasPrefix(r.out, want) {
			t.Errorf("%q offers %q, want %q", line, r.out, want)
		}
	}
	gone := filepath.Join(dir, "nobody")
	dunlin(t, "__complete", "--data-dir", gone, "ctl", "clients", "kick", "").check(t, exitOK, ":4\n", "")
}
