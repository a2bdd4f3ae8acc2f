package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The walk through docs/operations.md works, command by command.
func TestOperationsWalk(t *testing.T) {
	t.Setenv(asMain, "1")
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	walk := regexp.MustCompile("(?s)```sh\n(dunlin check-config.*?)```").FindSubmatch(doc)
	if walk == nil {
		t.Fatal("there is no walk")
	}
	dir := home(t, oneListener)
	t.Cleanup(func() { dunlin(t, "stop", "--home", dir) })
	for line := range strings.Lines(string(walk[1])) {
		args := append(strings.Fields(line)[1:], "--home", dir)
		if r := dunlin(t, args...); r.code != exitOK || r.out == "" {
			t.Fatalf("%sexit code %d\nstdout: %s\nstderr: %s", line, r.code, r.out, r.err)
		}
	}
}

// Every command has a place in docs/operations.md.
func TestOperationsNamesEveryVerb(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{}
	for _, cmd := range a.ctl().Commands() {
		if !strings.Contains(string(doc), cmd.Name()) {
			t.Errorf("%s is not in docs/operations.md", cmd.Name())
		}
	}
}
