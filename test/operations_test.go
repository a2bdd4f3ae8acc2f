package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOperationsWalk runs docs/operations.md: every line of its blocks of sh, in
// a directory as it says.
func TestOperationsWalk(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join(repo, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	b := prepared(t, setup{})
	bin := filepath.Join(b.home, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(bin, "dunlin")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.dunlin("stop").Run() })
	lines := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(doc, -1) {
		for line := range strings.Lines(string(block[1])) {
			cmd := exec.Command("sh", "-c", line)
			cmd.Dir = b.home
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			if err != nil || len(out) == 0 {
				t.Fatalf("%s%v\n%s", line, err, out)
			}
			lines++
		}
	}
	if lines < 20 {
		t.Errorf("the walk has only %d steps", lines)
	}
}
