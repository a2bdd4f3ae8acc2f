package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra/doc"
)

//go:generate go test -count=1 -run TestManPages . -rewrite

var rewrite = flag.Bool("rewrite", false, "rewrite what a test compares with")

const manDir = "../../docs/man"

// The pages of docs/man are made of the commands and of docs/configuration.md.
func TestManPages(t *testing.T) {
	made := t.TempDir()
	makeMan(t, made)
	if *rewrite {
		if err := os.RemoveAll(manDir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(manDir, 0o755); err != nil {
			t.Fatal(err)
		}
		makeMan(t, manDir)
	}
	want, kept := manPages(t, made), manPages(t, manDir)
	for name, text := range want {
		if kept[name] != text {
			t.Errorf("docs/man/%s is not what the commands say: run `make man`", name)
		}
		delete(kept, name)
	}
	for name := range kept {
		t.Errorf("docs/man/%s is of no command: run `make man`", name)
	}
}

func manPages(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range files {
		all[filepath.Base(f)] = read(t, f)
	}
	return all
}

func makeMan(t *testing.T, dir string) {
	t.Helper()
	root := (&app{}).root()
	root.DisableAutoGenTag = true
	when := time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
	if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Date: &when, Source: "Dunlin", Manual: "Dunlin"}, dir); err != nil {
		t.Fatal(err)
	}
	text := read(t, "../../docs/configuration.md")
	text = regexp.MustCompile(`(?s)<!--.*?-->\n`).ReplaceAllString(text, "")
	text = strings.Replace(text, "# Configuration\n", "% \"DUNLIN.TOML\" \"5\" \"Nov 2026\" \"Dunlin\" \"Dunlin\"\n# NAME\ndunlin.toml - the configuration of the MQTT broker Dunlin\n\n# DESCRIPTION\n", 1)
	text = strings.ReplaceAll(text, "\n## ", "\n# ")
	write(t, string(md2man.Render([]byte(unroll(text)))), dir, "dunlin.toml.5")
}

// unroll writes tables as lists: a page is 80 columns wide.
func unroll(doc string) string {
	var out strings.Builder
	var head []string
	for line := range strings.Lines(doc) {
		if !strings.HasPrefix(line, "|") {
			head = nil
			out.WriteString(line)
			continue
		}
		cells := strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, "\x00"), "| \n"), "|")
		for i := range cells {
			cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "\x00", "|")
		}
		switch {
		case head == nil:
			head = cells
		case strings.HasPrefix(cells[0], "--"):
		default:
			fmt.Fprintf(&out, "%s\n: ", cells[0])
			for i := 1; i < len(cells)-1; i++ {
				if cells[i] != "" {
					fmt.Fprintf(&out, "%s: %s; ", head[i], cells[i])
				}
			}
			fmt.Fprintf(&out, "%s\n\n", cells[len(cells)-1])
		}
	}
	return out.String()
}
