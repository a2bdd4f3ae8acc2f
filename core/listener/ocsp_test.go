package listener

import (
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// responder answers with status about whatever ca has signed.
func (p *pki) responder(t *testing.T, status *atomic.Int64) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		q, err := ocsp.ParseRequest(body)
		if err != nil || status.Load() < 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		der, err := ocsp.CreateResponse(p.ca, p.ca, ocsp.Response{
			Status: int(status.Load()), SerialNumber: q.SerialNumber, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour),
		}, p.caKey)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(der)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// stapled is the response that the listener sends.
func (p *harness) stapled(ca *pki) []byte {
	tc, err := p.secureDial(ca.trust())
	if err != nil {
		p.t.Fatal(err)
	}
	defer tc.Close()
	return tc.OCSPResponse()
}

func TestFetchedResponseIsStapled(t *testing.T) {
	ca := newPKI(t)
	var status atomic.Int64
	cfg := ca.config(TLS)
	cfg.TLS.OCSP, cfg.TLS.OCSPURL, cfg.TLS.OCSPIssuer = true, ca.responder(t, &status), filepath.Join(ca.dir, "ca.pem")
	p := open(t, cfg)
	eventually(t, "a response", func() bool { return len(p.stapled(ca)) > 0 })
	answer, err := ocsp.ParseResponse(p.stapled(ca), ca.ca)
	if err != nil || answer.Status != ocsp.Good {
		t.Fatalf("%+v, %v", answer, err)
	}
	// A responder that is down leaves the response until it is out of date.
	if der := p.stapled(ca); inDate(der, time.Now()) == nil || inDate(der, time.Now().Add(2*time.Hour)) != nil {
		t.Error("the time of a response does not count")
	}
	next := ca.serve(t) // another certificate needs another response
	p.fresh()
	eventually(t, "the response for the new certificate", func() bool {
		answer, err := ocsp.ParseResponse(p.stapled(ca), ca.ca)
		return err == nil && answer.SerialNumber.Cmp(next.SerialNumber) == 0
	})
}

func TestBadAnswersAreNotStapled(t *testing.T) {
	ca, other := newPKI(t), newPKI(t)
	var status atomic.Int64
	cfg := ca.config(TLS)
	cfg.TLS.OCSP, cfg.TLS.OCSPURL, cfg.TLS.OCSPIssuer = true, ca.responder(t, &status), filepath.Join(ca.dir, "ca.pem")
	c, err := loadCredentials(cfg.TLS)
	if err != nil {
		t.Fatal(err)
	}
	cert := &c.current.Load().Certificates[0]
	for s, want := range map[int64]string{ocsp.Revoked: "does not call", ocsp.Unknown: "does not call", -1: "500"} {
		status.Store(s)
		if _, err := cfg.TLS.fetch(t.Context(), cert); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("status %d: %v", s, err)
		}
	}
	status.Store(ocsp.Good)
	foreign := cfg.TLS
	foreign.OCSPURL = other.responder(t, &status)
	if _, err := foreign.fetch(t.Context(), cert); err == nil {
		t.Error("signed by somebody else, and stapled")
	}
	alone := cfg.TLS
	alone.OCSPIssuer = ""
	if _, err := alone.fetch(t.Context(), cert); err == nil || !strings.Contains(err.Error(), "ocsp_issuer_pem is needed") {
		t.Errorf("no issuer: %v", err)
	}
	if leaf, _ := x509.ParseCertificate(cert.Certificate[0]); leaf == nil {
		t.Error("no certificate")
	}
}

func TestOCSPFaults(t *testing.T) {
	for name, change := range map[string]func(*TLSConfig){
		"neither":     func(*TLSConfig) {},
		"both":        func(c *TLSConfig) { c.OCSPFile, c.OCSPURL = "x", "http://x" },
		"no http":     func(c *TLSConfig) { c.OCSPURL = "ldap://x" },
		"no interval": func(c *TLSConfig) { c.OCSPURL, c.OCSPRefresh = "http://x", 0 },
		"no timeout":  func(c *TLSConfig) { c.OCSPURL, c.OCSPTimeout = "http://x", 0 },
	} {
		cfg := Default(TLS, "test")
		cfg.Bind, cfg.TLS.OCSP = "1", true
		change(&cfg.TLS)
		if cfg.Validate() == nil {
			t.Error(name)
		}
	}
}
