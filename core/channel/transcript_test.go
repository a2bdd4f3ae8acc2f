package channel_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Transcripts are testdata/*.txt: blocks of command lines, a line "----" and
// what the clients then got, ended by an empty line. # begins a comment. The
// commands are in commands_test.go. "go test -rewrite" writes the outputs; the
// difference is to be reviewed like code.
var rewrite = flag.Bool("rewrite", false, "write the outputs of testdata/*.txt")

// minTranscripts keeps a lost directory from passing as success.
const minTranscripts = 20

func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < minTranscripts {
		t.Fatalf("found %d transcripts, want at least %d", len(files), minTranscripts)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runTranscript(t, file) })
	}
}

func runTranscript(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	var got strings.Builder
	inOutput := false
	var block []string
	for _, line := range strings.Split(strings.TrimRight(string(data), "\n"), "\n") {
		switch {
		case line == "----":
			inOutput = true
			got.WriteString("----\n")
			for _, cmd := range block {
				out, err := w.do(cmd)
				if err != nil {
					t.Fatalf("%q: %v", cmd, err)
				}
				got.WriteString(out)
			}
			block = nil
		case line == "":
			inOutput = false
			got.WriteString("\n")
		case inOutput:
		default:
			got.WriteString(line + "\n")
			if !strings.HasPrefix(line, "#") {
				block = append(block, line)
			}
		}
	}
	if len(block) > 0 {
		t.Fatalf("commands without ---- at the end: %q", block)
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := strings.TrimRight(string(data), "\n") + "\n"; strings.TrimRight(got.String(), "\n")+"\n" != want {
		t.Errorf("differs; want:\n%s\ngot:\n%s", want, got.String())
	}
}
