package outbound

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func ask(t *testing.T, cfg Config, r Request) (*Response, error) {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	return c.Do(t.Context(), &r)
}

func server(t *testing.T, fn http.HandlerFunc) string {
	s := httptest.NewServer(fn)
	t.Cleanup(s.Close)
	return s.URL
}

func TestRequest(t *testing.T) {
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Mine")+" "+r.Host)
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(append([]byte("got "), body...))
	})
	got, err := ask(t, Config{Origins: []string{url}}, Request{Method: "POST", URL: url + "/a", Body: []byte("body"), Header: http.Header{"x-mine": {"1"}, "Host": {"evil"}}})
	if err != nil || got.Status != http.StatusTeapot || string(got.Body) != "got body" {
		t.Fatalf("%+v, %v", got, err)
	}
	if want := "POST /a 1 " + strings.TrimPrefix(url, "http://"); got.Header.Get("X-Seen") != want {
		t.Errorf("the server saw %q, want %q", got.Header.Get("X-Seen"), want)
	}
}

// Nothing that was not granted is asked, whatever leads there.
func TestOnlyGranted(t *testing.T) {
	asked := 0
	other := server(t, func(http.ResponseWriter, *http.Request) { asked++ })
	url := server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other, http.StatusFound) })
	for _, r := range []struct{ name, url string }{
		{"another port", other}, {"a redirection", url + "/x"}, {"another scheme", strings.Replace(url, "http:", "https:", 1)},
		{"a user", strings.Replace(url, "http://", "http://u@", 1)}, {"no scheme", "/x"}, {"a file", "file:///etc/passwd"}, {"noise", "http://%zz"},
	} {
		if got, err := ask(t, Config{Origins: []string{url}}, Request{URL: r.url}); err == nil {
			t.Errorf("%s: %+v", r.name, got)
		}
	}
	if asked != 0 {
		t.Errorf("a server that was not granted was asked %d times", asked)
	}
	if _, err := ask(t, Config{Origins: []string{url, other}}, Request{URL: url}); err != nil || asked != 1 {
		t.Errorf("a redirection to a granted server: %v", err)
	}
}

// A redirection that is not to be followed is an answer, wherever it leads.
func TestNoRedirect(t *testing.T) {
	asked := 0
	other := server(t, func(http.ResponseWriter, *http.Request) { asked++ })
	url := server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other, http.StatusFound) })
	got, err := ask(t, Config{Origins: []string{url, other}}, Request{URL: url, NoRedirect: true})
	if err != nil || got.Status != http.StatusFound || got.Header.Get("Location") != other || asked != 0 {
		t.Errorf("%+v, %v, followed %d times", got, err, asked)
	}
}

// A granted name may not come to mean this machine; an address or localhost says so itself.
func TestInside(t *testing.T) {
	url := server(t, func(http.ResponseWriter, *http.Request) {})
	port := url[strings.LastIndex(url, ":"):]
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	named := "http://" + strings.ToLower(host) + port
	c, err := New(Config{Origins: []string{named, "http://localhost" + port}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Do(t.Context(), &Request{Method: "GET", URL: "http://localhost" + port}); err != nil {
		t.Errorf("localhost was granted: %v", err)
	}
	for _, a := range []string{"127.0.0.1", "127.8.9.1", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1"} {
		if !within(netip.MustParseAddr(a)) {
			t.Errorf("a name may mean %s", a)
		}
	}
	for _, a := range []string{"192.0.2.1", "10.0.0.1", "2001:db8::1"} {
		if within(netip.MustParseAddr(a)) {
			t.Errorf("a name may not mean %s", a)
		}
	}
	c.origins[1].inside = false // as if the name were any other
	if _, err := c.dial(t.Context(), "tcp", "localhost"+port); !errors.Is(err, ErrInside) {
		t.Errorf("a name that means this machine: %v", err)
	}
}

func TestBounds(t *testing.T) {
	release := make(chan struct{})
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			_, _ = w.Write(make([]byte, 2000))
		case "/slow":
			<-release
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		}
	})
	t.Cleanup(func() { close(release) })
	cfg := Config{Origins: []string{url}, MaxResponse: 1999}
	if _, err := ask(t, cfg, Request{URL: url + "/large"}); !errors.Is(err, ErrLarge) {
		t.Errorf("a large response: %v", err)
	}
	if _, err := ask(t, cfg, Request{URL: url, Body: make([]byte, maxRequest+1)}); !errors.Is(err, ErrLarge) {
		t.Errorf("a large request: %v", err)
	}
	if _, err := ask(t, cfg, Request{URL: url + "/round"}); err == nil || strings.Contains(err.Error(), "/round") {
		t.Errorf("round and round: %v", err)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Do(ctx, &Request{Method: "GET", URL: url + "/slow"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a slow response: %v", err)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	if _, err := ask(t, Config{Origins: []string{s.URL}}, Request{URL: s.URL}); err == nil {
		t.Error("a certificate of nobody was accepted")
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, Config{Origins: []string{s.URL}, CAFile: file}, Request{URL: s.URL}); err != nil {
		t.Errorf("with its certificate: %v", err)
	}
	for _, cfg := range []Config{{CAFile: file + "x"}, {CAFile: os.Args[0]}, {CertFile: file}, {Origins: []string{"ftp://x"}}, {Origins: []string{"https://x/path"}}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("accepted %+v", cfg)
		}
	}
}
