package listener

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ocsp"
)

const (
	largestResponse = 64 << 10
	soonestRefresh  = time.Second // whatever ocsp_refresh_interval says
	stapleCheck     = time.Second // how soon changed settings and certificates are noticed
)

func (c *TLSConfig) validateOCSP(fault func(bad bool, key, format string, args ...any)) {
	if !c.OCSP {
		return
	}
	fault((c.OCSPFile == "") == (c.OCSPURL == ""), "enable_ocsp_stapling", "needs either ocsp_responder_url or ocsp_file")
	if c.OCSPURL == "" {
		return
	}
	u, err := url.Parse(c.OCSPURL)
	fault(err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "", "ocsp_responder_url", "%q is no http address", c.OCSPURL)
	fault(c.OCSPRefresh <= 0, "ocsp_refresh_interval", "must be positive")
	fault(c.OCSPTimeout <= 0, "ocsp_refresh_http_timeout", "must be positive")
}

// issuer is who has signed the listener's certificate: of ocsp_issuer_pem, else
// the second of certfile.
func (c *TLSConfig) issuer(cert *tls.Certificate) (*x509.Certificate, error) {
	if c.OCSPIssuer == "" {
		if len(cert.Certificate) < 2 {
			return nil, errors.New("ocsp_issuer_pem is needed: certfile does not hold the issuer")
		}
		return x509.ParseCertificate(cert.Certificate[1])
	}
	text, err := os.ReadFile(c.OCSPIssuer)
	if err != nil {
		return nil, fmt.Errorf("ocsp_issuer_pem: %w", err)
	}
	b, _ := pem.Decode(text)
	if b == nil {
		return nil, fmt.Errorf("ocsp_issuer_pem: %s holds no certificate", c.OCSPIssuer)
	}
	return x509.ParseCertificate(b.Bytes)
}

// fetch asks the responder about cert. Only an answer that is signed, of now, and
// good is one.
func (c *TLSConfig) fetch(ctx context.Context, cert *tls.Certificate) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.OCSPTimeout)
	defer cancel()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, err
	}
	issuer, err := c.issuer(cert)
	if err != nil {
		return nil, err
	}
	question, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.OCSPURL, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment}}).Do(req)
	if err != nil {
		return nil, err
	}
	der, err := io.ReadAll(io.LimitReader(res.Body, largestResponse))
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the responder says %s", res.Status)
	}
	answer, err := ocsp.ParseResponseForCert(der, leaf, issuer)
	if err != nil {
		return nil, err
	}
	if now := time.Now(); answer.Status != ocsp.Good || (!answer.NextUpdate.IsZero() && now.After(answer.NextUpdate)) {
		return nil, fmt.Errorf("the responder does not call the certificate good now (status %d, next update %v)", answer.Status, answer.NextUpdate)
	}
	return der, nil
}

// stapler fetches responses for a listener's certificate. Owned by its goroutine.
type stapler struct {
	l      *Listener
	served *tls.Config // what the last response was put in
	next   time.Time
}

// run fetches until the listener is closed. Handshakes never wait for it: until
// there is a response, and when there is none any more, they do without.
func (s *stapler) run(ctx context.Context) {
	for s.step(ctx); wait(ctx, stapleCheck); s.step(ctx) {
	}
}

// step fetches if it is time or there is another certificate.
func (s *stapler) step(ctx context.Context) {
	c := s.l.settings.Load().tls
	if c == nil || !c.cfg.OCSP || c.cfg.OCSPURL == "" {
		return
	}
	tc := c.current.Load()
	if tc == s.served && time.Now().Before(s.next) {
		return
	}
	der, err := c.cfg.fetch(ctx, &tc.Certificates[0])
	if err != nil && ctx.Err() == nil {
		s.l.log.Warn("no new OCSP response to staple", zap.String("responder", c.cfg.OCSPURL), zap.Error(err))
		der = inDate(tc.Certificates[0].OCSPStaple, time.Now())
	}
	s.next = time.Now().Add(max(c.cfg.OCSPRefresh, soonestRefresh))
	s.served = c.putStaple(tc, der)
}

// inDate is the response if it may still be sent, else nil.
func inDate(der []byte, now time.Time) []byte {
	answer, err := ocsp.ParseResponse(der, nil)
	if err != nil || now.After(answer.NextUpdate) {
		return nil
	}
	return der
}

// putStaple replaces the configuration by one with the response, unless there is
// another meanwhile. What was resumed before has to begin anew.
func (c *credentials) putStaple(old *tls.Config, der []byte) *tls.Config {
	if bytes.Equal(old.Certificates[0].OCSPStaple, der) {
		return old
	}
	tc := old.Clone()
	cert := old.Certificates[0]
	cert.OCSPStaple = der
	tc.Certificates = []tls.Certificate{cert}
	if !c.current.CompareAndSwap(old, tc) {
		return nil
	}
	return tc
}
