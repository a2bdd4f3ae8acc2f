package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// webSocket is the stream of MQTT bytes in binary frames, of the client's side.
type webSocket struct {
	net.Conn
	in   *bufio.Reader
	left int64 // bytes of the frame that is being read

	mu  sync.Mutex // guards writing
	out []byte
}

// upgrade makes nc a WebSocket.
func upgrade(ctx context.Context, nc net.Conn, t *target) (net.Conn, error) {
	if at, ok := ctx.Deadline(); ok {
		if err := nc.SetDeadline(at); err != nil {
			return nil, err
		}
	}
	d := ws.Dialer{Protocols: []string{"mqtt"}}
	u := &url.URL{Scheme: "ws", Host: net.JoinHostPort(t.Host, fmt.Sprint(t.Port)), Path: "/" + strings.TrimPrefix(t.WebSocket, "/")}
	br, _, err := d.Upgrade(nc, u)
	if err != nil {
		return nil, err
	}
	if br == nil {
		br = bufio.NewReaderSize(nc, streamBytes)
	}
	return &webSocket{Conn: nc, in: br}, nc.SetDeadline(time.Time{})
}

// Read reads MQTT bytes and answers pings on the way.
func (w *webSocket) Read(p []byte) (int, error) {
	for w.left == 0 {
		h, err := ws.ReadHeader(w.in)
		if err != nil {
			return 0, err
		}
		switch {
		case h.OpCode == ws.OpClose:
			return 0, io.EOF
		case h.OpCode.IsControl() && h.Length > ws.MaxControlFramePayloadSize:
			return 0, ws.ErrProtocolControlPayloadOverflow
		case h.OpCode.IsControl():
			p := make([]byte, h.Length)
			if _, err := io.ReadFull(w.in, p); err != nil {
				return 0, err
			}
			if h.OpCode == ws.OpPing {
				if err := w.frame(ws.OpPong, p); err != nil {
					return 0, err
				}
			}
		default:
			w.left = h.Length
		}
	}
	n, err := w.in.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	return n, err
}

// Write sends p as one binary frame.
func (w *webSocket) Write(p []byte) (int, error) {
	if err := w.frame(ws.OpBinary, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *webSocket) frame(op ws.OpCode, p []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	mask := ws.NewMask()
	buf := frameBuffer{w.out[:0]}
	if err := ws.WriteHeader(&buf, ws.Header{Fin: true, OpCode: op, Masked: true, Mask: mask, Length: int64(len(p))}); err != nil {
		return err
	}
	at := len(buf.b)
	w.out = append(buf.b, p...)
	ws.Cipher(w.out[at:], mask, 0)
	_, err := w.Conn.Write(w.out)
	return err
}

// frameBuffer collects a frame.
type frameBuffer struct{ b []byte }

func (f *frameBuffer) Write(p []byte) (int, error) {
	f.b = append(f.b, p...)
	return len(p), nil
}
