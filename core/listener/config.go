package listener

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Config describes one listener. Keys and defaults are EMQ X 4's (emqx4 §2.1)
// unless said otherwise. The tags name the keys below listener.<proto>.<name>.
type Config struct {
	Proto Proto  `toml:"-"`
	Name  string `toml:"-"`

	Bind           string `toml:"bind"`            // "host:port", ":port", "port", or a socket file: "/path" or "unix:path"
	MaxConnections int    `toml:"max_connections"` // more are closed at once and counted; 0: no limit
	// MaxConnPerAddress bounds the connections from one address (IPv6: one /64);
	// more are closed before their first byte; 0: no limit. Not an EMQ X key.
	MaxConnPerAddress int     `toml:"max_conn_per_address"`
	MaxConnRate       float64 `toml:"max_conn_rate"` // connections a second; more wait in the kernel's queue; 0: no limit
	Zone              string  `toml:"zone"`          // the zone of its clients
	Backlog           int     `toml:"backlog"`       // the kernel's queue of connections to accept; 0: the system's choice, as everywhere but on Linux
	NoDelay           bool    `toml:"nodelay"`       // TCP_NODELAY; on by default everywhere: turns write whole batches
	RecBuf            int     `toml:"recbuf"`        // SO_RCVBUF in bytes; 0: the system's choice
	SndBuf            int     `toml:"sndbuf"`        // SO_SNDBUF in bytes; 0: the system's choice

	// Mode are the permissions of a socket file, octal; default 0660. Not an EMQ X
	// key.
	Mode string `toml:"mode"`
	// Access are rules such as "allow all" and "deny 192.168.0.0/24" in order; the
	// first that fits decides, and if none does the connection may come. They are
	// asked for the socket's far end, which is the proxy if there is one, before a
	// byte is exchanged. A socket file has none.
	Access []string `toml:"access"`
	// ProxyProtocol wants a PROXY header, version 1 or 2, before all else, even
	// before TLS; the address in it is the client's. Without one a connection is
	// closed, so only proxies should reach the listener.
	ProxyProtocol bool          `toml:"proxy_protocol"`
	ProxyTimeout  time.Duration `toml:"proxy_protocol_timeout"` // to send the PROXY header; default 3 s

	TLS TLSConfig       `toml:"-"` // ssl and wss; of tcp and ws the peer_cert keys
	Web WebSocketConfig `toml:"-"` // ws and wss

	// HandshakeTimeout bounds the TLS handshake and the HTTP upgrade together;
	// default 15 s.
	HandshakeTimeout time.Duration `toml:"handshake_timeout"`
	// MaxHandshakes bounds the handshakes under way; when one more comes the
	// oldest is closed. Default 1024. Not an EMQ X key.
	MaxHandshakes int `toml:"max_handshakes"`
}

// TLSConfig is the encrypted part of a listener.
type TLSConfig struct {
	CertFile         string   `toml:"certfile"`             // PEM, leaf first
	KeyFile          string   `toml:"keyfile"`              // PEM
	CACertFile       string   `toml:"cacertfile"`           // PEM; who signs client certificates
	Verify           string   `toml:"verify"`               // verify_none (default) or verify_peer
	FailIfNoPeerCert bool     `toml:"fail_if_no_peer_cert"` // with verify_peer
	Versions         []string `toml:"tls_versions"`         // tlsv1.2, tlsv1.3; default both; older ones are a fault
	KeyPassword      string   `toml:"key_password"`         // opens an encrypted keyfile
	Ciphers          []string `toml:"ciphers"`              // IANA or OpenSSL names; empty: Go's choice. Order means nothing
	ALPN             []string `toml:"alpn"`                 // protocols to agree on; clients that offer only others are refused. Not an EMQ X key

	Depth int `toml:"depth"` // most intermediates of a client's chain; default 10
	// PartialChain says which certificates of cacertfile may end a chain: "" every
	// one, "false" those that sign themselves, "true" or "cacert_from_cacertfile"
	// the first, "two_cacerts_from_cacertfile" the first two.
	PartialChain string   `toml:"partial_chain"`
	ExtKeyUsage  []string `toml:"verify_peer_ext_key_usage"` // what a client's certificate must allow, all of it
	// CRLCheck refuses clients whose certificate is revoked, or whose issuer has no
	// current list in CRLFiles. Lists are PEM or DER, signed by one of cacertfile.
	CRLCheck bool     `toml:"enable_crl_check"`
	CRLFiles []string `toml:"crlfile"` // not an EMQ X key: it fetches

	// OCSP sends a response with the certificate: that of OCSPFile (DER; whoever
	// renews it replaces the file), or one fetched from OCSPURL in the background.
	OCSP        bool          `toml:"enable_ocsp_stapling"`
	OCSPFile    string        `toml:"ocsp_file"` // not an EMQ X key
	OCSPURL     string        `toml:"ocsp_responder_url"`
	OCSPIssuer  string        `toml:"ocsp_issuer_pem"`           // with the URL; "": the second certificate of certfile
	OCSPRefresh time.Duration `toml:"ocsp_refresh_interval"`     // default 5 min
	OCSPTimeout time.Duration `toml:"ocsp_refresh_http_timeout"` // default 15 s

	// PeerCertAsUsername and PeerCertAsClientID replace what CONNECT says by what
	// the client's certificate says: "" (default) nothing, cn, dn, md5 (of the DER
	// form, in hex), pem or crt (both: the DER form in base64, as MQTT's strings
	// are text). On tcp and ws only cn, of a PROXY header.
	PeerCertAsUsername string `toml:"peer_cert_as_username"`
	PeerCertAsClientID string `toml:"peer_cert_as_clientid"`
}

