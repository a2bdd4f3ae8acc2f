package listener

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// openSSLNames are OpenSSL's names of the suites that Go has for TLS 1.2.
var openSSLNames = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
}

// parseCiphers reads IANA or OpenSSL names. The suites of TLS 1.3 are all on or,
// if none of them is named, that version is off; so is 1.2 without one of its own.
func parseCiphers(names []string) (suites []uint16, has12, has13 bool, err error) {
	known := map[string]*tls.CipherSuite{}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		known[s.Name] = s
	}
	for name, id := range openSSLNames {
		known[name] = known[tls.CipherSuiteName(id)]
	}
	for _, name := range names {
		s := known[strings.TrimSpace(name)]
		switch {
		case s == nil && strings.Contains(name, "PSK"):
			return nil, false, false, fmt.Errorf("%q: TLS with pre-shared keys is not supported", name)
		case s == nil:
			return nil, false, false, fmt.Errorf("%q is no cipher suite that is known here", name)
		case s.Insecure:
			return nil, false, false, fmt.Errorf("%q is refused: it is broken or without forward secrecy", name)
		case s.SupportedVersions[0] == tls.VersionTLS13:
			has13 = true
		default:
			has12 = true
			suites = append(suites, s.ID)
		}
	}
	return suites, has12, has13, nil
}

// versions are the least and the greatest version that c accepts.
func (c *TLSConfig) versions() (least, most uint16, err error) {
	least, most = tls.VersionTLS12, tls.VersionTLS13
	if len(c.Versions) > 0 {
		least, most = tls.VersionTLS13, tls.VersionTLS12
		for _, name := range c.Versions {
			v := tlsVersions[name]
			if v == 0 {
				return 0, 0, badVersion(name)
			}
			least, most = min(least, v), max(most, v)
		}
	}
	if len(c.Ciphers) > 0 {
		_, has12, has13, err := parseCiphers(c.Ciphers)
		if err != nil {
			return 0, 0, err
		}
		if !has12 {
			least = tls.VersionTLS13
		}
		if !has13 {
			most = tls.VersionTLS12
		}
	}
	if least > most {
		return 0, 0, fmt.Errorf("no suite is left for %s", strings.Join(c.Versions, ", "))
	}
	return least, most, nil
}

func badVersion(name string) error {
	switch name {
	case "tlsv1.1", "tlsv1", "tlsv1.0", "sslv3":
		return fmt.Errorf("%s is not supported: it is broken, and TLS 1.2 is the least", name)
	}
	return fmt.Errorf("%q is neither tlsv1.2 nor tlsv1.3", name)
}
