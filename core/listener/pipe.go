package listener

import (
	"net"
	"time"
)

// Pipe is the socket below TLS and WebSocket. During the handshakes it is an
// ordinary connection. After them, on Linux, it is a bare descriptor that never
// blocks: Read reports [ErrDry] when nothing has come, and Write collects. So
// whoever runs the connection can park it. Owned by one goroutine at a time.
type Pipe struct {
	nc net.Conn // nil: bare
	fd int      // of a bare one; who was handed it closes it

	// Out is what Write has collected and the socket has not been given.
	Out []byte
}

// NewPipe returns a bare pipe of the non-blocking descriptor.
func NewPipe(fd int) *Pipe { return &Pipe{fd: fd} }

// ErrDry says that nothing has arrived. It is a timeout, after which crypto/tls
// goes on where it stopped.
var ErrDry net.Error = dry{}

type dry struct{}

func (dry) Error() string   { return "nothing has arrived" }
func (dry) Timeout() bool   { return true }
func (dry) Temporary() bool { return true }

// Read implements net.Conn.
func (p *Pipe) Read(b []byte) (int, error) {
	if p.nc != nil {
		return p.nc.Read(b)
	}
	return readFD(p.fd, b)
}

// Write implements net.Conn. A bare pipe's never fails.
func (p *Pipe) Write(b []byte) (int, error) {
	if p.nc != nil {
		return p.nc.Write(b)
	}
	p.Out = append(p.Out, b...)
	return len(b), nil
}

// Close implements net.Conn. It leaves a bare pipe's descriptor alone.
func (p *Pipe) Close() error {
	if p.nc != nil {
		return p.nc.Close()
	}
	return nil
}

// CloseWrite closes our side during a handshake.
func (p *Pipe) CloseWrite() error {
	if c, ok := p.nc.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// LocalAddr implements net.Conn; nil if bare.
func (p *Pipe) LocalAddr() net.Addr {
	if p.nc != nil {
		return p.nc.LocalAddr()
	}
	return nil
}

// RemoteAddr implements net.Conn; nil if bare.
func (p *Pipe) RemoteAddr() net.Addr {
	if p.nc != nil {
		return p.nc.RemoteAddr()
	}
	return nil
}

// SetDeadline implements net.Conn. A bare pipe waits for nothing.
func (p *Pipe) SetDeadline(t time.Time) error {
	if p.nc != nil {
		return p.nc.SetDeadline(t)
	}
	return nil
}

// SetReadDeadline implements net.Conn.
func (p *Pipe) SetReadDeadline(t time.Time) error {
	if p.nc != nil {
		return p.nc.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (p *Pipe) SetWriteDeadline(t time.Time) error {
	if p.nc != nil {
		return p.nc.SetWriteDeadline(t)
	}
	return nil
}
