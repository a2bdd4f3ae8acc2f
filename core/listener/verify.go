package listener

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// The values of partial_chain: which certificates of cacertfile end a chain.
const (
	ChainAny     = ""                            // every one
	ChainRoots   = "false"                       // those that sign themselves
	ChainTrue    = "true"                        // the first
	ChainFirst   = "cacert_from_cacertfile"      // the first
	ChainTwo     = "two_cacerts_from_cacertfile" // the first two, while one replaces the other
	crlPEM       = "X509 CRL"                    // the type of a PEM block
	anyPartial   = "false, true, cacert_from_cacertfile, two_cacerts_from_cacertfile"
	usageExample = "clientAuth, serverAuth, codeSigning, emailProtection, timeStamping, ocspSigning or OID:1.2.3"
)

var usages = map[string]x509.ExtKeyUsage{
	"serverauth": x509.ExtKeyUsageServerAuth, "clientauth": x509.ExtKeyUsageClientAuth, "codesigning": x509.ExtKeyUsageCodeSigning,
	"emailprotection": x509.ExtKeyUsageEmailProtection, "timestamping": x509.ExtKeyUsageTimeStamping, "ocspsigning": x509.ExtKeyUsageOCSPSigning,
}

// usage is an extended key usage that a certificate must have.
type usage struct {
	known x509.ExtKeyUsage
	oid   string // if it is not known
}

func parseUsages(names []string) (us []usage, err error) {
	for _, name := range names {
		if oid, ok := strings.CutPrefix(name, "OID:"); ok {
			if _, err := x509.ParseOID(oid); err != nil {
				return nil, fmt.Errorf("%q is no OID", oid)
			}
			us = append(us, usage{oid: oid})
			continue
		}
		u, ok := usages[strings.ToLower(name)]
		if !ok {
			return nil, fmt.Errorf("%q is none of %s", name, usageExample)
		}
		us = append(us, usage{known: u})
	}
	return us, nil
}

// verifier is what a client certificate must pass after its chain was built. It
// is asked on resumed connections too.
type verifier struct {
	depth  int
	usages []usage
	crls   map[string]*revocations // by issuer's raw name; nil: not asked
}

// revocations are one issuer's list.
type revocations struct {
	next    time.Time // when a newer list is due
	serials map[string]struct{}
}

// anchors are the certificates that may end a chain, and all of the file.
func (c *TLSConfig) anchors() (pool *x509.CertPool, all []*x509.Certificate, err error) {
	text, err := os.ReadFile(c.CACertFile)
	if err != nil {
		return nil, nil, fmt.Errorf("cacertfile: %w", err)
	}
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("cacertfile %s: %w", c.CACertFile, err)
		}
		all = append(all, cert)
	}
	ends := all
	switch c.PartialChain {
	case ChainRoots:
		ends = nil
		for _, cert := range all {
			if cert.CheckSignatureFrom(cert) == nil {
				ends = append(ends, cert)
			}
		}
	case ChainTrue, ChainFirst:
		ends = all[:min(1, len(all))]
	case ChainTwo:
		ends = all[:min(2, len(all))]
	}
	if len(ends) == 0 {
		return nil, nil, fmt.Errorf("cacertfile: %s holds no certificate that may end a chain", c.CACertFile)
	}
	pool = x509.NewCertPool()
	for _, cert := range ends {
		pool.AddCert(cert)
	}
	return pool, all, nil
}

// verifier reads the lists; cas are who may have signed them.
func (c *TLSConfig) verifier(cas []*x509.Certificate) (*verifier, error) {
	v := &verifier{depth: c.Depth}
	v.usages, _ = parseUsages(c.ExtKeyUsage) // Validate has read them
	if !c.CRLCheck {
		return v, nil
	}
	v.crls = map[string]*revocations{}
	for _, path := range c.CRLFiles {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("crlfile: %w", err)
		}
		if err := v.read(text, cas); err != nil {
			return nil, fmt.Errorf("crlfile %s: %w", path, err)
		}
	}
	return v, nil
}

// read takes the lists of a file, PEM or one in DER.
func (v *verifier) read(text []byte, cas []*x509.Certificate) error {
	b, rest := pem.Decode(text)
	if b == nil {
		return v.add(text, cas)
	}
	n := 0
	for ; b != nil; b, rest = pem.Decode(rest) {
		if b.Type != crlPEM {
			continue
		}
		if err := v.add(b.Bytes, cas); err != nil {
			return err
		}
		n++
	}
	if n == 0 {
		return errors.New("holds no list")
	}
	return nil
}

// add takes one list that one of cas has signed; the newer of two counts.
func (v *verifier) add(der []byte, cas []*x509.Certificate) error {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(cas, func(ca *x509.Certificate) bool { return list.CheckSignatureFrom(ca) == nil }) {
		return fmt.Errorf("the list of %q is signed by no certificate of cacertfile", list.Issuer)
	}
	r := &revocations{next: list.NextUpdate, serials: map[string]struct{}{}}
	for _, e := range list.RevokedCertificateEntries {
		r.serials[e.SerialNumber.String()] = struct{}{}
	}
	key := string(list.RawIssuer)
	if old := v.crls[key]; old == nil || old.next.Before(r.next) {
		v.crls[key] = r
	}
	return nil
}

// verify is tls.Config.VerifyConnection: one of the chains must pass.
func (v *verifier) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return nil // whether that is enough is ClientAuth's matter
	}
	err := v.uses(s.PeerCertificates[0])
	if err != nil {
		return err
	}
	err = errors.New("client certificate has no verified chain")
	for _, chain := range s.VerifiedChains {
		if err = v.chain(chain, time.Now()); err == nil {
			return nil
		}
	}
	return err
}

func (v *verifier) uses(c *x509.Certificate) error {
	for _, u := range v.usages {
		has := slices.Contains(c.ExtKeyUsage, u.known)
		if u.oid != "" {
			has = slices.ContainsFunc(c.UnknownExtKeyUsage, func(o asn1.ObjectIdentifier) bool { return o.String() == u.oid })
		}
		if !has {
			return errors.New("client certificate lacks an extended key usage of verify_peer_ext_key_usage")
		}
	}
	return nil
}

// chain checks a chain's length and that nothing but its end is revoked. The
// client's own issuer must have a list; an intermediate's may.
func (v *verifier) chain(chain []*x509.Certificate, now time.Time) error {
	if n := len(chain) - 2; n > v.depth {
		return fmt.Errorf("client certificate has %d intermediates, depth is %d", n, v.depth)
	}
	if v.crls == nil {
		return nil
	}
	for i, c := range chain[:len(chain)-1] {
		r := v.crls[string(c.RawIssuer)]
		switch {
		case r == nil && i == 0:
			return fmt.Errorf("there is no revocation list of %q", c.Issuer)
		case r == nil:
			continue
		case !r.next.IsZero() && now.After(r.next):
			return fmt.Errorf("the revocation list of %q is out of date since %v", c.Issuer, r.next)
		}
		if _, revoked := r.serials[c.SerialNumber.String()]; revoked {
			return fmt.Errorf("certificate %q is revoked", c.Subject)
		}
	}
	return nil
}
