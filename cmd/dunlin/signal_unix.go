//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// onReopen calls fn for each SIGUSR1 until end is called.
func onReopen(fn func()) (end func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGUSR1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range ch {
			fn()
		}
	}()
	return func() {
		signal.Stop(ch)
		close(ch)
		<-done
	}
}
