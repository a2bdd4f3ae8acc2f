package rpc

import (
	"errors"
	"os"
	"os/exec"
)

// isolate has nothing to do: Windows sends no signals. When the broker dies,
// the plugin sees its stream end and exits.
func isolate(*exec.Cmd) {}

// killGroup kills the process.
func killGroup(c *exec.Cmd) error {
	err := c.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
