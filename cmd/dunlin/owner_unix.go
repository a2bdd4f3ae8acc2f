//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives t the owner of old, which it will replace or which the broker
// owns: root edits a file of the broker's user. Others cannot, and need not.
func keepOwner(t *os.File, old fs.FileInfo) {
	if s, ok := old.Sys().(*syscall.Stat_t); ok {
		_ = t.Chown(int(s.Uid), int(s.Gid))
	}
}

// syncDir makes the names in a directory outlive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // it was only read
	return d.Sync()
}
