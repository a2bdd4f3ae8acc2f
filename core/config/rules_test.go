package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAccessRulesAreOrderedByNumber(t *testing.T) {
	doc := `
listener.tcp.a.bind = "127.0.0.1:0"
listener.tcp.a.access.10 = "allow all"
listener.tcp.a.access.2 = "deny 10.0.0.0/8"
listener.tcp.b.bind = "/run/dunlin.sock"
listener.tcp.b.mode = "0600"
listener.tcp.b.access = ["deny all"]
listener.tcp.c.bind = "unix:data/mqtt.sock"
`
	home := t.TempDir()
	c, err := Parse(filepath.Join(home, "dunlin.toml"), []byte(doc), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Listeners[0].Access, []string{"deny 10.0.0.0/8", "allow all"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if b := c.Listeners[1]; b.Bind != "/run/dunlin.sock" || b.Mode != "0600" || !slices.Equal(b.Access, []string{"deny all"}) {
		t.Errorf("%+v", b)
	}
	if got, want := c.Listeners[2].Bind, filepath.Join(home, "data/mqtt.sock"); got != want {
		t.Errorf("the socket is at %s, not %s", got, want)
	}
}

// Every fault says which key and what to do.
func TestListenerFaultsOfTheOperator(t *testing.T) {
	for line, want := range map[string]string{
		`listener.tcp.a.access.x = "allow all"`:        "access rules have numbers",
		`listener.tcp.a.access.1 = "permit all"`:       "is no rule",
		`listener.tcp.a.mode = "rw"`:                   "is no octal mode",
		`listener.tcp.a.peer_cert_as_username = "cn"`:  "needs proxy_protocol",
		`listener.ssl.a.psk_ciphers = "PSK"`:           "has no pre-shared keys",
		`listener.ssl.a.tls_versions = "tlsv1.1"`:      "TLS 1.2 is the least",
		`listener.ssl.a.ciphers = "ECDHE-NOTHING"`:     "is no cipher suite",
		`listener.ssl.a.enable_crl_check = true`:       "needs verify = verify_peer",
		`listener.ssl.a.enable_ocsp_stapling = true`:   "needs either ocsp_responder_url or ocsp_file",
		`listener.ssl.a.partial_chain = "maybe"`:       "is none of",
		`listener.ssl.a.crl_cache_urls = "http://x/y"`: "lists are files here",
	} {
		_, err := Parse(filepath.Join(t.TempDir(), "dunlin.toml"), []byte(line+"\n"), Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
