package conn_test

import (
	"net"

	"golang.org/x/sys/unix"

	"github.com/dunlinmq/dunlin/core/listener"
)

// takeFD makes a bare descriptor of c.
func takeFD(c net.Conn) (listener.Accepted, error) {
	rc, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return listener.Accepted{}, err
	}
	fd := -1
	var dupErr error
	if err := rc.Control(func(s uintptr) { fd, dupErr = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return listener.Accepted{}, err
	}
	if dupErr != nil {
		return listener.Accepted{}, dupErr
	}
	return listener.Accepted{FD: fd}, c.Close()
}

// takePipe is takeFD with a layer that changes nothing.
func takePipe(c net.Conn) (listener.Accepted, error) {
	a, err := takeFD(c)
	if err == nil {
		a.Pipe = listener.NewPipe(a.FD)
		a.Conn = a.Pipe
	}
	return a, err
}
