package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var certFiles = []string{"cacert.pem", "cert.pem", "key.pem", "client-cert.pem", "client-key.pem"}

func TestDevCertificates(t *testing.T) {
	dir := home(t, "")
	dunlin(t, "cert", "dev", "--home", dir, "--host", "broker.test", "--host", "10.0.0.1").check(t, exitOK, "", devMark)
	certs := filepath.Join(dir, "etc", "certs")
	for _, name := range certFiles {
		text, err := os.ReadFile(filepath.Join(certs, name))
		if err != nil || !strings.HasPrefix(string(text), "# "+devMark) {
			t.Errorf("%s is not marked: %.60q, %v", name, text, err)
		}
		fi, err := os.Stat(filepath.Join(certs, name))
		if err == nil && strings.Contains(name, "key") && fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s may be read by others: %v", name, fi.Mode())
		}
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "broker.test", "10.0.0.1"} {
		if err := handshake(certs, host); err != nil {
			t.Errorf("handshake as %s: %v", host, err)
		}
	}
	if err := handshake(certs, "example.org"); err == nil {
		t.Error("the certificate is good for another host")
	}
}

// handshake does a mutual TLS handshake with the certificates in dir.
func handshake(dir, host string) error {
	file := func(name string) string { return filepath.Join(dir, name) }
	server, err := tls.LoadX509KeyPair(file("cert.pem"), file("key.pem"))
	if err != nil {
		return err
	}
	client, err := tls.LoadX509KeyPair(file("client-cert.pem"), file("client-key.pem"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(file("cacert.pem"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	go func() {
		done <- tls.Server(a, &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}).Handshake()
		a.Close()
	}()
	c := tls.Client(b, &tls.Config{Certificates: []tls.Certificate{client}, RootCAs: pool, ServerName: host})
	err = c.Handshake()
	if err != nil {
		b.Close()
	}
	if served := <-done; err == nil {
		return served
	}
	return err
}

// What is there stays: it may be somebody's real certificate.
func TestDevCertificatesKeepFiles(t *testing.T) {
	dir := filepath.Join(home(t, ""), "c")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := dunlin(t, "cert", "dev", "--dir", dir)
	r.check(t, exitOK, "", "")
	if r.err != "" {
		t.Errorf("stderr: %s", r.err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("files are %v, %v", entries, err)
	}
}
