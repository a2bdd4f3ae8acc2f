package session

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Transcripts are testdata/*.txt: blocks of command lines, a line "----" and the
// output of the commands, ended by an empty line. Lines that begin with # are
// comments. The commands are in machine_test.go. "go test -rewrite" writes the
// outputs; the difference is to be reviewed like code.
var rewrite = flag.Bool("rewrite", false, "write the outputs of testdata/*.txt")

// minTranscripts keeps a lost directory from passing as success.
const minTranscripts = 50

func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < minTranscripts {
		t.Fatalf("found %d transcripts, want at least %d", len(files), minTranscripts)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) { runTranscript(t, file) })
	}
}

func runTranscript(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine()
	var got strings.Builder
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	var block []string
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if line != "----" {
			got.WriteString(line + "\n")
			if line != "" && !strings.HasPrefix(line, "#") {
				block = append(block, line)
			}
			continue
		}
		got.WriteString("----\n")
		for _, cmd := range block {
			out, err := m.do(cmd)
			if err != nil {
				t.Fatalf("%s:%d: %q: %v", file, i+1, cmd, err)
			}
			got.WriteString(out)
			m.check(t)
		}
		block = block[:0]
		for i+1 < len(lines) && lines[i+1] != "" {
			i++
		}
	}
	if len(block) > 0 {
		t.Fatalf("%s: commands without \"----\" at the end: %q", file, block)
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(data) {
		t.Errorf("%s differs:\n%s", file, difference(string(data), got.String()))
	}
}

// difference shows the first line that differs, with the lines before it.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	i := 0
	for i < len(w) && i < len(g) && w[i] == g[i] {
		i++
	}
	at := func(l []string) string {
		if i < len(l) {
			return l[i]
		}
		return "(end)"
	}
	before := strings.Join(w[max(0, i-6):min(i, len(w))], "\n")
	return before + "\nwant: " + at(w) + "\ngot:  " + at(g)
}
