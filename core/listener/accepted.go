package listener

import (
	"net"
	"net/netip"
)

// Proto is how a listener's clients reach MQTT.
type Proto string

// The transports (emqx4 §2.1).
const (
	TCP Proto = "tcp"
	TLS Proto = "ssl"
	WS  Proto = "ws"
	WSS Proto = "wss"
)

// Secure tells whether the transport is encrypted.
func (p Proto) Secure() bool { return p == TLS || p == WSS }

// Web tells whether MQTT travels in WebSocket frames.
func (p Proto) Web() bool { return p == WS || p == WSS }

// Info is what a listener knows of a connection before its first MQTT byte.
type Info struct {
	Listener string         // the listener's id, for example "tcp:external"
	Zone     string         // the zone that its clients belong to
	Proto    Proto          // the transport
	Peer     netip.AddrPort // the client's address, IPv4 never mapped into IPv6; 127.0.0.1:0 behind a socket file
	Local    netip.AddrPort // the listener's bound address, of which every client knows the port; 127.0.0.1:0 for a socket file

	CommonName   string // of the TLS client certificate that the listener or its proxy has verified; "" if none
	DN           string // its distinguished name, RFC 2253; "" if none
	CertUsername string // what peer_cert_as_username asks to use as user name; "" if not asked
	CertClientID string // what peer_cert_as_clientid asks to use as client id; "" if not asked
}

// Accepted is one connection, ready for MQTT bytes: its TLS handshake and its
// HTTP upgrade are done. Whoever is handed it owns it and calls Done once after
// having closed it.
type Accepted struct {
	// Conn is the connection; nil: the bytes of FD are MQTT's.
	Conn net.Conn
	// FD is a connected non-blocking stream socket, on Linux only. It is meaningful
	// if Conn is nil or Pipe is not.
	FD int
	// Pipe is what is between FD and Conn (TLS, WebSocket): reading Conn reads FD
	// and reports [ErrDry] when that has nothing, writing Conn adds to Pipe.Out. nil:
	// Conn has its socket to itself. With FD -1 there is no socket: Conn keeps what
	// is written (a transport in memory).
	Pipe *Pipe
	// Info describes the client.
	Info Info
	// Done gives the place in max_connections back. Never nil in what a Listener
	// hands over; without max_conn_per_address the same function for all
	// connections of a listener.
	Done func()
}

// Close closes a connection that nobody wants and calls Done.
func (a Accepted) Close() error {
	var err error
	if a.Conn != nil && a.Pipe == nil {
		err = a.Conn.Close()
	} else {
		err = closeFD(a.FD)
	}
	if a.Done != nil {
		a.Done()
	}
	return err
}
