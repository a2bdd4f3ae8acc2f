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
	{"zone.*.strict_mode", "Dunlin is always strict; remove the key"},
	{"mqtt.strict_mode", "Dunlin is always strict; remove the key"},
	{"zone.*.force_gc_policy", "belongs to the Erlang VM; remove the key"},
	{"zone.*.force_shutdown_policy", "queues are bounded here: see max_mqueue_len and max_backlog; remove the key"},
	{"zone.*.latency_samples", "belongs to EMQ X's internals; remove the key"},
	{"broker.sys_interval", "is sys.interval here"},
	{"broker.sys_heartbeat", "is sys.heartbeat here"},
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
