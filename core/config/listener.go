package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dunlinmq/dunlin/core/listener"
)

type lconf = listener.Config

// Tables of listener.<protocol>.<name>. Names are EMQ X 4's (emqx4 §2.1), and
// defaults those of its tcp.external; protoDefaults has what differs.
var (
	listenerKeys = table[lconf]{
		{"bind", setter[lconf]{"address or socket file", setBind}, "",
			"address and port, or a port alone for every address, or `/path` or `unix:path` for a UNIX socket"},
		{"mode", text(func(l *lconf) *string { return &l.Mode }), "0660",
			"permissions of a socket file, octal"},
		{"access", list(func(l *lconf) *[]string { return &l.Access }), "",
			"rules such as `allow all`, `deny 192.168.0.0/24`; the first that fits the address at the socket's far end decides, before any handshake; also `access.1`, `access.2`, ..."},
		{"proxy_protocol", toggle(func(l *lconf) *bool { return &l.ProxyProtocol }), "off",
			"a PROXY header, version 1 or 2, must come first and tells the client's address; for listeners that only a proxy reaches"},
		{"proxy_protocol_timeout", duration(func(l *lconf) *time.Duration { return &l.ProxyTimeout }), "3s",
			"time for the PROXY header"},
		{"peer_cert_as_username", choice(func(l *lconf) *string { return &l.TLS.PeerCertAsUsername }, certNames), "",
			"what of the client's certificate replaces the user name: common name, distinguished name, MD5 of the DER form (hex), or the DER form itself (base64: `crt` and `pem`); on tcp and ws `cn` only, from a PROXY header"},
		{"peer_cert_as_clientid", choice(func(l *lconf) *string { return &l.TLS.PeerCertAsClientID }, certNames), "",
			"the same for the client id"},
		{"max_handshakes", number(func(l *lconf) *int { return &l.MaxHandshakes }, 1, maxCount), "1024",
			"handshakes and PROXY headers under way; one more closes the oldest"},
		{"zone", text(func(l *lconf) *string { return &l.Zone }), "external",
			"the zone of the listener's clients"},
		{"max_connections", number(func(l *lconf) *int { return &l.MaxConnections }, 0, maxCount), "1024000",
			"connections above this are closed at once; 0: no limit"},
		{"max_conn_per_address", number(func(l *lconf) *int { return &l.MaxConnPerAddress }, 0, maxCount), "0",
			"connections from one address (IPv6: one /64) above this are closed before their first byte; 0: no limit"},
		{"max_conn_rate", fraction(func(l *lconf) *float64 { return &l.MaxConnRate }, 0, maxCount), "1000",
			"new connections a second; more wait; 0: no limit"},
		{"backlog", number(func(l *lconf) *int { return &l.Backlog }, 0, 65535), "1024",
			"the kernel's queue of connections to accept (Linux)"},
		{"nodelay", toggle(func(l *lconf) *bool { return &l.NoDelay }), "true",
			"TCP_NODELAY"},
		{"recbuf", size(func(l *lconf) *int { return &l.RecBuf }, 0, maxBytes), "0",
			"SO_RCVBUF; 0: the system's"},
		{"sndbuf", size(func(l *lconf) *int { return &l.SndBuf }, 0, maxBytes), "0",
			"SO_SNDBUF; 0: the system's"},
	}
	handshakeKeys = table[lconf]{
		{"handshake_timeout", duration(func(l *lconf) *time.Duration { return &l.HandshakeTimeout }), "15s",
			"time for the TLS handshake and the HTTP upgrade together"},
	}
	tlsKeys = table[lconf]{
		{"certfile", text(func(l *lconf) *string { return &l.TLS.CertFile }), "etc/certs/cert.pem",
			"certificate chain, PEM"},
		{"keyfile", text(func(l *lconf) *string { return &l.TLS.KeyFile }), "etc/certs/key.pem",
			"private key, PEM"},
		{"cacertfile", text(func(l *lconf) *string { return &l.TLS.CACertFile }), "",
			"certificates that sign client certificates, PEM"},
		{"verify", choice(func(l *lconf) *string { return &l.TLS.Verify }, words("verify_none", "verify_peer")), "verify_none",
			"whether clients are asked for a certificate"},
		{"fail_if_no_peer_cert", toggle(func(l *lconf) *bool { return &l.TLS.FailIfNoPeerCert }), "off",
			"with verify_peer: refuse clients without a certificate"},
		{"tls_versions", setter[lconf]{"list of tlsv1.2, tlsv1.3", setTLSVersions}, "tlsv1.3,tlsv1.2",
			"accepted versions; older ones are not supported"},
		{"key_password", text(func(l *lconf) *string { return &l.TLS.KeyPassword }), "",
			"opens an encrypted keyfile"},
		{"ciphers", list(func(l *lconf) *[]string { return &l.TLS.Ciphers }), "",
			"accepted suites by IANA's or OpenSSL's names; empty: the safe ones. TLS 1.3's are all on if one of them is named"},
		{"alpn", list(func(l *lconf) *[]string { return &l.TLS.ALPN }), "mqtt,x-amzn-mqtt-ca",
			"application protocols to agree on; clients that offer only others are refused, those that offer none are not"},
		{"depth", number(func(l *lconf) *int { return &l.TLS.Depth }, 0, 100), "10",
			"most intermediate certificates of a client's chain"},
		{"partial_chain", choice(func(l *lconf) *string { return &l.TLS.PartialChain }, partialChains), "",
			"which certificates of cacertfile may end a chain: every one (default), self-signed ones (`false`), the first (`true`, `cacert_from_cacertfile`), the first two"},
		{"verify_peer_ext_key_usage", list(func(l *lconf) *[]string { return &l.TLS.ExtKeyUsage }), "",
			"what a client's certificate must allow, all of it: `clientAuth`, `serverAuth`, `codeSigning`, `emailProtection`, `timeStamping`, `ocspSigning`, `OID:1.2.3`"},
		{"enable_crl_check", toggle(func(l *lconf) *bool { return &l.TLS.CRLCheck }), "off",
			"refuse clients whose certificate is revoked, or whose issuer has no current list in crlfile"},
		{"crlfile", list(func(l *lconf) *[]string { return &l.TLS.CRLFiles }), "",
			"revocation lists, PEM or DER; read again when they change"},
		{"enable_ocsp_stapling", toggle(func(l *lconf) *bool { return &l.TLS.OCSP }), "off",
			"send the OCSP response with the certificate"},
		{"ocsp_file", text(func(l *lconf) *string { return &l.TLS.OCSPFile }), "",
			"the response, DER; read again when it changes"},
		{"ocsp_responder_url", text(func(l *lconf) *string { return &l.TLS.OCSPURL }), "",
			"where to fetch the response, in the background"},
		{"ocsp_issuer_pem", text(func(l *lconf) *string { return &l.TLS.OCSPIssuer }), "",
			"who has signed the listener's certificate, PEM; the second certificate of certfile if not said"},
		{"ocsp_refresh_interval", duration(func(l *lconf) *time.Duration { return &l.TLS.OCSPRefresh }), "5m",
			"how often to fetch"},
		{"ocsp_refresh_http_timeout", duration(func(l *lconf) *time.Duration { return &l.TLS.OCSPTimeout }), "15s",
			"how long to wait for the responder"},
	}
	webKeys = table[lconf]{
		{"mqtt_path", list(func(l *lconf) *[]string { return &l.Web.Paths }), "/,/mqtt",
			"HTTP paths of MQTT; any other is 404"},
		{"fail_if_no_subprotocol", toggle(func(l *lconf) *bool { return &l.Web.FailIfNoSubprotocol }), "true",
			"refuse clients that offer no subprotocol"},
		{"supported_subprotocols", list(func(l *lconf) *[]string { return &l.Web.SupportedSubprotocols }), "mqtt,mqttv3.1,mqtt-v3,mqtt-v3.1.1,mqtt-v5",
			"the first that a client offers of these is chosen"},
		{"max_frame_size", size(func(l *lconf) *int64 { return &l.Web.MaxFrameSize }, 1, maxBytes), "16MB",
			"a larger WebSocket frame closes its connection"},
		{"check_origin_enable", toggle(func(l *lconf) *bool { return &l.Web.CheckOrigin }), "off",
			"refuse pages whose Origin is none of check_origins"},
		{"allow_origin_absence", toggle(func(l *lconf) *bool { return &l.Web.AllowOriginAbsence }), "true",
			"with check_origin_enable: admit clients without an Origin, which are no browsers"},
		{"check_origins", list(func(l *lconf) *[]string { return &l.Web.Origins }), "",
			"allowed origins, `scheme://host[:port]`"},
		{"proxy_address_header", text(func(l *lconf) *string { return &l.Web.AddressHeader }), "",
			"HTTP header in which a reverse proxy tells the client's address, for example `X-Forwarded-For`; its last address counts. Only for listeners that nobody else reaches"},
		{"proxy_port_header", text(func(l *lconf) *string { return &l.Web.PortHeader }), "",
			"the same for the port, for example `X-Forwarded-Port`"},
	}
)

