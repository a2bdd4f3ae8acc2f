// Package outbound carries out the HTTP requests of one plugin: only to the
// origins that were granted, within bounds of size, time and number, and never to
// this machine or its link unless that itself was granted. It refuses to know
// plugins, guests and frames.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Bounds of one request.
const (
	MaxTimeout  = time.Minute
	maxHeaders  = 64
	maxRequest  = 256 << 10 // bytes of a body
	maxRedirect = 5
)

// Errors of Do.
var (
	ErrOrigin = errors.New("the origin is not granted")
	ErrInside = errors.New("the address is this machine's or its link's, which is not granted")
	ErrLarge  = errors.New("larger than allowed")
)

// Config is what an operator says about a plugin's requests.
type Config struct {
	Origins       []string // granted: scheme://host[:port]
	CAFile        string   // certificates to trust in place of the system's; "": the system's
	CertFile      string   // certificate and key of the client; "": none
	KeyFile       string
	ServerName    string // to expect in the server's certificate; "": the host
	MaxConcurrent int    // requests at a time, 0: 64
	MaxResponse   int    // bytes of a body, 0: 64 KiB
}

// Request is one request.
type Request struct {
	Method, URL string
	Header      http.Header
	Body        []byte
	NoRedirect  bool // a redirection is an answer like others
}

// Response is an answer.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Client makes requests. Safe for concurrent use.
type Client struct {
	origins []origin
	limit   int64
	http    *http.Client // follows redirections
	direct  *http.Client // does not
}

// origin is a granted place.
type origin struct {
	scheme, host string // host with port
	inside       bool   // it names this machine or an address itself
}

// ParseOrigin reads scheme://host[:port].
func ParseOrigin(text string) (scheme, host string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" ||
		u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", "", fmt.Errorf("%q: want http://host[:port] or https://host[:port]", text)
	}
	return u.Scheme, hostPort(u), nil
}

// hostPort is the host of u in lower case, with its port.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// New returns a client. The error is about the configuration.
func New(cfg Config) (*Client, error) {
	c := &Client{limit: int64(cfg.MaxResponse)}
	if c.limit == 0 {
		c.limit = 64 << 10
	}
	for _, text := range cfg.Origins {
		scheme, host, err := ParseOrigin(text)
		if err != nil {
			return nil, err
		}
		name, _, _ := net.SplitHostPort(host)
		_, err = netip.ParseAddr(name)
		c.origins = append(c.origins, origin{scheme, host, err == nil || name == "localhost"})
	}
	conf, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	most := cfg.MaxConcurrent
	if most == 0 {
		most = 64
	}
	t := &http.Transport{
		DialContext: c.dial, TLSClientConfig: conf, MaxConnsPerHost: most, MaxIdleConnsPerHost: min(most, 8),
		IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 32 << 10, ForceAttemptHTTP2: true,
	}
	c.http = &http.Client{CheckRedirect: c.redirect, Transport: t}
	c.direct = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Transport: t}
	return c, nil
}

// tls makes the TLS configuration.
func (cfg *Config) tls() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.ServerName}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate in it", cfg.CAFile)
		}
	}
	if cfg.CertFile != "" || cfg.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// granted finds the grant for u; nil: there is none.
func (c *Client) granted(u *url.URL) *origin {
	host := hostPort(u)
	i := slices.IndexFunc(c.origins, func(o origin) bool { return o.scheme == u.Scheme && o.host == host })
	if i < 0 || u.User != nil {
		return nil
	}
	return &c.origins[i]
}

// redirect follows what is granted, no further.
func (c *Client) redirect(r *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirect {
		return fmt.Errorf("more than %d redirections", maxRedirect)
	}
	if c.granted(r.URL) == nil {
		return fmt.Errorf("redirected to %s://%s: %w", r.URL.Scheme, r.URL.Host, ErrOrigin)
	}
	return nil
}

// dial connects, and looks at the address that a name has come to mean.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	inside := slices.ContainsFunc(c.origins, func(o origin) bool { return o.inside && o.host == strings.ToLower(addr) })
	d := net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !inside && within(a.Addr().Unmap()) {
			return fmt.Errorf("%s: %w", addr, ErrInside)
		}
		return nil
	}}
	return d.DialContext(ctx, network, addr)
}

// within tells of the addresses that a name may not stand for.
func within(a netip.Addr) bool {
	return a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsMulticast() || a.IsUnspecified()
}

// Check tells whether a request may be made at all.
func (c *Client) Check(r *Request) error {
	u, err := url.Parse(r.URL)
	switch {
	case err != nil:
		return err
	case c.granted(u) == nil:
		return fmt.Errorf("%s://%s: %w", u.Scheme, u.Host, ErrOrigin)
	case len(r.Body) > maxRequest || len(r.Header) > maxHeaders:
		return ErrLarge
	}
	return nil
}

// Do makes a request and reads the whole answer. ctx bounds it.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	if err := c.Check(r); err != nil {
		return nil, err
	}
	q, err := http.NewRequestWithContext(ctx, r.Method, r.URL, strings.NewReader(string(r.Body)))
	if err != nil {
		return nil, err
	}
	for name, values := range r.Header {
		if !slices.Contains(ours, http.CanonicalHeaderKey(name)) {
			q.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	client := c.http
	if r.NoRedirect {
		client = c.direct
	}
	got, err := client.Do(q)
	if err != nil {
		return nil, plain(err)
	}
	defer got.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(io.LimitReader(got.Body, c.limit+1))
	switch {
	case err != nil:
		return nil, plain(err)
	case int64(len(body)) > c.limit:
		return nil, fmt.Errorf("a response of more than %d bytes: %w", c.limit, ErrLarge)
	}
	return &Response{Status: got.StatusCode, Header: got.Header, Body: body}, nil
}

// ours are the headers that a plugin does not set.
var ours = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Proxy-Authorization", "Te", "Trailer"}

// plain leaves the URL out of an error: it may hold secrets.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
