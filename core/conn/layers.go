package conn

import (
	"io"
	"net"

	"github.com/dunlinmq/dunlin/core/listener"
)

// layers are TLS and WebSocket on a descriptor. They neither block nor hold a
// goroutine: reading takes what the socket has, writing collects. Owned by the
// turn.
type layers struct {
	nc   net.Conn // the topmost; machine's bytes
	pipe *listener.Pipe
}

// read is readSocket above the layers. Short reads do not mean that the socket is
// dry: only errAgain does.
func (l *layers) read(p []byte) (int, error) {
	n, err := l.nc.Read(p)
	switch {
	case n > 0:
		return n, nil // the error comes again
	case err == listener.ErrDry:
		return 0, errAgain
	case err == io.EOF:
		return 0, nil
	}
	return 0, err
}

// seal puts out through the layers and returns what is to be written, in scratch,
// with what the layers themselves had to say.
func (l *layers) seal(scratch, out []byte) ([]byte, error) {
	p := l.pipe
	p.Out = append(scratch[:0], p.Out...)
	_, err := l.nc.Write(out)
	sealed := p.Out
	p.Out = nil
	return sealed, err
}

// said is what the layers had to say on their own account: answers to pings, to a
// close and to new keys.
func (l *layers) said() []byte {
	out := l.pipe.Out
	l.pipe.Out = nil
	return out
}

// shut says goodbye, as far as the socket takes it.
func (l *layers) shut(fd int32) {
	if h, ok := l.nc.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite() // into the pipe
	}
	_, _ = writeSocket(fd, l.said())
}

// read reads from c's descriptor.
func (c *Conn) read(p []byte) (int, error) {
	if c.layers != nil {
		return c.layers.read(p)
	}
	return readSocket(c.fd, p)
}

// answer sends what the layers of c have to say on their own account.
func (w *worker) answer(c *Conn) {
	if c.layers == nil || len(c.layers.pipe.Out) == 0 {
		return
	}
	if err := c.put(c.layers.said()); err != nil && c.machine != nil {
		w.lose(c, err)
	}
}