// keysOf is what a listener of the protocol has.
func keysOf(p listener.Proto) table[lconf] {
	keys := slices.Clone(listenerKeys)
	if p.Secure() || p.Web() {
		keys = append(keys, handshakeKeys...)
	}
	if p.Secure() {
		keys = append(keys, tlsKeys...)
	}
	if p.Web() {
		keys = append(keys, webKeys...)
	}
	return keys
}

// protoDefaults are the defaults that depend on protocol and name, applied in
// order; a name of "" is any.
var protoDefaults = []struct {
	proto            listener.Proto
	name, key, value string
}{
	{listener.TCP, "external", "bind", "1883"},
	{listener.TCP, "internal", "bind", "127.0.0.1:11883"},
	{listener.TCP, "internal", "zone", "internal"},
	{listener.TCP, "internal", "backlog", "512"},
	{listener.TLS, "external", "bind", "8883"},
	{listener.TLS, "", "max_connections", "102400"},
	{listener.TLS, "", "max_conn_rate", "500"},
	{listener.WS, "external", "bind", "8083"},
	{listener.WS, "", "max_connections", "102400"},
	{listener.WSS, "external", "bind", "8084"},
	{listener.WSS, "", "max_connections", "102400"},
	{listener.WSS, "", "alpn", "http/1.1"},
}

