package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/sys"
)

// Tables of the sections that exist once. Paths are joined with the home
// directory after the file is read.
var (
	nodeKeys = table[Node]{
		{"name", setter[Node]{"text", setNodeName}, "dunlin@127.0.0.1",
			"this node's name; a level of its $SYS topics"},
		{"data_dir", text(func(n *Node) *string { return &n.DataDir }), "data",
			"directory of the node's state and of the admin socket"},
	}
	diskKeys = table[Disk]{
		{"sync_interval", duration(func(d *Disk) *time.Duration { return &d.SyncInterval }), "100ms",
			"how long what is acknowledged with durability `async` may stay unsynced: what a power loss can take"},
		{"max_bytes", size(func(d *Disk) *int64 { return &d.MaxBytes }, 0, 1<<50), "0",
			"size of the store beyond which durable messages are refused (0x97) until there is room; 0: no limit"},
		{"min_free", size(func(d *Disk) *int64 { return &d.MinFree }, 0, 1<<50), "64MB",
			"free space on its disk below which durable messages are refused (0x97); 0: no limit"},
		{"cache", size(func(d *Disk) *int64 { return &d.CacheBytes }, 1<<20, 1<<40), "8MB",
			"memory for what is read back from the disk"},
	}
	storeKeys = table[TopicStore]{
		{"max_messages", number(func(s *TopicStore) *int { return &s.MaxMessages }, 0, maxCount), "0",
			"most retained messages in the host's store, over all plugins; 0: no limit"},
		{"max_bytes", size(func(s *TopicStore) *int64 { return &s.MaxBytes }, 0, 1<<50), "1GB",
			"most bytes of retained messages; 0: no limit"},
	}
	pluginKeys = table[Plugins]{
		{"dirs", list(func(p *Plugins) *[]string { return &p.Dirs }), "plugins",
			"directories that have `<name>/plugin.toml`; the first that has the plugin counts"},
		{"etc_dir", text(func(p *Plugins) *string { return &p.EtcDir }), "etc/plugins",
			"directory of `<name>.toml`: what the operator grants a plugin, and the plugin's own keys"},
		{"loaded_file", text(func(p *Plugins) *string { return &p.Loaded }), "loaded_plugins",
			"which plugins start, in chain order"},
		{"cache_dir", text(func(p *Plugins) *string { return &p.CacheDir }), "data/plugin-cache",
			"compiled WASM modules; holds native code, so it must be writable by the broker only"},
		{"lock_file", text(func(p *Plugins) *string { return &p.Trust.LockFile }), "etc/plugins.lock",
			"what `dunlin plugin add` has installed, to the byte; a plugin that it names loads from exactly these files"},
		{"trusted_keys", list(func(p *Plugins) *[]string { return &p.TrustedKeys }), "",
			"whose signatures count: public keys as `dunlin plugin keygen` prints them, `ed25519:` and 32 bytes in base64"},
		{"require_signature", toggle(func(p *Plugins) *bool { return &p.Trust.RequireSignature }), "off",
			"load only plugins that one of `trusted_keys` has signed"},
		{"allow_unpinned", toggle(func(p *Plugins) *bool { return &p.Trust.AllowUnpinned }), "off",
			"load plugins for whose bytes neither `lock_file` nor a `sha256` in their own file vouches; for development"},
		{"memory_budget", size(func(p *Plugins) *int64 { return &p.MemoryBudget }, 1<<16, 1<<50), "1GB",
			"linear memory that all WASM instances may take together; a plugin that does not fit is not loaded"},
	}
	sysKeys = table[sys.Config]{
		{"interval", duration(func(s *sys.Config) *time.Duration { return &s.Interval }), "1m",
			"period of version, description and counts; 0: never"},
		{"heartbeat", duration(func(s *sys.Config) *time.Duration { return &s.Heartbeat }), "30s",
			"period of uptime and date; 0: never"},
		{"names", choice(func(s *sys.Config) *sys.Names { return &s.Names }, map[string]sys.Names{
			"both": sys.EMQX | sys.Mosquitto, "emqx": sys.EMQX, "mosquitto": sys.Mosquitto}), "both",
			"which topics: `emqx` is `$SYS/brokers/<node>/...`, `mosquitto` is `$SYS/broker/...`"},
	}
	brokerKeys = table[router.Config]{
		{"shared_subscription_strategy", choice(func(r *router.Config) *router.Strategy { return &r.Strategy }, strategies), "random",
			"which member of a shared group gets a message; `broker.<group>.shared_subscription_strategy` for one group"},
	}
	logKeys = table[Log]{
		{"level", choice(func(l *Log) *string { return &l.Level }, levels), "info",
			"least important messages that are logged"},
		{"formatter", choice(func(l *Log) *string { return &l.Format }, map[string]string{"text": "text", "json": "json"}), "text",
			"form of a line"},
		{"to", setter[Log]{"console, file, both", setLogTarget}, "console",
			"standard error, the file, or both"},
		{"file", text(func(l *Log) *string { return &l.File }), "log/dunlin.log",
			"the file that `to` speaks of"},
		{"rotation.size", size(func(l *Log) *int64 { return &l.RotateSize }, 1<<10, 1<<50), "10MB",
			"the file is moved to `<file>.1` before it grows over this; `console.log` too"},
		{"rotation.count", number(func(l *Log) *int { return &l.RotateCount }, 1, 1000), "5",
			"how many moved files are kept"},
	}
)

var strategies = map[string]router.Strategy{
	"random": router.Random, "round_robin": router.RoundRobin, "sticky": router.Sticky, "local": router.Local,
	"hash": router.HashClientID, "hash_clientid": router.HashClientID, "hash_topic": router.HashTopic,
}

// levels are EMQ X 4's eight; the log has four.
var levels = map[string]string{
	"debug": "debug", "info": "info", "notice": "info", "warning": "warning", "warn": "warning",
	"error": "error", "critical": "error", "alert": "error", "emergency": "error",
}

func setNodeName(n *Node, v value) error {
	if v.text == "" || strings.ContainsAny(v.text, "/+#\x00 ") {
		return fmt.Errorf("%q is not a node name: it is one level of a topic, without / + # and space", v.text)
	}
	n.Name = v.text
	return nil
}

func setLogTarget(l *Log, v value) error {
	switch v.text {
	case "console", "file", "both":
	default:
		return fmt.Errorf("%q is none of console, file, both", v.text)
	}
	l.Console, l.toFile = v.text != "file", v.text != "console"
	return nil
}
