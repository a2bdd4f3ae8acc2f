package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLogRotation: the log of a node in the background is moved at its size, as
// many as are asked for are kept, and a reload changes both.
func TestLogRotation(t *testing.T) {
	t.Parallel()
	b := prepared(t, setup{config: "log.to = \"file\"\nlog.formatter = \"json\"\nlog.rotation.size = \"4KB\"\nlog.rotation.count = 2\n"})
	if out, err := b.dunlin("start").CombinedOutput(); err != nil {
		t.Fatalf("start: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = b.dunlin("stop").Run() })
	b.log = new(lockedBuffer)
	file := filepath.Join(b.home, "log", "dunlin.log")
	there := func(name string) bool { _, err := os.Stat(name); return err == nil }
	b.eventually("two files are moved", func() bool {
		b.ctl("log", "set-level", "info") // each is a line of the log
		return there(file+".1") && there(file+".2")
	})
	for range 5 {
		b.ctl("log", "set-level", "info")
	}
	if there(file + ".3") {
		t.Error("more are kept than asked for")
	}
	for _, name := range []string{file, file + ".1", file + ".2"} {
		text, err := os.ReadFile(name)
		if err != nil || len(text) > 4<<10 {
			t.Errorf("%s has %d bytes, %v", name, len(text), err)
		}
		for line := range strings.Lines(string(text)) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s has a broken line: %q", name, line)
			}
		}
	}
	if err := os.MkdirAll(filepath.Join(b.home, "etc", "conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.home, "etc", "conf.d", "log.toml"), []byte("log.rotation.count = 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := b.ctl("config", "reload"); !strings.Contains(out, "changed: log.rotation.count") || there(file+".2") {
		t.Errorf("after a reload: .2 is there: %v\n%s", there(file+".2"), out)
	}
}

// TestConsoleLog: what a node in the background writes to standard error is in
// log/console.log, and is moved by the next start.
func TestConsoleLog(t *testing.T) {
	t.Parallel()
	b := prepared(t, setup{config: "log.rotation.size = \"1KB\"\nlog.level = \"debug\"\n"})
	for range 3 {
		for _, verb := range []string{"start", "stop"} {
			if out, err := b.dunlin(verb).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", verb, err, out)
			}
		}
	}
	for _, name := range []string{"console.log", "console.log.1"} {
		if text, err := os.ReadFile(filepath.Join(b.home, "log", name)); err != nil || !strings.Contains(string(text), "the node has stopped") {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}
