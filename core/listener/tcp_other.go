//go:build !linux

package listener

import "syscall"

// prepare has nothing to do: accepted sockets inherit nothing for certain.
func (l *Listener) prepare(_, _ string, _ syscall.RawConn) error { return nil }

// deepen leaves the queue to the system.
func (l *Listener) deepen() error { return nil }

// newSource is where l's connections come from.
func (l *Listener) newSource() (source, error) { return conns{l.ln, l.cfg.NoDelay}, nil }
