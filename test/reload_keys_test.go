package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// otherValues has another value than the default for every key that a reload
// can change, without zone.external and listener.tcp.external.
var otherValues = map[string]map[string]string{
	"listener.tcp.external.": {
		"mode": "0600", "access": "allow 127.0.0.0/8", "proxy_protocol": "on", "proxy_protocol_timeout": "4s", "max_handshakes": "99",
		"zone": "internal", "max_connections": "500", "max_conn_per_address": "400",
		"max_conn_rate": "900", "backlog": "77", "nodelay": "false", "recbuf": "64KB", "sndbuf": "64KB",
	},
	"zone.external.": {
		"idle_timeout": "14s", "allow_anonymous": "true", "enable_acl": "off", "acl_nomatch": "deny", "acl_deny_action": "disconnect",
		"acl_cache_max_size": "8", "bypass_auth_plugins": "on", "max_packet_size": "2MB", "max_clientid_len": "100", "max_topic_levels": "9",
		"max_qos_allowed": "1", "max_topic_alias": "5", "retain_available": "off", "wildcard_subscription": "off", "shared_subscription": "off",
		"server_keepalive": "30s", "keepalive_backoff": "1", "max_subscriptions": "3", "session_expiry_interval": "1h", "max_session_expiry_interval": "1h",
		"receive_maximum": "7", "ignore_loop_deliver": "on", "use_username_as_clientid": "on", "mountpoint": "m/", "response_information": "r",
		"max_backlog": "2MB", "max_inflight": "5", "retry_interval": "20s", "max_awaiting_rel": "6", "await_rel_timeout": "200s",
		"max_mqueue_len": "10", "max_mqueue_bytes": "10MB", "mqueue_priorities": "a=1", "mqueue_default_priority": "lowest", "mqueue_store_qos0": "off", "mqueue_drop": "newest",
		"durability": "memory", "upgrade_qos": "on", "enable_ban": "off", "enable_flapping_detect": "on", "flapping_detect_policy": "9, 1m, 1m",
		"rate_limit.conn_messages_in": "10,1s", "rate_limit.conn_bytes_in": "10KB,1s",
		"quota.conn_messages_routing": "10,1s", "quota.overall_messages_routing": "10,1s",
	},
	"broker.":     {"shared_subscription_strategy": "hash"},
	"topicstore.": {"max_messages": "1000", "max_bytes": "2GB"},
	"access.":     {"max_bans": "10", "login_backoff": "9, 1m, 1s, 1m", "login_backoff_exempt": "192.0.2.1"},
	"memory.":     {"high_watermark": "90%", "low_watermark": "60%", "check_interval": "2s"},
	"alarm.":      {"actions": "log", "size_limit": "10", "validity_period": "1h"},
	"sys.":        {"interval": "2m", "heartbeat": "20s", "names": "emqx"},
	"log.":        {"level": "debug", "rotation.size": "5MB", "rotation.count": "3"},
}

// shown is what `ctl config show` says of the keys with the prefix.
func (r *reloading) shown(prefix string) map[string]string {
	r.t.Helper()
	var list []struct{ Key, Value string }
	if err := json.Unmarshal([]byte(r.ctl("config", "show", prefix, "-o", "json")), &list); err != nil {
		r.t.Fatal(err)
	}
	m := map[string]string{}
	for _, v := range list {
		m[strings.TrimPrefix(v.Key, prefix)] = v.Value
	}
	return m
}

// chapters are the headings of the sections in docs/configuration.md.
var chapters = map[string]string{
	"listener": "Listeners", "zone": "Zones", "broker": "Shared subscriptions", "topicstore": "Retained messages",
	"access": "Bans and logins", "memory": "Memory", "alarm": "Alarms", "sys": "$SYS topics", "log": "Log",
}

// classOf is what the documentation says of a section's key: hot, new
// connections or restart.
func classOf(doc, section, name string) string {
	word, _, _ := strings.Cut(section, ".")
	_, chapter, _ := strings.Cut(doc, "\n## "+chapters[word]+"\n")
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	m := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(name) + "` \\|.*?\\| (hot|new connections|restart) \\|").FindStringSubmatch(chapter)
	if m == nil {
		return ""
	}
	return m[1]
}

// Every key that a reload may change is changed, one by one, under QoS 1 load:
// no client is lost and no message (peer_cert_as_* need another key beside them), the answer names the key and when it holds as
// the documentation does, and the new value is in force.
func TestReloadOfEveryKey(t *testing.T) {
	doc, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	r := startReloading(t, setup{})
	end := r.traffic()
	for _, section := range slices.Sorted(maps.Keys(otherValues)) {
		values := otherValues[section]
		for name := range r.shown(section) {
			if _, ok := values[name]; !ok && name != "bind" && !strings.HasPrefix(name, "peer_cert_as_") && classOf(string(doc), section, name) != "restart" {
				t.Errorf("%s%s is changed by no test", section, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			key, value := section+name, values[name]
			said := r.mustReload(fmt.Sprintf("%s = %q\n", key, value))
			change := regexp.MustCompile(`changed \{"key": "` + regexp.QuoteMeta(key) + `".*"for": "([a-z ]+)"`).FindStringSubmatch(said)
			switch class := classOf(string(doc), section, name); {
			case change == nil:
				t.Errorf("%s = %q: the answer is\n%s", key, value, said)
			case change[1] != class:
				t.Errorf("%s is %q and documented as %q", key, change[1], class)
			}
			if !strings.Contains(r.inForce(), fmt.Sprintf("%s = %q", key, value)) {
				t.Errorf("%s = %q is not in force", key, value)
			}
		}
		r.mustReload("")
	}
	end()
	r.dial(v5).connect("after all")
}
