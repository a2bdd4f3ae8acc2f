package listener

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// longestSocket is the length of a socket file's path that every system takes.
const longestSocket = 103

// nowhere stands for an address where a socket file is between the two: a
// process of this machine.
var nowhere = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)

// socket is what both TCP and UNIX listeners are.
type socket interface {
	net.Listener
	syscall.Conn
	File() (*os.File, error)
}

// endpoint is where a listener listens, as net.Listen takes it.
type endpoint struct {
	network string // tcp or unix
	address string
}

// IsSocketFile tells whether bind names a socket file, "/path" or "unix:path",
// and which.
func IsSocketFile(bind string) (path string, ok bool) {
	if strings.HasPrefix(bind, "/") {
		return bind, true
	}
	return strings.CutPrefix(bind, "unix:")
}

// endpoint reads Bind.
func (c *Config) endpoint() (endpoint, error) {
	bind := c.Bind
	if path, ok := IsSocketFile(bind); ok {
		if path == "" || strings.HasSuffix(path, "/") || strings.ContainsRune(path, 0) {
			return endpoint{}, fmt.Errorf("%q names no file", bind)
		}
		if len(path) > longestSocket {
			return endpoint{}, fmt.Errorf("the path of a socket has at most %d bytes, %q has %d", longestSocket, path, len(path))
		}
		return endpoint{"unix", path}, nil
	}
	if bind == "" {
		return endpoint{}, errors.New("is needed")
	}
	if !strings.Contains(bind, ":") {
		bind = ":" + bind
	}
	_, port, err := net.SplitHostPort(bind)
	if err != nil {
		return endpoint{}, fmt.Errorf("%q is not host:port: %w", c.Bind, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return endpoint{}, fmt.Errorf("port %q is not a number up to 65535", port)
	} else if n == 0 && c.Bind == "0" {
		return endpoint{}, errors.New("port 0 needs a host")
	}
	return endpoint{"tcp", bind}, nil
}

// parseMode reads octal permissions; "" is the default.
func parseMode(s string) (fs.FileMode, error) {
	if s == "" {
		return 0o660, nil
	}
	n, err := strconv.ParseUint(s, 8, 16)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("%q is no octal mode up to 0777: write for example 0660", s)
	}
	return fs.FileMode(n), nil
}

// clear removes the socket file that a dead process has left; one that somebody
// listens on, and any other file, is an error.
func (e endpoint) clear() error {
	if e.network != "unix" {
		return nil
	}
	info, err := os.Lstat(e.address)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket", e.address)
	}
	nc, err := net.Dial("unix", e.address)
	if err == nil {
		_ = nc.Close()
		return fmt.Errorf("%s is in use by another process", e.address)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s may be in use: %w", e.address, err)
	}
	return os.Remove(e.address)
}

// local is what clients of ln see as its address.
func local(ln net.Listener) netip.AddrPort {
	if a, ok := ln.Addr().(*net.TCPAddr); ok {
		return a.AddrPort()
	}
	return nowhere
}

// far is the address at the other end.
func far(a net.Addr) netip.AddrPort {
	if a, ok := a.(*net.TCPAddr); ok {
		return unmap(a.AddrPort())
	}
	return nowhere
}

// permit gives a socket file its permissions, exactly.
func (e endpoint) permit(mode string) error {
	if e.network != "unix" {
		return nil
	}
	m, err := parseMode(mode)
	if err != nil {
		return err
	}
	return os.Chmod(e.address, m)
}
