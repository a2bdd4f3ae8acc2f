package listener

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestDefaultsAreEMQX4s(t *testing.T) { // emqx4 §2.1
	for _, c := range []struct {
		proto Proto
		conns int
		rate  float64
	}{{TCP, 1024000, 1000}, {TLS, 102400, 500}, {WS, 102400, 1000}, {WSS, 102400, 1000}} {
		d := Default(c.proto, "external")
		if d.MaxConnections != c.conns || d.MaxConnRate != c.rate || d.Backlog != 1024 || d.Zone != "external" {
			t.Errorf("%s: %+v", c.proto, d)
		}
		if d.HandshakeTimeout != 15*time.Second || d.ID() != string(c.proto)+":external" {
			t.Errorf("%s: %+v", c.proto, d)
		}
		if c.proto.Web() && (!d.Web.FailIfNoSubprotocol || !slices.Equal(d.Web.Paths, []string{"/", "/mqtt"})) {
			t.Errorf("%s: %+v", c.proto, d.Web)
		}
		d.Bind = "1883"
		if err := d.Validate(); err != nil {
			t.Errorf("%s: default is faulty: %v", c.proto, err)
		}
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	c := Default(WSS, "x")
	c.Bind = "nowhere:port"
	c.MaxConnections, c.MaxConnRate, c.Backlog, c.RecBuf, c.SndBuf = -1, -1, -1, -1, -1
	c.HandshakeTimeout, c.MaxHandshakes = 0, 0
	c.TLS = TLSConfig{Verify: "perhaps", FailIfNoPeerCert: true, PeerCertAsUsername: "md5", Versions: []string{"tlsv1.1", "tlsv1.2"}}
	c.Web = WebSocketConfig{Paths: []string{"mqtt"}, FailIfNoSubprotocol: true}
	var keys []string
	for _, err := range c.Validate().(interface{ Unwrap() []error }).Unwrap() {
		var f *Fault
		if !errors.As(err, &f) || f.Reason == "" {
			t.Fatalf("not a fault: %v", err)
		}
		keys = append(keys, f.Key)
	}
	for _, want := range []string{
		"bind", "max_connections", "max_conn_rate", "backlog", "recbuf", "sndbuf", "handshake_timeout", "max_handshakes",
		"certfile", "keyfile", "verify", "fail_if_no_peer_cert", "peer_cert_as_username", "tls_versions",
		"mqtt_path", "supported_subprotocols", "max_frame_size",
	} {
		if !slices.Contains(keys, want) {
			t.Errorf("no fault for %s", want)
		}
	}
}

func TestVerifyPeerNeedsAnAuthority(t *testing.T) {
	c := Default(TLS, "x")
	c.Bind, c.TLS.Verify, c.TLS.CACertFile = "8883", VerifyPeer, ""
	if err := c.Validate(); err == nil {
		t.Error("no fault")
	}
}

func TestBindForms(t *testing.T) {
	for bind, want := range map[string]string{
		"1883": ":1883", ":1883": ":1883", "127.0.0.1:1883": "127.0.0.1:1883", "[::1]:1883": "[::1]:1883",
		"": "", "0": "", "x": "", "1.2.3.4:x": "", "1.2.3.4:70000": "", "::1:1883": "",
	} {
		c := Config{Bind: bind}
		e, err := c.endpoint()
		got := e.address
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", bind, got, err)
		}
	}
}
