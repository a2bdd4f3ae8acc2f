package listener

import "time"

// Config describes one listener. Keys and defaults are EMQ X 4's (emqx4 §2.1)
// unless said otherwise. The tags name the keys below listener.<proto>.<name>.
type Config struct {
	Proto Proto  `toml:"-"`
	Name  string `toml:"-"`

	Bind           string  `toml:"bind"`            // "host:port", ":port" or "port"
	MaxConnections int     `toml:"max_connections"` // more are closed at once and counted; 0: no limit
	MaxConnRate    float64 `toml:"max_conn_rate"`   // connections a second; more wait in the kernel's queue; 0: no limit
	Zone           string  `toml:"zone"`            // the zone of its clients
	Backlog        int     `toml:"backlog"`         // the kernel's queue of connections to accept; 0: the system's; other systems than Linux ignore it
	NoDelay        bool    `toml:"nodelay"`         // TCP_NODELAY; on by default everywhere: turns write whole batches
	RecBuf         int     `toml:"recbuf"`          // SO_RCVBUF in bytes; 0: the system's
	SndBuf         int     `toml:"sndbuf"`          // SO_SNDBUF in bytes; 0: the system's

	TLS TLSConfig       `toml:"-"` // ssl and wss
	Web WebSocketConfig `toml:"-"` // ws and wss

	// HandshakeTimeout bounds the TLS handshake and the HTTP upgrade together;
	// default 15 s.
	HandshakeTimeout time.Duration `toml:"handshake_timeout"`
	// MaxHandshakes bounds the handshakes under way; when one more comes the
	// oldest is closed. Default 1024. Not an EMQ X key.
	MaxHandshakes int `toml:"max_handshakes"`
}

// ID names the listener, for example "tcp:external".
func (c *Config) ID() string { return string(c.Proto) + ":" + c.Name }

// TLSConfig is the encrypted part of a listener.
type TLSConfig struct {
	CertFile           string   `toml:"certfile"`
	KeyFile            string   `toml:"keyfile"`
	CACertFile         string   `toml:"cacertfile"`            // who signs client certificates
	Verify             string   `toml:"verify"`                // verify_none (default) or verify_peer
	FailIfNoPeerCert   bool     `toml:"fail_if_no_peer_cert"`  // with verify_peer
	Versions           []string `toml:"tls_versions"`          // tlsv1.2, tlsv1.3; default both; older ones are refused
	PeerCertAsUsername string   `toml:"peer_cert_as_username"` // "", cn or dn
}

// WebSocketConfig is the HTTP part of a listener.
type WebSocketConfig struct {
	Paths                 []string `toml:"mqtt_path"`              // any other path is 404; default / and /mqtt
	FailIfNoSubprotocol   bool     `toml:"fail_if_no_subprotocol"` // default true
	SupportedSubprotocols []string `toml:"supported_subprotocols"` // first of the client's that is listed is chosen
	MaxFrameSize          int64    `toml:"max_frame_size"`         // bytes; larger frames close with 1009; default 16 MiB
}
