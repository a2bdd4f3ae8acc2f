package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// devMark is in every name and above every block of a development certificate.
const devMark = "DEVELOPMENT ONLY - DO NOT TRUST"

// devLife is how long a development certificate is valid.
const devLife = 825 * 24 * time.Hour

func (a *app) cert() *cobra.Command {
	var dir string
	var hosts []string
	dev := &cobra.Command{
		Use:   "dev",
		Short: "Make certificates for development in etc/certs, unless there are some",
		Long: "Make a certificate authority, a server and a client certificate, all marked\n" +
			devMark + ". The authority's key is thrown away. Files that exist are kept.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if dir == "" {
				l, err := a.layout()
				if err != nil {
					return err
				}
				dir = filepath.Join(l.etc.path, "certs")
			}
			made, err := makeDevCerts(dir, hosts, time.Now())
			if err == nil && made {
				fmt.Fprintf(a.err, "made certificates in %s: %s\n", dir, devMark)
			}
			return err
		},
	}
	dev.Flags().StringVar(&dir, "dir", "", "directory to write to (default etc/certs of the home directory)")
	dev.Flags().StringSliceVar(&hosts, "host", nil, "further host names or addresses of the server")
	return group("cert", "Make certificates", dev)
}

// makeDevCerts writes the five files unless one of the server's is there.
func makeDevCerts(dir string, hosts []string, now time.Time) (made bool, err error) {
	for _, name := range []string{"cert.pem", "key.pem"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return false, nil
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, fmt.Errorf("make the certificate directory: %w", err)
	}
	ca, err := newAuthority(now)
	if err != nil {
		return false, err
	}
	server := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "localhost", Organization: []string{devMark}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			server.IPAddresses = append(server.IPAddresses, ip)
		} else {
			server.DNSNames = append(server.DNSNames, h)
		}
	}
	client := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "dev-client", Organization: []string{devMark}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return true, errors.Join(
		ca.issue(server, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")),
		ca.issue(client, filepath.Join(dir, "client-cert.pem"), filepath.Join(dir, "client-key.pem")),
		writePEM(filepath.Join(dir, "cacert.pem"), "CERTIFICATE", ca.cert.Raw, 0o644))
}

// authority signs certificates; its key lives as long as the process.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  time.Time
}

func newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Dunlin development authority", Organization: []string{devMark}},
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	a := &authority{key: key, now: now}
	der, err := a.sign(template, template, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

func (a *authority) sign(template, parent *x509.Certificate, of *ecdsa.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = a.now.Add(-time.Hour), a.now.Add(devLife)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, of, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return der, nil
}

// issue makes a key and a certificate for it and writes both.
func (a *authority) issue(template *x509.Certificate, certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := a.sign(template, a.cert, &key.PublicKey)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("write a key: %w", err)
	}
	return errors.Join(writePEM(certFile, "CERTIFICATE", der, 0o644), writePEM(keyFile, "PRIVATE KEY", secret, 0o600))
}

// writePEM writes one block below a line that says what it is for.
func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	text := append([]byte("# "+devMark+" (made by `dunlin cert dev`)\n"), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	if err := os.WriteFile(path, text, mode); err != nil {
		return fmt.Errorf("write a certificate: %w", err)
	}
	return nil
}
