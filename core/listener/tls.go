package listener

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

var tlsVersions = map[string]uint16{"tlsv1.2": tls.VersionTLS12, "tlsv1.3": tls.VersionTLS13}

// load reads the files and makes the configuration of handshakes.
func (c *TLSConfig) load() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("certfile, keyfile: %w", err)
	}
	tc := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if len(c.Versions) > 0 {
		tc.MinVersion, tc.MaxVersion = tls.VersionTLS13, tls.VersionTLS12
		for _, v := range c.Versions {
			tc.MinVersion = min(tc.MinVersion, tlsVersions[v])
			tc.MaxVersion = max(tc.MaxVersion, tlsVersions[v])
		}
	}
	if c.Verify != VerifyPeer {
		return tc, nil
	}
	pem, err := os.ReadFile(c.CACertFile)
	if err != nil {
		return nil, fmt.Errorf("cacertfile: %w", err)
	}
	tc.ClientCAs = x509.NewCertPool()
	if !tc.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("cacertfile: %s holds no certificate", c.CACertFile)
	}
	tc.ClientAuth = tls.VerifyClientCertIfGiven
	if c.FailIfNoPeerCert {
		tc.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return tc, nil
}

// credentials are what a listener shows and whom it trusts.
type credentials struct {
	cfg *tls.Config
}

// loadCredentials reads the files.
func loadCredentials(c TLSConfig) (*credentials, error) {
	tc, err := c.load()
	if err != nil {
		return nil, err
	}
	return &credentials{tc}, nil
}

// secure does the TLS handshake of a, if the listener is encrypted.
func (s *settings) secure(a *Accepted) error {
	if s.tls == nil {
		return nil
	}
	tc := tls.Server(a.Conn, s.tls.cfg)
	if err := tc.HandshakeContext(context.Background()); err != nil { // the socket has a deadline
		return fmt.Errorf("tls: %w", err)
	}
	a.Conn = tc
	state := tc.ConnectionState()
	if len(state.VerifiedChains) == 0 {
		return nil
	}
	leaf := state.PeerCertificates[0]
	a.Info.CommonName, a.Info.DN = leaf.Subject.CommonName, leaf.Subject.String()
	a.Info.CertUsername = certName(leaf, s.cfg.TLS.PeerCertAsUsername)
	a.Info.CertClientID = certName(leaf, s.cfg.TLS.PeerCertAsClientID)
	return nil
}
