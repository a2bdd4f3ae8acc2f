package wholefile

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		list = append(list, e.Name())
	}
	return list
}

// The text and the mode are the new ones, and nothing else is left in the directory.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "users")
	adapted := ""
	for i, text := range []string{"one\n", "two, and longer\n", ""} {
		mode := []os.FileMode{0o600, 0o640, 0o644}[i]
		if err := Replace(path, []byte(text), mode, func(f *os.File) { adapted = f.Name() }); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q, %v, want %q", got, err, text)
		}
		if got := Mode(path, 0); runtime.GOOS != "windows" && got != mode {
			t.Errorf("mode %v, want %v", got, mode)
		}
	}
	if filepath.Dir(adapted) != dir || adapted == path {
		t.Errorf("adapted %s", adapted)
	}
	if left := names(t, dir); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
	if got := Mode(filepath.Join(dir, "none"), 0o604); got != 0o604 {
		t.Errorf("the mode of no file is %v", got)
	}
}

// What cannot be replaced stays, and so does nothing of the attempt.
func TestReplaceFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "there")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("x"), 0o600, nil); err == nil {
		t.Error("a directory was replaced")
	}
	if err := Replace(filepath.Join(dir, "no", "x"), []byte("x"), 0o600, nil); err == nil {
		t.Error("a file in no directory was written")
	}
	if left := names(t, dir); len(left) != 1 || left[0] != "there" {
		t.Errorf("left behind: %q", left)
	}
}
