package listener

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
)

// secureDial is a TLS client.
func (p *harness) secureDial(cfg *tls.Config) (*tls.Conn, error) {
	tc := tls.Client(p.dial(), cfg)
	return tc, tc.Handshake()
}

func TestTLSHandsOver(t *testing.T) {
	ca := newPKI(t)
	p := open(t, ca.config(TLS))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := ca.trust()
		cfg.MaxVersion = version
		tc, err := p.secureDial(cfg)
		if err != nil {
			t.Fatal(err)
		}
		echo(t, tc)
		if info := <-p.infos; info.CommonName != "" || info.Proto != TLS || info.Listener != "ssl:test" {
			t.Errorf("%+v", info)
		}
	}
}

func TestTLSVersionsAreKept(t *testing.T) {
	ca := newPKI(t)
	only13 := ca.config(TLS)
	only13.TLS.Versions = []string{"tlsv1.3"}
	for name, c := range map[string]struct {
		cfg Config
		max uint16
	}{"1.1 is refused": {ca.config(TLS), tls.VersionTLS11}, "1.2 where 1.3 is asked": {only13, tls.VersionTLS12}} {
		p := open(t, c.cfg)
		cfg := ca.trust()
		cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS10, c.max
		if _, err := p.secureDial(cfg); err == nil {
			t.Error(name)
		}
		eventually(t, "the failure to be counted", func() bool { return p.Stats().Failed == 1 && p.Stats().Current == 0 })
	}
}

func TestClientCertificateNames(t *testing.T) {
	ca := newPKI(t)
	const dn = "CN=meter-7,O=Works,C=DE"
	for as, want := range map[string]string{"": "", CertCN: "meter-7", CertDN: dn} {
		cfg := ca.config(TLS)
		cfg.TLS.Verify, cfg.TLS.FailIfNoPeerCert, cfg.TLS.PeerCertAsUsername = VerifyPeer, true, as
		p := open(t, cfg)
		client := ca.trust()
		client.Certificates = []tls.Certificate{ca.client}
		tc, err := p.secureDial(client)
		if err != nil {
			t.Fatal(err)
		}
		echo(t, tc)
		if info := <-p.infos; info.CommonName != "meter-7" || info.DN != dn || info.CertUsername != want {
			t.Errorf("%+v", info)
		}
	}
}

func TestClientCertificateIsVerified(t *testing.T) {
	ca, other := newPKI(t), newPKI(t)
	for name, c := range map[string]struct {
		fail  bool
		certs []tls.Certificate
		ok    bool
	}{
		"none, needed":         {true, nil, false},
		"none, not needed":     {false, nil, true},
		"of another authority": {false, []tls.Certificate{other.client}, false},
	} {
		cfg := ca.config(TLS)
		cfg.TLS.Verify, cfg.TLS.FailIfNoPeerCert = VerifyPeer, c.fail
		p := open(t, cfg)
		client := ca.trust()
		client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c.certs == nil {
				return &tls.Certificate{}, nil
			}
			return &c.certs[0], nil
		}
		tc, err := p.secureDial(client)
		if err == nil { // 1.3: the refusal comes with the first read
			_, _ = tc.Write([]byte("x"))
			_, err = io.ReadFull(tc, make([]byte, 1))
		}
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadFilesAreReportedByOpen(t *testing.T) {
	ca := newPKI(t)
	empty := filepath.Join(ca.dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no such certificate": func(c *Config) { c.TLS.CertFile = "nowhere.pem" },
		"no key in the file":  func(c *Config) { c.TLS.KeyFile = empty },
		"no authority":        func(c *Config) { c.TLS.Verify, c.TLS.CACertFile = VerifyPeer, "nowhere.pem" },
		"empty authority":     func(c *Config) { c.TLS.Verify, c.TLS.CACertFile = VerifyPeer, empty },
		"bad value":           func(c *Config) { c.TLS.Verify = "x" },
	} {
		cfg := ca.config(TLS)
		cfg.Bind = "127.0.0.1:0"
		change(&cfg)
		if l, err := Open(cfg, zap.NewNop()); err == nil {
			_ = l.Close()
			t.Error(name)
		}
	}
}

// Those who dawdle or talk nonsense leave the others served and are not kept.
func TestHandshakeNoiseIsBounded(t *testing.T) {
	ca := newPKI(t)
	for _, proto := range []Proto{TLS, WS, WSS} {
		t.Run(string(proto), func(t *testing.T) {
			cfg := ca.config(proto)
			cfg.HandshakeTimeout = time.Second
			p := open(t, cfg)
			var idle []net.Conn
			for range 20 {
				idle = append(idle, p.dial())
			}
			for _, noise := range []string{"\x00\x01\x02", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", "GET"} {
				nc := p.dial()
				_, _ = nc.Write([]byte(noise))
				idle = append(idle, nc)
			}
			start := time.Now()
			echo(t, p.client(ca))
			if d := time.Since(start); d > cfg.HandshakeTimeout*3/4 {
				t.Errorf("a good client took %v", d)
			}
			for _, nc := range idle {
				closes(t, nc)
			}
			eventually(t, "the places back", func() bool { return p.Stats().Current == 1 })
		})
	}
}

func TestOldestHandshakeMakesRoom(t *testing.T) {
	ca := newPKI(t)
	cfg := ca.config(TLS)
	cfg.MaxHandshakes = 5
	p := open(t, cfg)
	var idle []net.Conn
	for range 20 {
		idle = append(idle, p.dial())
	}
	for _, nc := range idle[:14] { // the last of them may have come after one of the 15
		closes(t, nc)
	}
	tc, err := p.secureDial(ca.trust())
	if err != nil {
		t.Fatal(err)
	}
	echo(t, tc)
}

func TestCloseEndsPendingHandshakes(t *testing.T) {
	ca := newPKI(t)
	p := open(t, ca.config(TLS))
	nc := p.dial()
	eventually(t, "accept", func() bool { return p.Stats().Current == 1 })
	_ = p.Close()
	closes(t, nc)
}
