package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/topic"
)

type zone = channel.Zone

// zoneKeys is every key of zone.<name> and, as a default for all zones, of mqtt.
// Names are EMQ X 4's (emqx4 §2.2), and defaults are those of its zone external.
var zoneKeys = append(table[zone]{
	{"idle_timeout", duration(func(z *zone) *time.Duration { return &z.IdleTimeout }), "15s",
		"a connection that sent no CONNECT in this time is closed"},
	{"allow_anonymous", choice(func(z *zone) *access.Anonymous { return &z.Access.Anonymous }, anonymousWords), "loopback",
		"who may connect when no authentication plugin decides: `loopback` (this machine, until an authentication plugin is loaded), `true` (everybody) or `false` (nobody)"},
	{"enable_acl", toggle(func(z *zone) *bool { return &z.Access.EnableACL }), "on",
		"ask permission lists and acl plugins about each topic"},
	{"acl_nomatch", choice(func(z *zone) *bool { return &z.Access.NoMatch }, map[string]bool{"allow": true, "deny": false}), "allow",
		"what holds for a topic that nobody decides about"},
	{"acl_deny_action", choice(func(z *zone) *bool { return &z.ACLDenyDisconnect }, map[string]bool{"ignore": false, "disconnect": true}), "ignore",
		"what a refused publish or subscribe does beyond its reason code"},
	{"acl_cache_max_size", number(func(z *zone) *int { return &z.ACLCacheSize }, 0, 65535), "32",
		"verdicts of acl plugins remembered for one client; 0: none"},
	{"bypass_auth_plugins", toggle(func(z *zone) *bool { return &z.Access.BypassAuth }), "off",
		"do not ask authentication plugins"},
	{"max_packet_size", size(func(z *zone) *uint32 { return &z.MaxPacketSize }, 32, maxPacket), "1MB",
		"largest MQTT packet, both ways; a larger one closes its connection (0x95)"},
	{"max_clientid_len", number(func(z *zone) *int { return &z.MaxClientIDLen }, 23, 65535), "65535",
		"longest client id in bytes"},
	{"max_topic_levels", number(func(z *zone) *int { return &z.MaxTopicLevels }, 0, 65535), "128",
		"most levels of a topic; 0: no limit"},
	{"max_qos_allowed", number(func(z *zone) *byte { return &z.MaxQoS }, 0, 2), "2",
		"highest QoS of a publish (above: 0x9B) and of a subscription (above: granted this)"},
	{"max_topic_alias", number(func(z *zone) *uint16 { return &z.MaxTopicAlias }, 0, 65535), "65535",
		"Topic Alias Maximum announced to 5.0 clients; 0: none"},
	{"retain_available", toggle(func(z *zone) *bool { return &z.RetainAvailable }), "on",
		"accept retained messages, if a plugin provides them"},
	{"wildcard_subscription", toggle(func(z *zone) *bool { return &z.WildcardAvailable }), "on",
		"accept + and # in filters"},
	{"shared_subscription", toggle(func(z *zone) *bool { return &z.SharedAvailable }), "on",
		"accept $share/<group>/<filter> and $queue/<filter>"},
	{"server_keepalive", seconds(func(z *zone) *uint16 { return &z.ServerKeepAlive }, 65535), "",
		"keep alive that 5.0 clients are told to use; unset: theirs stands"},
	{"keepalive_backoff", fraction(func(z *zone) *float64 { return &z.KeepaliveBackoff }, 0.5, 100), "0.75",
		"a silent connection is closed after keep alive x this x 2"},
	{"max_subscriptions", number(func(z *zone) *int { return &z.MaxSubscriptions }, 0, maxCount), "0",
		"most subscriptions of one client (above: 0x97); 0: no limit"},
	{"session_expiry_interval", duration(func(z *zone) *time.Duration { return &z.SessionExpiry }), "2h",
		"how long the session of a 3.x client with clean session 0 outlives its connection"},
	{"max_session_expiry_interval", seconds(func(z *zone) *uint32 { return &z.MaxSessionExpiry }, neverSeconds), "never",
		"longest session expiry that a 5.0 client gets; `never`: as it asks"},
	{"receive_maximum", number(func(z *zone) *uint16 { return &z.ReceiveMaximum }, 0, 65535), "0",
		"Receive Maximum announced to 5.0 clients, never above max_awaiting_rel; 0: as much as that allows"},
	{"ignore_loop_deliver", toggle(func(z *zone) *bool { return &z.IgnoreLoopDeliver }), "off",
		"do not deliver a 3.x client's own messages to it"},
	{"use_username_as_clientid", toggle(func(z *zone) *bool { return &z.UseUsernameAsClientID }), "off",
		"the user name takes the client id's place"},
	{"mountpoint", text(func(z *zone) *string { return &z.Mountpoint }), "",
		"prefix of each topic of the zone's clients; `%c` is the client id, `%u` the user name"},
	{"response_information", text(func(z *zone) *string { return &z.ResponseInformation }), "",
		"Response Information for 5.0 clients that request it"},
	{"max_backlog", size(func(z *zone) *int { return &z.MaxBacklog }, 4096, maxBytes), "1MB",
		"bytes that a client's socket has not taken above which QoS 0 is dropped and QoS 1 and 2 wait in the queue"},
	{"max_inflight", number(func(z *zone) *uint16 { return &z.Session.MaxInflight }, 0, 65535), "32",
		"window of unacknowledged QoS 1 and 2 deliveries; 0: 65535; never above the client's Receive Maximum"},
	{"retry_interval", duration(func(z *zone) *time.Duration { return &z.Session.RetryInterval }), "30s",
		"resend an unacknowledged delivery to a 3.x client after this; 0: only on reconnect"},
	{"max_awaiting_rel", number(func(z *zone) *int { return &z.Session.MaxAwaitingRel }, 0, 65535), "100",
		"most QoS 2 publishes of a 5.0 client waiting for PUBREL (above: 0x93); 0: no limit"},
	{"await_rel_timeout", duration(func(z *zone) *time.Duration { return &z.Session.AwaitRelTimeout }), "300s",
		"forget a QoS 2 publish whose PUBREL does not come"},
	{"max_mqueue_len", number(func(z *zone) *int { return &z.Session.MaxQueueLen }, 0, maxCount), "1000",
		"messages that wait for one session, for each priority; 0: no limit"},
	{"max_mqueue_bytes", size(func(z *zone) *int64 { return &z.Session.MaxQueueBytes }, 0, 1<<50), "0",
		"bytes that wait for one session, of all priorities together: topics, payloads and properties, and 64 for each message; what is over it is dropped by `mqueue_drop`, the lowest priority first, counted as `delivery.dropped.queue_bytes` and told by an alarm; 0: no limit but `max_mqueue_len` times `max_packet_size`"},
	{"mqueue_priorities", setter[zone]{"list of topic=priority, or none", setPriorities}, "none",
		"priorities 0..255 of exact topics, for example `[\"alarm/fire=10\", \"log=1\"]`"},
	{"mqueue_default_priority", choice(func(z *zone) *bool { return &z.Session.DefaultPriorityLowest }, map[string]bool{"highest": false, "lowest": true}), "highest",
		"priority of topics that mqueue_priorities does not name"},
	{"mqueue_store_qos0", toggle(func(z *zone) *bool { return &z.Session.StoreQoS0 }), "on",
		"keep QoS 0 messages for a session without a connection"},
	{"mqueue_drop", choice(func(z *zone) *bool { return &z.Session.DropNewest }, map[string]bool{"oldest": false, "newest": true}), "oldest",
		"what a full queue drops"},
	{"durability", choice(func(z *zone) *store.Durability { return &z.Durability }, durabilities), "async",
		"when a session that outlives its connection, and what is queued for it, is safe: `memory` (never: a restart forgets it), `async` (before the acknowledgement it is handed to the operating system, and synced within store.sync_interval) or `sync` (it is synced before the acknowledgement)"},
	{"upgrade_qos", toggle(func(z *zone) *bool { return &z.Session.UpgradeQoS }), "off",
		"deliver with the higher of the QoS of publish and subscription, not the lower"},
}, protectKeys...)

