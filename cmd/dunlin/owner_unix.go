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
