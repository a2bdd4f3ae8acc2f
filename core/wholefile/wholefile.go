// Package wholefile replaces small files in one step: whoever reads, and whoever comes
// after a crash, finds the old text or the new one. It refuses to know what is in
// them, and to write to a file in place.
package wholefile

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace puts text in the place of the file at path, with that mode, and returns when
// it is on the disk. adapt, if not nil, may give the new file an owner before it
// can be seen. An error leaves the old file, or none.
func Replace(path string, text []byte, mode os.FileMode, adapt func(*os.File)) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if adapt != nil {
		adapt(f)
	}
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	syncDir(dir)
	return nil
}

// Mode is the mode of the file at path, or otherwise if there is none.
func Mode(path string, otherwise os.FileMode) os.FileMode {
	if fi, err := os.Stat(path); err == nil {
		return fi.Mode().Perm()
	}
	return otherwise
}

// syncDir brings the names in a directory to the disk. Some systems cannot; they do it
// by themselves.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
