package test

import (
	"bufio"
	"net"
	"net/url"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// webConn carries bytes in binary WebSocket frames.
type webConn struct {
	net.Conn
	read    *wsutil.Reader
	started bool // within a frame
}

// upgrade makes a WebSocket with the subprotocol mqtt of conn.
func upgrade(conn net.Conn) (net.Conn, error) {
	d := ws.Dialer{Protocols: []string{"mqtt"}}
	early, _, err := d.Upgrade(conn, &url.URL{Scheme: "ws", Host: "127.0.0.1", Path: "/mqtt"})
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	if early == nil {
		early = bufio.NewReader(conn)
	}
	return &webConn{Conn: conn, read: &wsutil.Reader{
		Source: early, State: ws.StateClientSide, OnIntermediate: wsutil.ControlFrameHandler(conn, ws.StateClientSide),
	}}, nil
}

func (w *webConn) Write(b []byte) (int, error) {
	if err := wsutil.WriteClientBinary(w.Conn, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (w *webConn) Read(b []byte) (int, error) {
	for {
		if !w.started {
			head, err := w.read.NextFrame()
			if err != nil {
				return 0, err
			}
			if head.OpCode.IsControl() {
				if err := wsutil.ControlFrameHandler(w.Conn, ws.StateClientSide)(head, w.read); err != nil {
					return 0, err
				}
				continue
			}
			w.started = true
		}
		n, err := w.read.Read(b)
		if err != nil {
			w.started = false // the frame has ended
		}
		if n > 0 {
			return n, nil
		}
	}
}
