package listener

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// shown is the certificate that the listener shows now.
func (p *harness) shown(ca *pki) *big.Int {
	p.t.Helper()
	tc, err := p.secureDial(ca.trust())
	if err != nil {
		p.t.Fatal(err)
	}
	defer tc.Close()
	return tc.ConnectionState().PeerCertificates[0].SerialNumber
}

// fresh lets the next handshake look at the files, as if time had passed.
func (p *harness) fresh() { p.settings.Load().tls.checked.Store(0) }

// greet is the outcome of a handshake with a client's certificate, 1.3's late
// refusal included.
func (p *harness) greet(ca *pki, cert *tls.Certificate) error {
	cfg := ca.trust()
	if cert != nil {
		cfg.Certificates = []tls.Certificate{*cert}
	}
	tc, err := p.secureDial(cfg)
	if err != nil {
		return err
	}
	defer tc.Close()
	_, _ = tc.Write([]byte("x"))
	_, err = io.ReadFull(tc, make([]byte, 1))
	return err
}

func TestChangedCertificateIsShown(t *testing.T) {
	ca := newPKI(t)
	p := open(t, ca.config(TLS))
	kept := p.client(ca)
	want := ca.serve(t)
	p.fresh()
	if got := p.shown(ca); got.Cmp(want.SerialNumber) != 0 {
		t.Error("the old certificate is shown")
	}
	for _, bad := range []string{"cert.pem", "key.pem"} { // half of a change, or a bad one
		if err := os.WriteFile(filepath.Join(ca.dir, bad), []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
		p.fresh()
		if got := p.shown(ca); got.Cmp(want.SerialNumber) != 0 {
			t.Error("the last good certificate is not shown")
		}
		if err := p.Reload(); err == nil {
			t.Error("Reload does not tell of a bad file")
		}
	}
	want = ca.serve(t)
	p.fresh()
	if got := p.shown(ca); got.Cmp(want.SerialNumber) != 0 {
		t.Error("a mended file is not read")
	}
	echo(t, kept)
}

func TestReloadReadsFilesAtOnce(t *testing.T) {
	ca := newPKI(t)
	p := open(t, ca.config(TLS))
	want := ca.serve(t)
	if err := p.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := p.shown(ca); got.Cmp(want.SerialNumber) != 0 {
		t.Error("the old certificate is shown")
	}
}

// Files are looked at once a second at most, however many handshakes there are.
func TestFilesAreLookedAtSeldom(t *testing.T) {
	ca := newPKI(t)
	cfg := ca.config(TLS)
	c, err := loadCredentials(cfg.TLS)
	if err != nil {
		t.Fatal(err)
	}
	was := c.current.Load()
	ca.serve(t)
	if c.config(zap.NewNop()) != was {
		t.Error("looked again within a second")
	}
	c.checked.Store(time.Now().Add(-checkEvery).UnixNano())
	if c.config(zap.NewNop()) == was {
		t.Error("not looked after a second")
	}
	if n := testing.AllocsPerRun(100, func() { c.config(nil) }); n != 0 {
		t.Errorf("a handshake that does not look allocates %v times", n)
	}
}

func TestRevokedClientsAreRefused(t *testing.T) {
	ca, other := newPKI(t), newPKI(t)
	cfg := ca.config(TLS)
	cfg.TLS.Verify, cfg.TLS.FailIfNoPeerCert, cfg.TLS.CRLCheck = VerifyPeer, true, true
	cfg.TLS.CRLFiles = []string{ca.revoke(t, time.Now().Add(time.Hour))}
	p := open(t, cfg)
	if err := p.greet(ca, &ca.client); err != nil {
		t.Fatalf("not revoked, and refused: %v", err)
	}
	ca.revoke(t, time.Now().Add(time.Hour), ca.client.Certificate[0])
	p.fresh()
	if p.greet(ca, &ca.client) == nil {
		t.Error("revoked, and admitted")
	}
	ca.revoke(t, time.Now().Add(-time.Hour))
	p.fresh()
	if p.greet(ca, &ca.client) == nil {
		t.Error("admitted by a list that is out of date")
	}
	ca.revoke(t, time.Now().Add(time.Hour))
	p.fresh()
	if err := p.greet(ca, &ca.client); err != nil {
		t.Errorf("a new list does not count: %v", err)
	}
	foreign := p.Config()
	foreign.TLS.CRLFiles = []string{other.revoke(t, time.Now().Add(time.Hour))}
	if err := p.Update(foreign); err == nil || !strings.Contains(err.Error(), "signed by no certificate") {
		t.Errorf("somebody else's list is taken: %v", err)
	}
}

// The client that was revoked cannot resume what it had.
func TestRevokedClientsCannotResume(t *testing.T) {
	ca := newPKI(t)
	cfg := ca.config(TLS)
	cfg.TLS.Verify, cfg.TLS.FailIfNoPeerCert, cfg.TLS.CRLCheck = VerifyPeer, true, true
	cfg.TLS.CRLFiles = []string{ca.revoke(t, time.Now().Add(time.Hour))}
	p := open(t, cfg)
	client := ca.trust()
	client.Certificates, client.ClientSessionCache = []tls.Certificate{ca.client}, tls.NewLRUClientSessionCache(8)
	dial := func() (bool, error) {
		tc, err := p.secureDial(client)
		if err != nil {
			return false, err
		}
		defer tc.Close()
		_, _ = tc.Write([]byte("x"))
		_, err = io.ReadFull(tc, make([]byte, 1))
		return tc.ConnectionState().DidResume, err
	}
	if _, err := dial(); err != nil {
		t.Fatal(err)
	}
	if resumed, err := dial(); err != nil || !resumed {
		t.Fatalf("resumed %v, %v", resumed, err)
	}
	ca.revoke(t, time.Now().Add(time.Hour), ca.client.Certificate[0])
	p.fresh()
	if _, err := dial(); err == nil {
		t.Error("resumed although revoked")
	}
}

func TestChainPolicies(t *testing.T) {
	ca := newPKI(t)
	sign := x509.KeyUsageCertSign
	midKey, mid := certify(t, &x509.Certificate{Subject: pkix.Name{CommonName: "mid"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: sign}, ca.ca, ca.caKey)
	key, leaf := certify(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "deep"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageCodeSigning},
	}, mid, midKey)
	short := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
	full := tls.Certificate{Certificate: [][]byte{leaf.Raw, mid.Raw}, PrivateKey: key}
	ca.write(t, "mid.pem", "CERTIFICATE", mid.Raw)
	midPEM, _ := os.ReadFile(filepath.Join(ca.dir, "mid.pem"))
	rootPEM, _ := os.ReadFile(filepath.Join(ca.dir, "ca.pem"))
	for name, c := range map[string]struct {
		cas    [][]byte
		change func(*TLSConfig)
		cert   tls.Certificate
		ok     bool
	}{
		"one intermediate, depth 1":     {[][]byte{rootPEM}, func(c *TLSConfig) { c.Depth = 1 }, full, true},
		"one intermediate, depth 0":     {[][]byte{rootPEM}, func(c *TLSConfig) { c.Depth = 0 }, full, false},
		"no intermediate, depth 0":      {[][]byte{rootPEM}, func(c *TLSConfig) { c.Depth = 0 }, ca.client, true},
		"ends at any":                   {[][]byte{midPEM}, func(*TLSConfig) {}, short, true},
		"ends at roots only":            {[][]byte{midPEM, rootPEM}, func(c *TLSConfig) { c.PartialChain = ChainRoots }, short, false},
		"ends at the first":             {[][]byte{midPEM, rootPEM}, func(c *TLSConfig) { c.PartialChain = ChainTrue }, short, true},
		"does not end at the second":    {[][]byte{rootPEM, midPEM}, func(c *TLSConfig) { c.PartialChain = ChainFirst }, short, false},
		"ends at the second of two":     {[][]byte{rootPEM, midPEM}, func(c *TLSConfig) { c.PartialChain = ChainTwo }, short, true},
		"has the usages":                {[][]byte{midPEM}, func(c *TLSConfig) { c.ExtKeyUsage = []string{"clientAuth", "codeSigning"} }, short, true},
		"lacks a usage":                 {[][]byte{midPEM}, func(c *TLSConfig) { c.ExtKeyUsage = []string{"clientAuth", "timeStamping"} }, short, false},
		"lacks a usage with a number":   {[][]byte{midPEM}, func(c *TLSConfig) { c.ExtKeyUsage = []string{"OID:1.2.3.4"} }, short, false},
		"of an issuer without any list": {[][]byte{midPEM, rootPEM}, func(c *TLSConfig) { c.CRLCheck, c.CRLFiles = true, []string{ca.revoke(t, time.Now().Add(time.Hour))} }, full, false},
	} {
		cfg := ca.config(TLS)
		cfg.TLS.Verify, cfg.TLS.FailIfNoPeerCert, cfg.TLS.CACertFile = VerifyPeer, true, filepath.Join(ca.dir, "these.pem")
		if err := os.WriteFile(cfg.TLS.CACertFile, slices.Concat(c.cas...), 0o600); err != nil {
			t.Fatal(err)
		}
		c.change(&cfg.TLS)
		if err := open(t, cfg).greet(ca, &c.cert); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := ca.config(TLS)
	cfg.TLS.Verify, cfg.TLS.PartialChain, cfg.TLS.CACertFile = VerifyPeer, ChainRoots, filepath.Join(ca.dir, "mid.pem")
	if _, err := loadCredentials(cfg.TLS); err == nil || !strings.Contains(err.Error(), "may end a chain") {
		t.Errorf("no anchor: %v", err)
	}
}

func TestALPN(t *testing.T) {
	ca := newPKI(t)
	p := open(t, ca.config(TLS))
	for offer, want := range map[string]string{"mqtt": "mqtt", "x-amzn-mqtt-ca": "x-amzn-mqtt-ca", "": "", "h2": "refused"} {
		cfg := ca.trust()
		if offer != "" {
			cfg.NextProtos = []string{offer}
		}
		tc, err := p.secureDial(cfg)
		got := "refused"
		if err == nil {
			got = tc.ConnectionState().NegotiatedProtocol
		}
		if got != want {
			t.Errorf("%q offered: %q, want %q (%v)", offer, got, want, err)
		}
	}
}

func TestStapledResponse(t *testing.T) {
	ca := newPKI(t)
	cfg := ca.config(TLS)
	cfg.TLS.OCSP, cfg.TLS.OCSPFile = true, filepath.Join(ca.dir, "ocsp.der")
	if _, err := loadCredentials(cfg.TLS); err == nil || !strings.Contains(err.Error(), "ocsp_file") {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(cfg.TLS.OCSPFile, []byte("a response"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := open(t, cfg)
	tc, err := p.secureDial(ca.trust())
	if err != nil || string(tc.OCSPResponse()) != "a response" {
		t.Errorf("%q, %v", tc.OCSPResponse(), err)
	}
	if err := os.WriteFile(cfg.TLS.OCSPFile, []byte("the next"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.fresh()
	tc, err = p.secureDial(ca.trust())
	if err != nil || string(tc.OCSPResponse()) != "the next" {
		t.Errorf("%q, %v", tc.OCSPResponse(), err)
	}
}

func TestCiphersAndVersions(t *testing.T) {
	for name, c := range map[string]struct {
		versions, ciphers []string
		least, most       uint16
		fault             string
	}{
		"default":            {nil, nil, tls.VersionTLS12, tls.VersionTLS13, ""},
		"OpenSSL's name":     {nil, []string{"ECDHE-RSA-AES128-GCM-SHA256"}, tls.VersionTLS12, tls.VersionTLS12, ""},
		"IANA's name":        {nil, []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"}, tls.VersionTLS12, tls.VersionTLS13, ""},
		"of 1.3 only":        {nil, []string{"TLS_AES_256_GCM_SHA384"}, tls.VersionTLS13, tls.VersionTLS13, ""},
		"none left":          {[]string{"tlsv1.3"}, []string{"ECDHE-RSA-AES128-GCM-SHA256"}, 0, 0, "no suite is left for tlsv1.3"},
		"unknown":            {nil, []string{"ECDHE-RSA-AES128-GCM-SHA257"}, 0, 0, "is no cipher suite that is known here"},
		"pre-shared key":     {nil, []string{"PSK-AES128-CBC-SHA"}, 0, 0, "pre-shared keys is not supported"},
		"broken":             {nil, []string{"TLS_RSA_WITH_RC4_128_SHA"}, 0, 0, "is refused"},
		"no forward secrecy": {nil, []string{"TLS_RSA_WITH_AES_128_GCM_SHA256"}, 0, 0, "is refused"},
		"old version":        {[]string{"tlsv1.2", "tlsv1.1"}, nil, 0, 0, "tlsv1.1 is not supported: it is broken, and TLS 1.2 is the least"},
		"no version":         {[]string{"tls12"}, nil, 0, 0, "neither tlsv1.2 nor tlsv1.3"},
	} {
		cfg := Default(TLS, "test")
		cfg.Bind, cfg.TLS.Versions, cfg.TLS.Ciphers = "1", c.versions, c.ciphers
		least, most, err := cfg.TLS.versions()
		if least != c.least || most != c.most || (err == nil) != (c.fault == "") {
			t.Errorf("%s: %x to %x, %v", name, least, most, err)
		}
		if err := cfg.Validate(); (err == nil) != (c.fault == "") || (err != nil && !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ca := newPKI(t)
	cfg := ca.config(TLS)
	cfg.TLS.Ciphers = []string{"ECDHE-ECDSA-AES256-GCM-SHA384"}
	tc, err := open(t, cfg).secureDial(ca.trust())
	if err != nil || tc.ConnectionState().CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 {
		t.Errorf("%v", err)
	}
	for name, id := range openSSLNames {
		if s := tls.CipherSuiteName(id); !strings.Contains(s, strings.Split(name, "-")[1]) {
			t.Errorf("%s is %s", name, s)
		}
	}
}

// Keys that openssl has encrypted, in the old form and the new.
func TestEncryptedKeys(t *testing.T) {
	ca := newPKI(t)
	in, out := filepath.Join(ca.dir, "key.pem"), filepath.Join(ca.dir, "sealed.pem")
	for _, args := range [][]string{
		{"pkcs8", "-topk8", "-v2", "aes256", "-in", in, "-out", out, "-passout", "pass:open sesame"},
		{"pkcs8", "-topk8", "-v2", "aes128", "-v2prf", "hmacWithSHA512", "-in", in, "-out", out, "-passout", "pass:open sesame"},
		{"pkcs8", "-topk8", "-v2", "aes192", "-v2prf", "hmacWithSHA1", "-in", in, "-out", out, "-passout", "pass:open sesame"},
		{"ec", "-aes256", "-in", in, "-out", out, "-passout", "pass:open sesame"},
	} {
		if text, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl: %v: %s", err, text)
		}
		cfg := ca.config(TLS)
		cfg.TLS.KeyFile = out
		for password, want := range map[string]string{"open sesame": "", "": "key_password is needed", "wrong": "key_password does not open it"} {
			cfg.TLS.KeyPassword = password
			_, err := loadCredentials(cfg.TLS)
			if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
				t.Errorf("%v, %q: %v", args[:4], password, err)
			}
		}
	}
}

// A client that is not Go's.
func TestOpenSSLClient(t *testing.T) {
	ca := newPKI(t)
	p := open(t, ca.config(TLS))
	cmd := exec.Command("openssl", "s_client", "-connect", p.Addr().String(), "-CAfile", filepath.Join(ca.dir, "ca.pem"), "-alpn", "mqtt", "-verify_return_error", "-brief")
	cmd.Stdin = strings.NewReader("hello\n")
	text, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "Verification: OK") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestCertificateNames(t *testing.T) {
	ca := newPKI(t)
	leaf, err := x509.ParseCertificate(ca.client.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for as, length := range map[string]int{"": 0, CertMD5: 32, CertPEM: (len(leaf.Raw) + 2) / 3 * 4, CertCRT: (len(leaf.Raw) + 2) / 3 * 4} {
		cfg := ca.config(TLS)
		cfg.TLS.Verify, cfg.TLS.FailIfNoPeerCert, cfg.TLS.PeerCertAsClientID = VerifyPeer, true, as
		p := open(t, cfg)
		if err := p.greet(ca, &ca.client); err != nil {
			t.Fatal(err)
		}
		if info := <-p.infos; len(info.CertClientID) != length || info.CertUsername != "" {
			t.Errorf("%s: %+v", as, info)
		}
	}
}
