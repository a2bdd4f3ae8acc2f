package dirlock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// Of many that read, add one and write, none is lost.
func TestTake(t *testing.T) {
	if _, err := Take(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no directory: %v", err)
	}
	if runtime.GOOS == "windows" {
		return // it locks no directories
	}
	const each, many = 50, 8
	dir := t.TempDir()
	file := filepath.Join(dir, "n")
	more := func() error {
		unlock, err := Take(dir)
		if err != nil {
			return err
		}
		defer unlock()
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		n, _ := strconv.Atoi(string(text))
		return os.WriteFile(file, []byte(strconv.Itoa(n+1)), 0o600)
	}
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			for range each {
				if err := more(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if text, err := os.ReadFile(file); err != nil || string(text) != strconv.Itoa(each*many) {
		t.Errorf("%s, want %d (%v)", text, each*many, err)
	}
}
