package config

import (
	"slices"
	"strings"
)

// renamed are keys of EMQ X 4 that Dunlin answers another way, so that a file
// that is carried over says more than "unknown key". A star stands for any name.
var renamed = []struct{ pattern, text string }{
	{"listener.*.*", "write listener.<protocol>.<name>.bind"},
	{"listener.*.*.acceptors", "Dunlin needs no acceptor pool; remove the key"},
	{"listener.*.*.active_n", "Dunlin reads what the socket has; remove the key"},
	{"listener.*.*.rate_limit", "EMQ X 4.2 removed it"},
	{"listener.*.*.psk_ciphers", "Go's TLS has no pre-shared keys: put a TLS terminator that has them before a tcp listener with proxy_protocol"},
	{"listener.*.*.dhfile", "key exchange is by elliptic curves only; remove the key"},
	{"listener.*.*.secure_renegotiate", "there is no renegotiation at all; remove the key"},
	{"listener.*.*.reuse_sessions", "sessions are resumed by tickets; remove the key"},
	{"listener.*.*.honor_cipher_order", "the safest suite of both sides is taken; remove the key"},
	{"listener.*.*.crl_cache_urls", "lists are files here: have them fetched and name them in crlfile"},
	{"listener.*.*.gc_after_handshake", "belongs to the Erlang VM; remove the key"},
	{"listener.*.*.hibernate_after", "belongs to the Erlang VM; remove the key"},
	{"listener.*.*.log_level", "see log.level"},
	{"listener.*.*.reuseaddr", "is always on; remove the key"},
	{"listener.*.*.buffer", "is not needed: reads share a buffer; remove the key"},
	{"listener.*.*.tune_buffer", "is not needed: reads share a buffer; remove the key"},
	{"listener.*.*.high_watermark", "a client that does not read is bounded by max_backlog; remove the key"},
	{"listener.*.*.send_timeout", "a client that does not read is bounded by max_backlog and its keep alive; remove the key"},
	{"listener.*.*.send_timeout_close", "a client that does not read is bounded by max_backlog and its keep alive; remove the key"},
	{"listener.*.*.compress", "frames are not compressed: it costs each client 64 KB and more, and a small frame can unpack to a huge one; remove the key"},
	{"listener.*.*.deflate_opts.*", "frames are not compressed; remove the key"},
	{"listener.*.*.idle_timeout", "zone.<name>.idle_timeout ends a connection without a CONNECT, keep alive one that is silent later; remove the key"},
	{"listener.*.*.mqtt_piggyback", "packets and frames need not have the same bounds, in either direction [MQTT-6.0.0-4]; remove the key"},
	{"zone.*.strict_mode", "Dunlin is always strict; remove the key"},
	{"mqtt.strict_mode", "Dunlin is always strict; remove the key"},
	{"zone.*.force_gc_policy", "belongs to the Erlang VM; remove the key"},
	{"zone.*.force_shutdown_policy", "queues are bounded here: see max_mqueue_len and max_backlog; remove the key"},
	{"zone.*.latency_samples", "belongs to EMQ X's internals; remove the key"},
	{"zone.*.enable_stats", "statistics are always kept; remove the key"},
	{"zone.*.publish_limit", "is rate_limit.conn_messages_in here, as since EMQ X 4.2"},
	{"zone.*.conn_congestion.*", "a client that does not read is bounded by max_backlog; remove the key"},
	{"zone.*.exclusive_subscription", "Dunlin has no exclusive subscriptions; remove the key"},
	{"mqtt.exclusive_subscription", "Dunlin has no exclusive subscriptions; remove the key"},
	{"zone.*.tcp_keepalive", "MQTT's keep alive finds lost clients; remove the key"},
	{"os_mon.*", "the process watches its own memory: see memory.high_watermark; remove the key"},
	{"sysmon.*", "belongs to the Erlang VM; remove the key"},
	{"vm_mon.*", "belongs to the Erlang VM; remove the key"},
	{"broker.sys_interval", "is sys.interval here"},
	{"broker.sys_heartbeat", "is sys.heartbeat here"},
	{"log.rotation", "is always on; write log.rotation.size and log.rotation.count"},
	{"log.size", "is log.rotation.size here"},
	{"log.dir", "write the directory into log.file, or see DUNLIN_LOG_DIR"},
	{"node.cookie", "belongs to the Erlang VM; remove the key"},
	{"node.process_limit", "belongs to the Erlang VM; remove the key"},
	{"node.max_ports", "belongs to the Erlang VM; remove the key"},
	{"enable_acl_cache", "write acl_cache_max_size = 0 for no cache"},
	{"acl_file", "belongs to the acl plugin: etc/plugins/acl.toml"},
	{"plugins.loaded_plugins", "is plugins.loaded_file here"},
	{"plugins.dir", "is plugins.dirs here"},
}

// elsewhere tells what to do about a key of EMQ X 4 that does not exist here.
func elsewhere(path []string) (string, bool) {
	i := slices.IndexFunc(renamed, func(m struct{ pattern, text string }) bool {
		return matches(strings.Split(m.pattern, "."), path)
	})
	if i < 0 {
		return "", false
	}
	return renamed[i].text, true
}

func matches(pattern, path []string) bool {
	return slices.EqualFunc(pattern, path, func(p, k string) bool { return p == "*" || p == k })
}
