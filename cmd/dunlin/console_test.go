package main

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		"":                         nil,
		"  clients   list ":        {"clients", "list"},
		`clients show "a b" 'c"d'`: {"clients", "show", "a b", `c"d`},
		`banned add clientid x""y`: {"banned", "add", "clientid", "xy"},
		`clients show ""`:          {"clients", "show", ""},
	} {
		got, err := split(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %q, %v, want %q", line, got, err, want)
		}
	}
	if _, err := split(`clients show "a`); err == nil {
		t.Error("an open quote is accepted")
	}
}

func TestCompleteALine(t *testing.T) {
	dir := home(t, oneListener)
	node(t, dir)
	data := dir + "/data"
	for line, want := range map[string]string{
		"plu":                "plugins ",
		"plugins show r":     "plugins show retainer ",
		"cl":                 "clients ",
		"s":                  "s", // several
		"plugins nothing":    "plugins nothing",
		`clients show "open`: `clients show "open`,
	} {
		var choice bytes.Buffer
		if got := complete(t.Context(), &choice, data, line); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
		if line == "s" && choice.String() != "status  store  subscriptions\n" {
			t.Errorf("the choice is %q", &choice)
		}
	}
}

// Commands from a pipe are answered one after the other, and quit stops the node.
func TestConsoleWithoutATerminal(t *testing.T) {
	dir := home(t, oneListener)
	var out, errs bytes.Buffer
	a := &app{out: &out, err: &errs, in: strings.NewReader("status\nctl listeners\n\nnonsense\n\"open\nhelp vm\nquit\nstatus\n")}
	root := a.root()
	root.SetArgs([]string{"console", "--home", dir})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"is started\n", "tcp:external", `unknown command "nonsense"`, "is not closed", "garbage collection", "the node has stopped"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "is started\n"); n != 1 {
		t.Errorf("%d commands after quit", n-1)
	}
}

func TestConsoleEndsWithItsInput(t *testing.T) {
	dir := home(t, oneListener)
	in, operator, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out bytes.Buffer
	a := &app{out: &out, err: io.Discard, in: in}
	root := a.root()
	root.SetArgs([]string{"console", "--home", dir})
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(t.Context()) }()
	if err := operator.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "the node has stopped") {
		t.Errorf("the console says %q", &out)
	}
}
