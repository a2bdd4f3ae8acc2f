//go:build !linux

package listener

import "syscall"

// prepare has nothing to do: accepted sockets inherit nothing for certain.
func (c *Config) prepare(_, _ string, _ syscall.RawConn) error { return nil }

// deepen leaves the queue to the system.
func (c *Config) deepen(socket) error { return nil }

// newSource is where the connections of ln come from.
func (c *Config) newSource(ln socket) (source, error) { return conns{ln, c.NoDelay}, nil }

// strip has nothing to do: connections keep their net.Conn.
func (a *Accepted) strip() error { return nil }

// pipe has nothing to do: the connection has a goroutine of its own.
func (a *Accepted) pipe() *Pipe { return nil }

// bare is never reached.
func (a *Accepted) bare(*Pipe) error { return nil }
