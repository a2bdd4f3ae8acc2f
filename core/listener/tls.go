package listener

import (
	"context"
	"crypto/tls"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

var tlsVersions = map[string]uint16{"tlsv1.2": tls.VersionTLS12, "tlsv1.3": tls.VersionTLS13}

// checkEvery is how often handshakes look whether files have changed.
const checkEvery = time.Second

// credentials are what a listener shows and whom it trusts. The files are looked
// at by handshakes, so that an idle listener does nothing; changed ones are read
// again, and if they cannot be the last good ones stay.
type credentials struct {
	cfg TLSConfig // immutable

	current atomic.Pointer[tls.Config]
	checked atomic.Int64 // when the files were last looked at, Unix ns

	mu     sync.Mutex    // guards what follows; files are read under it
	stamps []fs.FileInfo // of the files of current; nil entries: not there
	failed string        // why the files could not be read again; "": they were
}

// loadCredentials reads the files.
func loadCredentials(cfg TLSConfig) (*credentials, error) {
	c := &credentials{cfg: cfg}
	c.stamps = c.look()
	tc, err := cfg.load()
	if err != nil {
		return nil, err
	}
	c.current.Store(tc)
	c.checked.Store(time.Now().UnixNano())
	return c, nil
}

// config is the configuration of a handshake now.
func (c *credentials) config(log *zap.Logger) *tls.Config {
	now, last := time.Now().UnixNano(), c.checked.Load()
	if now-last >= int64(checkEvery) && c.checked.CompareAndSwap(last, now) {
		c.refresh(log)
	}
	return c.current.Load()
}

// refresh reads the files again if they have changed, or could not be read when
// they last had.
func (c *credentials) refresh(log *zap.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps := c.look()
	if c.failed == "" && slices.EqualFunc(stamps, c.stamps, same) {
		return
	}
	tc, err := c.cfg.load()
	if err != nil {
		if c.failed != err.Error() {
			log.Error("changed TLS files cannot be used, the old ones stay", zap.Error(err))
		}
		c.failed = err.Error()
		return
	}
	c.stamps, c.failed = stamps, ""
	c.current.Store(tc)
	log.Info("TLS files were read again")
}

func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// look describes the files.
func (c *credentials) look() []fs.FileInfo {
	paths := append([]string{c.cfg.CertFile, c.cfg.KeyFile, c.cfg.CACertFile, c.cfg.OCSPFile}, c.cfg.CRLFiles...)
	stamps := make([]fs.FileInfo, len(paths))
	for i, path := range paths {
		if info, err := os.Stat(path); err == nil {
			stamps[i] = info
		}
	}
	return stamps
}

// load reads the files and makes the configuration of handshakes.
func (c *TLSConfig) load() (*tls.Config, error) {
	cert, err := c.loadPair()
	if err != nil {
		return nil, err
	}
	if err := c.staple(&cert); err != nil {
		return nil, err
	}
	tc := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: c.ALPN}
	if tc.MinVersion, tc.MaxVersion, err = c.versions(); err != nil {
		return nil, err
	}
	if tc.CipherSuites, _, _, err = parseCiphers(c.Ciphers); err != nil {
		return nil, err
	}
	if c.Verify != VerifyPeer {
		return tc, nil
	}
	pool, cas, err := c.anchors()
	if err != nil {
		return nil, err
	}
	v, err := c.verifier(cas)
	if err != nil {
		return nil, err
	}
	tc.ClientCAs, tc.VerifyConnection = pool, v.verify
	tc.ClientAuth = tls.VerifyClientCertIfGiven
	if c.FailIfNoPeerCert {
		tc.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return tc, nil
}

// staple puts the response of ocsp_file into the handshakes with cert.
func (c *TLSConfig) staple(cert *tls.Certificate) error {
	if !c.OCSP || c.OCSPFile == "" {
		return nil
	}
	der, err := os.ReadFile(c.OCSPFile)
	if err != nil {
		return fmt.Errorf("ocsp_file: %w", err)
	}
	cert.OCSPStaple = der
	return nil
}

// secure does the TLS handshake of a, if the listener is encrypted.
func (s *settings) secure(a *Accepted, log *zap.Logger) error {
	if s.tls == nil {
		return nil
	}
	tc := tls.Server(a.Conn, s.tls.config(log))
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