// WebSocketConfig is the HTTP part of a listener.
type WebSocketConfig struct {
	Paths                 []string `toml:"mqtt_path"`              // any other path is 404; default / and /mqtt
	FailIfNoSubprotocol   bool     `toml:"fail_if_no_subprotocol"` // default true
	SupportedSubprotocols []string `toml:"supported_subprotocols"` // the client's first that is listed is chosen
	MaxFrameSize          int64    `toml:"max_frame_size"`         // bytes; a larger frame closes with 1009; default 16 MiB

	// CheckOrigin refuses pages (403) whose Origin is none of Origins; without an
	// Origin a client is no browser, and comes if AllowOriginAbsence (default).
	CheckOrigin        bool     `toml:"check_origin_enable"`
	AllowOriginAbsence bool     `toml:"allow_origin_absence"`
	Origins            []string `toml:"check_origins"` // scheme://host[:port]

	// AddressHeader and PortHeader are where a reverse proxy tells the client's
	// address, for example X-Forwarded-For; its last address counts. Anybody can
	// send such a header, so unlike EMQ X 4 they are "" by default: not believed.
	AddressHeader string `toml:"proxy_address_header"`
	PortHeader    string `toml:"proxy_port_header"`
}

// The values of verify.
const (
	VerifyNone = "verify_none"
	VerifyPeer = "verify_peer"
)

// Default is the configuration of a listener of which nothing is said but where
// it is.
func Default(proto Proto, name string) Config {
	c := Config{
		Proto: proto, Name: name,
		MaxConnections: 1024000, MaxConnRate: 1000,
		Zone: "external", Backlog: 1024, NoDelay: true,
		Mode: "0660", ProxyTimeout: 3 * time.Second,
		HandshakeTimeout: 15 * time.Second, MaxHandshakes: 1024,
	}
	if proto != TCP {
		c.MaxConnections = 102400
	}
	if proto == TLS {
		c.MaxConnRate = 500
	}
	if proto.Secure() {
		c.TLS = TLSConfig{
			CertFile: "etc/certs/cert.pem", KeyFile: "etc/certs/key.pem", CACertFile: "etc/certs/cacert.pem",
			Verify: VerifyNone, Versions: []string{"tlsv1.3", "tlsv1.2"},
			OCSPRefresh: 5 * time.Minute, OCSPTimeout: 15 * time.Second,
			Depth: 10, ALPN: []string{"mqtt", "x-amzn-mqtt-ca"},
		}
	}
	if proto == WSS {
		c.TLS.ALPN = []string{"http/1.1"}
	}
	if proto.Web() {
		c.Web = WebSocketConfig{
			Paths: []string{"/", "/mqtt"}, FailIfNoSubprotocol: true, AllowOriginAbsence: true,
			SupportedSubprotocols: []string{"mqtt", "mqttv3.1", "mqtt-v3", "mqtt-v3.1.1", "mqtt-v5"},
			MaxFrameSize:          16 << 20,
		}
	}
	return c
}

// greets tells whether something is awaited before the first MQTT byte.
func (c *Config) greets() bool { return c.Proto != TCP || c.ProxyProtocol }

// ID names the listener, for example "tcp:external".
func (c *Config) ID() string { return string(c.Proto) + ":" + c.Name }

// A Fault is one bad value of a Config.
type Fault struct {
	Key    string // without listener.<proto>.<name>
	Reason string
}

