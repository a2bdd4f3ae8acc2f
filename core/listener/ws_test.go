package listener

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// webDial is a WebSocket client; it reports the status of a refusal.
func (p *harness) webDial(path string, protocols []string, secure *tls.Config) (net.Conn, string, int) {
	p.t.Helper()
	status := 0
	scheme := "ws://"
	if secure != nil {
		scheme = "wss://"
	}
	d := ws.Dialer{Protocols: protocols, TLSConfig: secure, Timeout: patience, NetDial: p.netDial, OnStatusError: func(s int, _ []byte, _ io.Reader) { status = s }}
	nc, br, hs, err := d.Dial(context.Background(), scheme+"127.0.0.1"+path)
	if err != nil {
		return nil, "", status
	}
	if br != nil {
		p.t.Fatal("the server has sent before it was asked")
	}
	p.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	return nc, hs.Protocol, http.StatusSwitchingProtocols
}

func (p *harness) netDial(context.Context, string, string) (net.Conn, error) { return p.dial(), nil }

// client is a good client of any port, as a stream.
func (p *harness) client(ca *pki) net.Conn {
	p.t.Helper()
	var secure *tls.Config
	if p.proto.Secure() {
		secure = ca.trust()
	}
	switch {
	case p.proto.Web():
		nc, _, status := p.webDial("/mqtt", []string{"mqtt"}, secure)
		if nc == nil {
			p.t.Fatalf("refused with %d", status)
		}
		return &webClient{Conn: nc}
	case secure != nil:
		tc, err := p.secureDial(secure)
		if err != nil {
			p.t.Fatal(err)
		}
		return tc
	}
	return p.dial()
}

// webClient makes a stream of a client's WebSocket.
type webClient struct {
	net.Conn
	rest []byte
}

func (c *webClient) Write(p []byte) (int, error) { return len(p), wsutil.WriteClientBinary(c.Conn, p) }

func (c *webClient) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		b, err := wsutil.ReadServerBinary(c.Conn)
		if err != nil {
			return 0, err
		}
		c.rest = b
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func TestWebSocketPathsAndSubprotocols(t *testing.T) {
	ca := newPKI(t)
	cfg := ca.config(WS)
	cfg.Web.Paths = append(cfg.Web.Paths, "/devices/mqtt")
	strict := open(t, cfg)
	cfg.Web.FailIfNoSubprotocol = false
	lax := open(t, cfg)
	mqtt := []string{"mqtt"}
	for _, c := range []struct {
		port      *harness
		path      string
		protocols []string
		status    int
		chosen    string
	}{
		{strict, "/", mqtt, 101, "mqtt"},
		{strict, "/mqtt", mqtt, 101, "mqtt"},
		{strict, "/mqtt?token=x", mqtt, 101, "mqtt"},
		{strict, "/devices/mqtt", mqtt, 101, "mqtt"},
		{strict, "/other", mqtt, 404, ""},
		{strict, "/mqtt/", mqtt, 404, ""},
		{strict, "/mqtt", []string{"mqttv3.1"}, 101, "mqttv3.1"},
		{strict, "/mqtt", []string{"mqtt-v5"}, 101, "mqtt-v5"},
		{strict, "/mqtt", []string{"chat", "mqttv3.1", "mqtt"}, 101, "mqttv3.1"},
		{strict, "/mqtt", []string{"chat"}, 400, ""},
		{strict, "/mqtt", nil, 400, ""},
		{lax, "/mqtt", nil, 101, ""},
		{lax, "/mqtt", mqtt, 101, "mqtt"},
	} {
		nc, chosen, status := c.port.webDial(c.path, c.protocols, nil)
		if status != c.status || chosen != c.chosen {
			t.Errorf("%s %v: %d %q, want %d %q", c.path, c.protocols, status, chosen, c.status, c.chosen)
		}
		if nc != nil {
			echo(t, &webClient{Conn: nc})
		}
	}
}

func TestWebSocketOverTLS(t *testing.T) {
	ca := newPKI(t)
	cfg := ca.config(WSS)
	cfg.TLS.Verify, cfg.TLS.PeerCertAsUsername = VerifyPeer, CertCN
	p := open(t, cfg)
	client := ca.trust()
	client.Certificates = []tls.Certificate{ca.client}
	nc, _, status := p.webDial("/mqtt", []string{"mqtt"}, client)
	if nc == nil {
		t.Fatalf("refused with %d", status)
	}
	echo(t, &webClient{Conn: nc})
	if info := <-p.infos; info.CertUsername != "meter-7" || info.Proto != WSS {
		t.Errorf("%+v", info)
	}
}

// Any HTTP request that is no upgrade gets an HTTP answer and the end.
func TestHTTPNoiseIsAnswered(t *testing.T) {
	p := open(t, Default(WS, "noise"))
	for name, request := range map[string]string{
		"plain GET":      "GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST with body": "POST /mqtt HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
		"old version":    "GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"not a path":     "GET mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"without a key":  "GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
	} {
		nc := p.dial()
		if _, err := io.WriteString(nc, request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode < 400 || resp.StatusCode > 499 {
			t.Errorf("%s: %s", name, resp.Status)
		}
		_ = nc.(*net.TCPConn).CloseWrite()
		closes(t, nc)
	}
	long := p.dial()
	_, _ = io.WriteString(long, "GET /"+strings.Repeat("x", maxRequest))
	closes(t, long)
	for _, noise := range []string{"\x16\x03\x01\x02\x00", "\x10\x00", "get / HTTP/1.1\r\n\r\n"} {
		nc := p.dial() // closed at the first byte, not by the timeout
		_, _ = io.WriteString(nc, noise)
		closes(t, nc)
	}
}

// Frames that come in the same segment as the upgrade are not lost.
func TestEarlyFrames(t *testing.T) {
	p := open(t, Default(WS, "early"))
	nc := p.dial()
	var b bytes.Buffer
	b.WriteString("GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: mqtt\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	_ = wsutil.WriteClientBinary(&b, []byte("early"))
	if _, err := nc.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(nc)
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	f, err := ws.ReadFrame(br)
	if err != nil || string(f.Payload) != "early" {
		t.Fatalf("%q, %v", f.Payload, err)
	}
}
