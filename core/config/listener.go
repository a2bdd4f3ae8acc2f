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
		{"bind", address(func(l *lconf) *string { return &l.Bind }), "",
			"address and port, or a port alone for every address"},
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
		{"max_handshakes", number(func(l *lconf) *int { return &l.MaxHandshakes }, 1, maxCount), "1024",
			"handshakes under way; one more closes the oldest"},
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
		{"peer_cert_as_username", choice(func(l *lconf) *string { return &l.TLS.PeerCertAsUsername }, words("cn", "dn")), "",
			"take the user name from the client certificate's common or distinguished name"},
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
}

// standard are the listeners of a file that names none.
var standard = [][]string{
	{"listener", "tcp", "external"}, {"listener", "tcp", "internal"}, {"listener", "ssl", "external"},
	{"listener", "ws", "external"}, {"listener", "wss", "external"},
}

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
	for _, e := range versions {
		if e != "tlsv1.2" && e != "tlsv1.3" {
			return fmt.Errorf("%q is neither tlsv1.2 nor tlsv1.3", e)
		}
	}
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