func (f *Fault) Error() string { return f.Key + ": " + f.Reason }

// Validate reports every bad value as a *Fault, joined; nil: none. Files are
// looked at by Open.
func (c *Config) Validate() error {
	var faults []error
	fault := func(bad bool, key, format string, args ...any) {
		if bad {
			faults = append(faults, &Fault{key, fmt.Sprintf(format, args...)})
		}
	}
	fault(!slices.Contains([]Proto{TCP, TLS, WS, WSS}, c.Proto), "proto", "%q is none of tcp, ssl, ws, wss", c.Proto)
	_, err := c.endpoint()
	fault(err != nil, "bind", "%v", err)
	_, err = parseMode(c.Mode)
	fault(err != nil, "mode", "%v", err)
	_, err = parseRules(c.Access)
	fault(err != nil, "access", "%v", err)
	fault(c.ProxyProtocol && c.ProxyTimeout <= 0, "proxy_protocol_timeout", "must be positive")
	fault(c.MaxConnections < 0, "max_connections", "is negative")
	fault(c.MaxConnPerAddress < 0, "max_conn_per_address", "is negative")
	fault(c.MaxConnRate < 0, "max_conn_rate", "is negative")
	fault(c.Backlog < 0, "backlog", "is negative")
	fault(c.RecBuf < 0, "recbuf", "is negative")
	fault(c.SndBuf < 0, "sndbuf", "is negative")
	if c.greets() {
		fault(c.Proto != TCP && c.HandshakeTimeout <= 0, "handshake_timeout", "must be positive")
		fault(c.MaxHandshakes <= 0, "max_handshakes", "must be positive")
	}
	c.TLS.validateNames(c, fault)
	if c.Proto.Secure() {
		c.TLS.validate(fault)
	}
	if c.Proto.Web() {
		c.Web.validate(fault)
	}
	return errors.Join(faults...)
}

func (c *TLSConfig) validate(fault func(bad bool, key, format string, args ...any)) {
	fault(c.CertFile == "", "certfile", "is needed")
	fault(c.KeyFile == "", "keyfile", "is needed")
	fault(c.Verify != "" && c.Verify != VerifyNone && c.Verify != VerifyPeer, "verify", "%q is neither verify_none nor verify_peer", c.Verify)
	fault(c.Verify == VerifyPeer && c.CACertFile == "", "cacertfile", "verify_peer needs it")
	fault(c.Verify != VerifyPeer && c.FailIfNoPeerCert, "fail_if_no_peer_cert", "needs verify = verify_peer")
	for _, v := range c.Versions {
		fault(tlsVersions[v] == 0, "tls_versions", "%v", badVersion(v))
	}
	_, _, err := c.versions()
	fault(len(c.Ciphers) > 0 && err != nil, "ciphers", "%v", err)
	fault(c.Depth < 0, "depth", "is negative")
	fault(!slices.Contains([]string{ChainAny, ChainRoots, ChainTrue, ChainFirst, ChainTwo}, c.PartialChain), "partial_chain", "%q is none of %s", c.PartialChain, anyPartial)
	_, err = parseUsages(c.ExtKeyUsage)
	fault(err != nil, "verify_peer_ext_key_usage", "%v", err)
	fault(len(c.ExtKeyUsage) > 0 && c.Verify != VerifyPeer, "verify_peer_ext_key_usage", "needs verify = verify_peer")
	fault(c.CRLCheck && c.Verify != VerifyPeer, "enable_crl_check", "needs verify = verify_peer")
	fault(c.CRLCheck && len(c.CRLFiles) == 0, "crlfile", "enable_crl_check needs it")
	c.validateOCSP(fault)
}

func (c *WebSocketConfig) validate(fault func(bad bool, key, format string, args ...any)) {
	fault(len(c.Paths) == 0, "mqtt_path", "is empty")
	for _, p := range c.Paths {
		fault(!strings.HasPrefix(p, "/"), "mqtt_path", "%q does not begin with /", p)
	}
	fault(len(c.SupportedSubprotocols) == 0 && c.FailIfNoSubprotocol, "supported_subprotocols", "is empty")
	fault(c.CheckOrigin && len(c.Origins) == 0 && !c.AllowOriginAbsence, "check_origins", "is empty: nobody could come")
	for _, o := range c.Origins {
		fault(!validOrigin(o), "check_origins", "%q is not scheme://host[:port]", o)
	}
	fault(c.PortHeader != "" && c.AddressHeader == "", "proxy_port_header", "needs proxy_address_header")
	fault(c.MaxFrameSize <= 0, "max_frame_size", "must be positive")
}
