package listener

import (
	"io"
	"net"
	"net/netip"
)

// source is where connections come from. After Close accept reports
// net.ErrClosed.
type source interface {
	accept() (Accepted, error)
	io.Closer
}

// conns is the source of all but what becomes a bare descriptor at once.
type conns struct {
	ln      net.Listener
	noDelay bool
}

func (c conns) Close() error { return c.ln.Close() }

func (c conns) accept() (Accepted, error) {
	nc, err := c.ln.Accept()
	if err != nil {
		return Accepted{}, err
	}
	a := Accepted{Conn: nc, FD: -1}
	a.Info.Peer = far(nc.RemoteAddr())
	if tc, ok := nc.(*net.TCPConn); ok {
		_ = tc.SetNoDelay(c.noDelay) // fails only if the peer has gone already
	}
	return a, nil
}

// unmap is ap with an IPv4 address never mapped into IPv6.
func unmap(ap netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()) }
