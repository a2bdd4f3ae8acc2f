package rpc

import (
	"os/exec"
	"syscall"
)

// isolate puts the process into a group of its own, so that a signal to the
// broker's does not reach it, and has the kernel kill it when the thread that
// started it ends: with the broker, however that ends.
func isolate(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
