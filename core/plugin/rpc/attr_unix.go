//go:build unix && !linux

package rpc

import (
	"os/exec"
	"syscall"
)

// isolate puts the process into a group of its own, so that a signal to the
// broker's does not reach it. When the broker dies, the plugin sees its stream
// end and exits.
func isolate(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
