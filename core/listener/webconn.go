package listener

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/gobwas/ws"
)

// webFrame is the longest payload that is sent in one frame: some clients bound
// theirs. MQTT packets may cross frames [MQTT-6.0.0-2].
const webFrame = 32 << 10

var webFrames = sync.Pool{New: func() any { return new([webFrame + 4]byte) }}

// webConn is the stream of MQTT bytes in a WebSocket's binary frames. It holds no
// buffer: frames are taken off where the reader wants its bytes.
type webConn struct {
	net.Conn // TCP or TLS

	// Owned by the reader.
	early  []byte // came with the upgrade request
	frames unframer
	err    error // why the stream has ended

	mu     sync.Mutex // guards writing; frames must not mix
	closed bool       // a close frame was sent: nothing follows it
}

func newWebConn(nc net.Conn, early []byte, max int64) *webConn {
	return &webConn{Conn: nc, early: early, frames: unframer{max: max}}
}

// NetConn is the connection below.
func (c *webConn) NetConn() net.Conn { return c.Conn }

// Read reads MQTT bytes and answers pings and the close on the way. After the
// peer's close it reports io.EOF.
func (c *webConn) Read(p []byte) (int, error) {
	for c.err == nil && len(p) > 0 {
		n := copy(p, c.early)
		if c.early = c.early[n:]; n == 0 {
			c.early = nil
			if n, c.err = c.Conn.Read(p); c.err == ErrDry {
				c.err = nil
				return 0, ErrDry
			}
		}
		n, err := c.frames.decode(p[:n], c.control)
		if err != nil {
			c.end(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, c.err
}

// control answers a control frame (RFC 6455 §5.5).
func (c *webConn) control(op ws.OpCode, payload []byte) error {
	switch op {
	case ws.OpPing:
		return c.send(ws.OpPong, payload)
	case ws.OpClose:
		if len(payload) >= 2 {
			payload = payload[:2] // the code is echoed
		}
		if len(payload) == 1 {
			return &closeError{ws.StatusProtocolError, "close frame of one byte"}
		}
		if err := c.send(ws.OpClose, payload); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return io.EOF
	}
	return nil // a pong
}

// end ends the stream for err and tells the peer why.
func (c *webConn) end(err error) {
	c.err = err
	var e *closeError
	if errors.As(err, &e) {
		_ = c.send(ws.OpClose, ws.NewCloseFrameBody(e.code, e.reason))
	}
}

// Write sends p in binary frames.
func (c *webConn) Write(p []byte) (int, error) {
	for done := 0; ; {
		part := p[done:min(len(p), done+webFrame)]
		if err := c.send(ws.OpBinary, part); err != nil {
			return done, err
		}
		if done += len(part); done == len(p) {
			return done, nil
		}
	}
}

// CloseWrite begins the close handshake; Read ends with the peer's answer.
func (c *webConn) CloseWrite() error {
	return c.send(ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
}

// send writes one frame with one write. Nothing is sent after a close.
func (c *webConn) send(op ws.OpCode, payload []byte) error {
	buf := webFrames.Get().(*[webFrame + 4]byte)
	defer webFrames.Put(buf)
	buf[0] = 0x80 | byte(op)
	n := 2
	if len(payload) < 126 {
		buf[1] = byte(len(payload))
	} else {
		buf[1] = 126
		binary.BigEndian.PutUint16(buf[2:], uint16(len(payload)))
		n = 4
	}
	n += copy(buf[n:], payload)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = op == ws.OpClose
	_, err := c.Conn.Write(buf[:n])
	return err
}