// standard are the listeners of a file that names none.
var standard = [][]string{
	{"listener", "tcp", "external"}, {"listener", "tcp", "internal"}, {"listener", "ssl", "external"},
	{"listener", "ws", "external"}, {"listener", "wss", "external"},
}

var (
	certNames     = words(listener.CertCN, listener.CertDN, listener.CertCRT, listener.CertPEM, listener.CertMD5)
	partialChains = words(listener.ChainRoots, listener.ChainTrue, listener.ChainFirst, listener.ChainTwo)
)

var protocols = []string{"tcp", "ssl", "ws", "wss"}

func words(ws ...string) map[string]string {
	m := map[string]string{}
	for _, w := range ws {
		m[w] = w
	}
	return m
}

func setTLSVersions(l *lconf, v value) error {
	versions := v.elements()
	if len(versions) == 0 {
		return fmt.Errorf("no version is left: write tlsv1.2, tlsv1.3 or both")
	}
	l.TLS.Versions = versions
	return nil
}

// newListener returns a listener with the defaults of its protocol and name.
func newListener(p listener.Proto, name string) *lconf {
	l := &lconf{Proto: p, Name: name}
	keys := keysOf(p)
	keys.defaults(l)
	for _, d := range protoDefaults {
		if d.proto != p || (d.name != "" && d.name != name) {
			continue
		}
		k, _ := keys.find(d.key)
		if err := k.set(l, value{text: d.value}); err != nil {
			panic(fmt.Sprintf("config: the default of listener.%s.%s.%s: %v", p, name, d.key, err))
		}
	}
	return l
}

// listeners makes the listeners that the leaves name, and the standard ones
// unless a file names any: the environment and flags change and add.
func (r *reader) listeners(leaves []leaf) []lconf {
	made := map[string]*lconf{}
	add := func(path []string) *lconf {
		id := joinPath(path[1:3])
		if made[id] == nil {
			made[id] = newListener(listener.Proto(path[1]), path[2])
		}
		return made[id]
	}
	for _, l := range leaves {
		switch {
		case len(l.path) == 1:
			if !l.empty {
				r.faultOf(l, "is a section, not a key")
			}
		case !slices.Contains(protocols, l.path[1]):
			l.path = l.path[:2]
			r.unknown(l, 1, protocols)
		case l.empty && len(l.path) == 3:
			add(l.path)
		case len(l.path) < 4:
			r.unknown(l, 1, nil)
		default:
			apply(r, l.below(3), keysOf(listener.Proto(l.path[1])), add(l.path))
		}
	}
	if !slices.ContainsFunc(leaves, func(l leaf) bool { return l.from.Layer == LayerFile }) {
		for _, path := range standard {
			add(path)
		}
	}
	var out []lconf
	for _, l := range slices.SortedFunc(maps.Values(made), func(a, b *lconf) int {
		return cmp.Or(cmp.Compare(slices.Index(protocols, string(a.Proto)), slices.Index(protocols, string(b.Proto))), cmp.Compare(a.Name, b.Name))
	}) {
		out = append(out, *l)
	}
	return out
}
