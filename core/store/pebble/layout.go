package pebble

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dunlinmq/dunlin/core/store"
)

const (
	dbDir      = "db"
	formatFile = "FORMAT"
	formatHead = "dunlin store "
	partial    = ".partial" // what is not complete yet
)

// layouts[i] takes a directory from layout i+1 to i+2; there is only one yet.
var layouts []func(fs vfs.FS, dir string) error

// openLayout makes or checks the directory, and migrates an older layout.
func openLayout(fs *diskFS, dir string, steps []func(fs vfs.FS, dir string) error) error {
	known := len(steps) + 1
	if err := errors.Join(makeDir(fs, dir), fs.own(dir)); err != nil {
		return fmt.Errorf("store: make %s: %w", dir, err)
	}
	v, err := readLayout(fs, dir)
	if oserror.IsNotExist(err) {
		if _, err := fs.Stat(filepath.Join(dir, dbDir)); err == nil {
			return fmt.Errorf("store: %s has data and no %s: %w", dir, formatFile, store.ErrCorrupt)
		}
		if err := writeLayout(fs, dir, known); err != nil {
			return err
		}
		return makeDir(fs, filepath.Join(dir, dbDir))
	}
	if err != nil {
		return err
	}
	if v > known {
		return fmt.Errorf("%w: %s has layout %d, this program knows up to %d: start the version that wrote it, or restore a backup",
			store.ErrNewer, dir, v, known)
	}
	for ; v < known; v++ {
		if err := steps[v-1](fs, dir); err != nil {
			return fmt.Errorf("store: migrate %s from layout %d to %d: %w", dir, v, v+1, err)
		}
		if err := writeLayout(fs, dir, v+1); err != nil {
			return err
		}
	}
	return nil
}

func readLayout(fs vfs.FS, dir string) (int, error) {
	f, err := fs.Open(filepath.Join(dir, formatFile))
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	p, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("store: read %s: %w", formatFile, err)
	}
	n, ok := strings.CutPrefix(string(p), formatHead)
	v, err := strconv.Atoi(strings.TrimSuffix(n, "\n"))
	if !ok || err != nil || v < 1 {
		return 0, fmt.Errorf("store: %s in %s is %q: %w", formatFile, dir, p, store.ErrCorrupt)
	}
	return v, nil
}

// writeLayout writes the version such that it is there whole or not at all.
func writeLayout(fs vfs.FS, dir string, v int) error {
	name := filepath.Join(dir, formatFile)
	f, err := fs.Create(name+partial, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write([]byte(formatHead + strconv.Itoa(v) + "\n"))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = rename(fs, name+partial, name)
	}
	if err != nil {
		return fmt.Errorf("store: write %s: %w", formatFile, err)
	}
	return nil
}

// makeDir makes a directory and what is missing above it, and syncs the names:
// else power loss could take all of the store, however well its files are synced.
func makeDir(fs vfs.FS, dir string) error {
	up := filepath.Dir(dir)
	if _, err := fs.Stat(dir); err == nil || up == dir {
		return err
	}
	if err := makeDir(fs, up); err != nil {
		return err
	}
	if err := fs.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	d, err := fs.OpenDir(up)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// rename is done when it has returned: the directory is synced.
func rename(fs vfs.FS, old, name string) error {
	if err := fs.Rename(old, name); err != nil {
		return err
	}
	d, err := fs.OpenDir(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
