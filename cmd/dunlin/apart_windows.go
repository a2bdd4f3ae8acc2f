package main

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// apart detaches a child from this console, so that closing it does not end
// the child.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.DETACHED_PROCESS}
}
