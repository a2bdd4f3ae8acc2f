package listener

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// prepare sets what accepted sockets inherit from the listening one, so that it
// costs them nothing, and the permissions that a socket file is born with.
func (c *Config) prepare(network, _ string, rc syscall.RawConn) error {
	var err error
	set := func(fd, level, opt, value int) {
		err = errors.Join(err, unix.SetsockoptInt(fd, level, opt, value))
	}
	ctl := rc.Control(func(s uintptr) {
		if network == "unix" {
			mode, _ := parseMode(c.Mode) // Validate has read it
			err = unix.Fchmod(int(s), uint32(mode.Perm()))
		} else if c.NoDelay {
			set(int(s), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}
		if c.RecBuf > 0 {
			set(int(s), unix.SOL_SOCKET, unix.SO_RCVBUF, c.RecBuf)
		}
		if c.SndBuf > 0 {
			set(int(s), unix.SOL_SOCKET, unix.SO_SNDBUF, c.SndBuf)
		}
	})
	return errors.Join(ctl, err)
}

// deepen gives the kernel's queue the configured length: a second listen changes
// it.
func (c *Config) deepen(ln socket) error {
	if c.Backlog == 0 {
		return nil
	}
	rc, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	ctl := rc.Control(func(s uintptr) { err = unix.Listen(int(s), c.Backlog) })
	return errors.Join(ctl, err)
}

// descriptors accepts plain MQTT: its connections stay bare descriptors that
// never meet the runtime's poller. It waits on a duplicate of the listening
// socket, because a net.Listener does not lend its own for that.
type descriptors struct {
	file *os.File
	raw  syscall.RawConn
}

// newSource is where the connections of ln come from.
func (c *Config) newSource(ln socket) (source, error) {
	if c.greets() {
		return conns{ln, c.NoDelay}, nil
	}
	f, err := ln.File()
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, joinClose(err, f)
	}
	return &descriptors{f, raw}, nil
}

// strip makes a's connection the bare descriptor that those of proto tcp are. The
// connection must have nothing buffered.
func (a *Accepted) strip() error {
	sc, ok := a.Conn.(syscall.Conn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	fd := -1
	ctl := rc.Control(func(s uintptr) { fd, err = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(ctl, err); err != nil {
		return err
	}
	_ = a.Conn.Close() // the duplicate keeps the socket open
	a.Conn, a.FD = nil, fd
	return nil
}

func (d *descriptors) Close() error { return d.file.Close() }

func (d *descriptors) accept() (Accepted, error) {
	var fd int
	var sa unix.Sockaddr
	var failed error
	err := d.raw.Read(func(s uintptr) bool {
		for {
			fd, sa, failed = unix.Accept4(int(s), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			switch failed {
			case unix.EINTR, unix.ECONNABORTED:
			default:
				return failed != unix.EAGAIN
			}
		}
	})
	if errors.Is(err, os.ErrClosed) {
		err = net.ErrClosed
	}
	if err != nil {
		return Accepted{}, err
	}
	if failed != nil {
		return Accepted{}, fmt.Errorf("accept4: %w", failed)
	}
	a := Accepted{FD: fd}
	a.Info.Peer = nowhere
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		a.Info.Peer = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		a.Info.Peer = unmap(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)))
	}
	return a, nil
}
