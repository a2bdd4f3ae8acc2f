package listener

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// harness is a running listener whose streams echo, each on a goroutine.
type harness struct {
	*Listener
	t     *testing.T
	infos chan Info
	bare  chan bool // whether a descriptor was handed over

	preface []byte // what dial sends first
}

func open(t *testing.T, cfg Config) *harness {
	t.Helper()
	if cfg.Bind == "" {
		cfg.Bind = "127.0.0.1:0"
	}
	l, err := Open(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	p := &harness{Listener: l, t: t, infos: make(chan Info, 1000), bare: make(chan bool, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := l.Run(context.Background(), p.serve); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
		eventually(t, "the echoes' end", func() bool { return l.Stats().Current == 0 })
	})
	return p
}

// serve echoes on a.
func (p *harness) serve(a Accepted) {
	p.infos <- a.Info
	p.bare <- a.Conn == nil
	if a.Conn == nil || a.Pipe != nil {
		f := os.NewFile(uintptr(a.FD), "accepted")
		nc, err := net.FileConn(f)
		if err != nil {
			p.t.Error(err)
		}
		_ = f.Close()
		if a.Pipe != nil {
			a.Pipe.nc, a.Pipe = nc, nil // as it was during the handshakes
		} else {
			a.Conn = nc
		}
	}
	go func() {
		_, _ = io.Copy(struct{ io.Writer }{a.Conn}, struct{ io.Reader }{a.Conn})
		_ = a.Close()
	}()
}

// dial is a plain TCP client.
func (p *harness) dial() net.Conn {
	p.t.Helper()
	nc, err := net.Dial(p.Addr().Network(), p.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := nc.Write(p.preface); err != nil {
		p.t.Fatal(err)
	}
	return nc
}

// rawTCP tells whether plain MQTT is handed over as a descriptor here.
const rawTCP = runtime.GOOS == "linux"

// echo sends a text and awaits it.
func echo(t *testing.T, nc net.Conn) {
	t.Helper()
	const text = "through and back"
	if _, err := nc.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	expect(t, nc, text)
}

// expect reads the text.
func expect(t *testing.T, nc net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(nc, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != text {
		t.Fatalf("got %q", got)
	}
}

// closes waits until the far end has closed.
func closes(t *testing.T, nc net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, nc)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("connection was left open")
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// pki is a certificate authority with a server's and a client's certificate.
type pki struct {
	dir    string
	pool   *x509.CertPool
	client tls.Certificate

	ca    *x509.Certificate
	caKey *ecdsa.PrivateKey
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{dir: t.TempDir(), pool: x509.NewCertPool()}
	caKey, ca := certify(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil, nil)
	p.pool.AddCert(ca)
	p.ca, p.caKey = ca, caKey
	p.write(t, "ca.pem", "CERTIFICATE", ca.Raw)
	p.serve(t)
	key, cert := certify(t, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "meter-7", Organization: []string{"Works"}, Country: []string{"DE"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, caKey)
	p.client = tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
	return p
}

// serve makes a new server certificate in the files and returns it.
func (p *pki) serve(t *testing.T) *x509.Certificate {
	t.Helper()
	key, cert := certify(t, &x509.Certificate{Subject: pkix.Name{CommonName: "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, p.ca, p.caKey)
	p.write(t, "cert.pem", "CERTIFICATE", cert.Raw)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "key.pem", "EC PRIVATE KEY", der)
	return cert
}

// revoke writes the authority's list with the given certificates.
func (p *pki) revoke(t *testing.T, next time.Time, certs ...[]byte) string {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: next}
	for _, der := range certs {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, p.ca, p.caKey)
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "crl.pem", crlPEM, der)
	return filepath.Join(p.dir, "crl.pem")
}

func certify(t *testing.T, c, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if ca == nil {
		ca, caKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, ca, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, out
}

func (p *pki) write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// config is a default listener with the authority's files.
func (p *pki) config(proto Proto) Config {
	c := Default(proto, "test")
	c.TLS.CertFile, c.TLS.KeyFile, c.TLS.CACertFile = filepath.Join(p.dir, "cert.pem"), filepath.Join(p.dir, "key.pem"), filepath.Join(p.dir, "ca.pem")
	return c
}

// trust is a client's configuration.
func (p *pki) trust() *tls.Config { return &tls.Config{RootCAs: p.pool, ServerName: "127.0.0.1"} }
