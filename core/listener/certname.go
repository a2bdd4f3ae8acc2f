package listener

import (
	"crypto/md5" //nolint:gosec // a name, not a proof: EMQ X's md5
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"slices"
)

// The values of peer_cert_as_username and peer_cert_as_clientid.
const (
	CertCN  = "cn"
	CertDN  = "dn"
	CertCRT = "crt"
	CertPEM = "pem"
	CertMD5 = "md5"
)

var certNames = []string{CertCN, CertDN, CertCRT, CertPEM, CertMD5}

// validateNames checks what is to be taken from certificates.
func (c *TLSConfig) validateNames(of *Config, fault func(bad bool, key, format string, args ...any)) {
	for key, v := range map[string]string{"peer_cert_as_username": c.PeerCertAsUsername, "peer_cert_as_clientid": c.PeerCertAsClientID} {
		if v == "" {
			continue
		}
		fault(!slices.Contains(certNames, v), key, "%q is none of cn, dn, crt, pem, md5", v)
		if of.Proto.Secure() {
			fault(c.Verify != VerifyPeer && (v != CertCN || !of.ProxyProtocol), key, "needs verify = verify_peer")
			continue
		}
		fault(v != CertCN, key, "%q needs ssl or wss: a proxy tells the common name only, write cn", v)
		fault(!of.ProxyProtocol, key, "needs proxy_protocol = true on %s", of.Proto)
	}
}

// certName is what the verified certificate c says for one of certNames.
func certName(c *x509.Certificate, as string) string {
	switch as {
	case CertCN:
		return c.Subject.CommonName
	case CertDN:
		return c.Subject.String()
	case CertCRT, CertPEM:
		return base64.StdEncoding.EncodeToString(c.Raw)
	case CertMD5:
		sum := md5.Sum(c.Raw) //nolint:gosec // see above
		return hex.EncodeToString(sum[:])
	}
	return ""
}
