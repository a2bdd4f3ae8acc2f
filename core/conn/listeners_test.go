package conn_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/conn"
	"github.com/dunlinmq/dunlin/core/listener"
)

// certificate writes a self-signed one and returns its files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: kder}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// webStream makes a stream of a client's WebSocket.
type webStream struct {
	net.Conn
	rest []byte
}

func (c *webStream) Write(p []byte) (int, error) {
	return len(p), wsutil.WriteClientBinary(c.Conn, bytes.Clone(p))
}

func (c *webStream) Read(p []byte) (int, error) {
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

// Every transport carries large packets both ways and the last word before a
// close.
func TestEveryListenerThroughTheEngine(t *testing.T) {
	cert, key := certificate(t)
	insecure := &tls.Config{InsecureSkipVerify: true}
	dials := map[listener.Proto]func(addr string) (net.Conn, error){
		listener.TCP: func(addr string) (net.Conn, error) { return net.Dial("tcp", addr) },
		listener.TLS: func(addr string) (net.Conn, error) { return tls.Dial("tcp", addr, insecure) },
		listener.WS: func(addr string) (net.Conn, error) {
			nc, _, _, err := ws.Dialer{Protocols: []string{"mqtt"}}.Dial(t.Context(), "ws://"+addr+"/mqtt")
			return &webStream{Conn: nc}, err
		},
		listener.WSS: func(addr string) (net.Conn, error) {
			nc, _, _, err := ws.Dialer{Protocols: []string{"mqtt"}, TLSConfig: insecure}.Dial(t.Context(), "wss://"+addr+"/mqtt")
			return &webStream{Conn: nc}, err
		},
	}
	for proto, dial := range dials {
		t.Run(string(proto), func(t *testing.T) {
			r := newRig(t, conn.Config{}, nil)
			cfg := listener.Default(proto, "test")
			cfg.Bind, cfg.TLS.CertFile, cfg.TLS.KeyFile = "127.0.0.1:0", cert, key
			l, err := listener.Open(cfg, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			machines, ended := r.listen(l)
			nc, err := dial(l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			c, m := &client{nc, t}, <-machines
			c.send(packet(cmdEcho, nil))
			c.next()
			if stacks := make([]byte, 1<<20); runtime.GOOS == "linux" && bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("conn.(*stream)")) {
				t.Error("an idle connection holds a goroutine")
			}
			body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
			go c.send(packet(cmdEcho, body), packet(cmdClose, []byte("bye")))
			if _, got := c.next(); !bytes.Equal(got, body) {
				t.Error("packet changed")
			}
			if cmd, got := c.next(); cmd != cmdClose || string(got) != "bye" {
				t.Errorf("then %c %q", cmd, got)
			}
			if _, _, err := c.read(); err == nil {
				t.Error("stream goes on")
			}
			_ = nc.Close()
			if err := m.gone(t); err != nil {
				t.Errorf("lost by %v", err)
			}
			eventually(t, "the place back", func() bool { return l.Stats().Current == 0 })
			_ = l.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// listen serves what l accepts and reports the machines and Run's end.
func (r *rig) listen(l *listener.Listener) (<-chan *machine, <-chan error) {
	machines := make(chan *machine, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- l.Run(context.Background(), func(a listener.Accepted) {
			release := a.Done
			a.Done = func() { release(); r.dones.Add(1) }
			err := r.engine.Serve(a, func(w conn.Waker) conn.Machine {
				m := &machine{hub: r.hub, wake: w, lostc: make(chan struct{})}
				r.hub.mu.Lock()
				r.hub.machines = append(r.hub.machines, m)
				r.hub.mu.Unlock()
				machines <- m
				return m
			})
			if err != nil {
				r.t.Error(err)
			}
		})
	}()
	return machines, ended
}
