//go:build unix

package rpc

import (
	"errors"
	"os/exec"
	"syscall"
)

// killGroup kills the process and what it started.
func killGroup(c *exec.Cmd) error {
	err := syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
