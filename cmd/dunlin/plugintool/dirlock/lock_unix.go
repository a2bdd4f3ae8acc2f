//go:build unix

// Package dirlock lets one process at a time change the files of a directory. It
// owns nothing but the lock, and refuses to know what the files are. Who does not
// ask for the lock is not kept out.
package dirlock

import (
	"fmt"
	"os"
	"syscall"
)

// Take waits until nobody else who locks the directory is at work in it. A lock ends
// with unlock or with the process. The errors are those of opening the directory
// (fs.ErrNotExist) and of a file system that knows no locks.
func Take(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		switch err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err {
		case nil:
			return func() { _ = d.Close() }, nil
		case syscall.EINTR: // a signal
		default:
			_ = d.Close()
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
	}
}