var durabilities = map[string]store.Durability{
	store.Memory.String(): store.Memory, store.Async.String(): store.Async, store.Sync.String(): store.Sync,
}

var anonymousWords = onOff(access.AnonymousAllow, access.AnonymousDeny,
	map[string]access.Anonymous{"loopback": access.AnonymousLoopback})

// Limits of values, beyond what the protocol says.
const (
	maxPacket = 268435460 // the longest MQTT packet [MQTT 2.2.3]
	maxCount  = 1 << 30
	maxBytes  = 1 << 30
)

// internalZone is what the zone internal has in place of the defaults, whatever
// mqtt.* says: it is for trusted clients on this machine (emqx4 §2.2).
var internalZone = []struct{ name, value string }{
	{"allow_anonymous", "true"},
	{"enable_acl", "off"},
	{"bypass_auth_plugins", "on"},
	{"enable_ban", "off"},
	{"max_inflight", "128"},
	{"max_awaiting_rel", "1000"},
	{"max_mqueue_len", "10000"},
}

func setPriorities(z *zone, v value) error {
	z.Session.Priorities = nil
	if v.text == "none" || v.text == "" {
		return nil
	}
	priorities := map[string]uint8{}
	for _, e := range v.elements() {
		i := strings.LastIndexByte(e, '=')
		if i < 0 {
			return fmt.Errorf("%q is not topic=priority", e)
		}
		name := strings.TrimSpace(e[:i])
		p, err := strconv.ParseUint(strings.TrimSpace(e[i+1:]), 10, 8)
		if err != nil {
			return fmt.Errorf("%q: the priority is not a number from 0 to 255", e)
		}
		if err := topic.ValidateName(name); err != nil {
			return fmt.Errorf("%q: priorities are of exact topics: %w", e, err)
		}
		priorities[name] = uint8(p)
	}
	z.Session.Priorities = priorities
	return nil
}
