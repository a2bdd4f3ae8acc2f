package listener

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gobwas/ws"
)

// An upgrade request must fit in maxRequest; what a refused client still sends
// is read for refusalTime so that it can read the answer.
const (
	maxRequest  = 8 << 10
	refusalTime = time.Second
)

var errNotHTTP = errors.New("not an HTTP request")

// upgrade does the WebSocket handshake of a, if the listener speaks HTTP.
func (s *settings) upgrade(a *Accepted) error {
	if !s.cfg.Proto.Web() {
		return nil
	}
	request, early, err := readRequest(a.Conn)
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	b := &browser{cfg: &s.cfg.Web}
	u := s.upgrader(b)
	_, err = u.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(request), a.Conn})
	if err != nil {
		refuse(a)
		return fmt.Errorf("websocket: %w", err)
	}
	a.Info.Peer = b.peer(a.Info.Peer)
	a.Conn = newWebConn(a.Conn, early, s.cfg.Web.MaxFrameSize)
	return nil
}

// upgrader is made per request: it remembers what the client has offered.
func (s *settings) upgrader(b *browser) *ws.Upgrader {
	offered, chosen := false, false
	return &ws.Upgrader{
		OnRequest: func(uri []byte) error {
			u, err := url.ParseRequestURI(string(uri))
			if err != nil {
				return reject(http.StatusBadRequest, "bad request target")
			}
			if !slices.Contains(s.cfg.Web.Paths, u.Path) {
				return reject(http.StatusNotFound, "no MQTT here")
			}
			return nil
		},
		Protocol: func(p []byte) bool {
			offered = true
			chosen = slices.Contains(s.cfg.Web.SupportedSubprotocols, string(p))
			return chosen
		},
		OnHeader: b.header,
		OnBeforeUpgrade: func() (ws.HandshakeHeader, error) {
			if err := b.check(); err != nil {
				return nil, err
			}
			switch {
			case chosen || !s.cfg.Web.FailIfNoSubprotocol:
				return nil, nil
			case offered:
				return nil, reject(http.StatusBadRequest, "none of the subprotocols is supported")
			}
			return nil, reject(http.StatusBadRequest, "a subprotocol is needed, for example mqtt")
		},
	}
}

func reject(status int, reason string) error {
	return ws.RejectConnectionError(ws.RejectionStatus(status), ws.RejectionReason(reason))
}

// readRequest reads to the end of the request's header and returns it and what
// came after it.
func readRequest(r io.Reader) (request, early []byte, err error) {
	buf := make([]byte, 0, 1024)
	for {
		if len(buf) == cap(buf) {
			if len(buf) >= maxRequest {
				return nil, nil, errors.New("request header is too long")
			}
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		from := max(0, len(buf)-3)
		buf = buf[:len(buf)+n]
		if len(buf) > 0 && (buf[0] < 'A' || buf[0] > 'Z') {
			return nil, nil, errNotHTTP
		}
		if i := bytes.Index(buf[from:], []byte("\r\n\r\n")); i >= 0 {
			end := from + i + 4
			return buf[:end], bytes.Clone(buf[end:]), nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

// refuse lets a refused client read the answer before its connection is closed.
func refuse(a *Accepted) {
	c, ok := a.Conn.(interface{ CloseWrite() error })
	if !ok || c.CloseWrite() != nil || a.Conn.SetReadDeadline(time.Now().Add(refusalTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, a.Conn, 64<<10)
}
