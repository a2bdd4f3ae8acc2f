package listener

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

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
	fd, err := takeFD(a.Conn)
	if err == nil && fd >= 0 {
		a.Conn, a.FD = nil, fd
	}
	return err
}

// pipe puts a pipe below what the handshakes will put on a's connection.
func (a *Accepted) pipe() *Pipe {
	p := &Pipe{nc: a.Conn}
	a.Conn = p
	return p
}

// bare takes the connection off p, which is below a's: the handshakes are done.
func (a *Accepted) bare(p *Pipe) error {
	fd, err := takeFD(p.nc)
	if err != nil || fd < 0 {
		return err
	}
	p.nc, p.fd = nil, fd
	a.FD, a.Pipe = fd, p
	return nil
}

// takeFD makes a descriptor of nc and closes nc; -1: it cannot be made.
func takeFD(nc net.Conn) (fd int, err error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return -1, nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	ctl := rc.Control(func(s uintptr) { fd, err = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(ctl, err); err != nil {
		return -1, err
	}
	_ = nc.Close() // the duplicate keeps the socket open
	return fd, nil
}

func (d *descriptors) Close() error { return d.file.Close() }

func (d *descriptors) accept() (Accepted, error) {
	a := Accepted{}
	var failed syscall.Errno
	err := d.raw.Read(func(s uintptr) bool {
		for {
			a.FD, a.Info.Peer, failed = accept4(s)
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
	if failed != 0 {
		return Accepted{}, fmt.Errorf("accept4: %w", failed)
	}
	return a, nil
}

// accept4 is one system call that does not block, so that the scheduler need not
// know; unix.Accept4 makes another one to learn the protocol.
func accept4(s uintptr) (fd int, peer netip.AddrPort, errno syscall.Errno) {
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, s, uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, nowhere, errno
	}
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa))
		return int(r), netip.AddrPortFrom(netip.AddrFrom4(in.Addr), port16(&in.Port)), 0
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&sa))
		return int(r), unmap(netip.AddrPortFrom(netip.AddrFrom16(in.Addr), port16(&in.Port))), 0
	}
	return int(r), nowhere, 0
}

// port16 is a port in network order.
func port16(p *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:])
}
