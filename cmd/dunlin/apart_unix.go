//go:build unix

package main

import "syscall"

// apart gives a child a session of its own, so that closing the terminal does
// not end it.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
