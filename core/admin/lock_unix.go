//go:build unix

package admin

import (
	"os"
	"syscall"
)

// lockFile takes an exclusive lock without waiting.
func lockFile(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
