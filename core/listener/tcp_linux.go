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
// costs them nothing.
func (l *Listener) prepare(_, _ string, rc syscall.RawConn) error {
	var err error
	set := func(fd, level, opt, value int) {
		err = errors.Join(err, unix.SetsockoptInt(fd, level, opt, value))
	}
	ctl := rc.Control(func(s uintptr) {
		if l.cfg.NoDelay {
			set(int(s), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}
		if l.cfg.RecBuf > 0 {
			set(int(s), unix.SOL_SOCKET, unix.SO_RCVBUF, l.cfg.RecBuf)
		}
		if l.cfg.SndBuf > 0 {
			set(int(s), unix.SOL_SOCKET, unix.SO_SNDBUF, l.cfg.SndBuf)
		}
	})
	return errors.Join(ctl, err)
}

// deepen gives the kernel's queue the configured length: a second listen changes
// it.
func (l *Listener) deepen() error {
	if l.cfg.Backlog == 0 {
		return nil
	}
	rc, err := l.ln.SyscallConn()
	if err != nil {
		return err
	}
	ctl := rc.Control(func(s uintptr) { err = unix.Listen(int(s), l.cfg.Backlog) })
	return errors.Join(ctl, err)
}

// descriptors accepts plain TCP: its connections stay bare descriptors that
// never meet the runtime's poller. It waits on a duplicate of the listening
// socket, because a net.TCPListener does not lend its own for that.
type descriptors struct {
	file *os.File
	raw  syscall.RawConn
}

// newSource is where l's connections come from.
func (l *Listener) newSource() (source, error) {
	if l.cfg.Proto != TCP {
		return conns{l.ln, l.cfg.NoDelay}, nil
	}
	f, err := l.ln.File()
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, joinClose(err, f)
	}
	return &descriptors{f, raw}, nil
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
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		a.Info.Peer = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		a.Info.Peer = unmap(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)))
	}
	return a, nil
}
