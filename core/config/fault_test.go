package config

import (
	"errors"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/channel"
)

func equalZones(a, b *channel.Zone) bool { return reflect.DeepEqual(a, b) }

// Every fault of a file is told at once, in the order of its lines.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := parse(t, `node.name = "a/b"
listener.tcp.external.bind = "nowhere"
listener.tcp.external.max_conections = 5
listener.udp.x.bind = 1
zone.external.max_inflight = 70000
zone.external.idle_timeout = "soon"
zone.external.mqueue_default_priority = "hihgest"
[mqtt]
max_packet_size = "1TB"
strict_mode = true
[lisener.tcp.x]
bind = 1
`)
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("Parse: %v, want Faults", err)
	}
	want := []string{
		`etc/dunlin.toml:1: node.name: "a/b" is not a node name`,
		`etc/dunlin.toml:2: listener.tcp.external.bind: "nowhere" is not an address`,
		`etc/dunlin.toml:3: listener.tcp.external.max_conections: unknown key; did you mean "listener.tcp.external.max_connections"?`,
		`etc/dunlin.toml:4: listener.udp: unknown key`,
		`etc/dunlin.toml:5: zone.external.max_inflight: "70000" is not a number from 0 to 65535`,
		`etc/dunlin.toml:6: zone.external.idle_timeout: "soon" is not a duration`,
		`etc/dunlin.toml:7: zone.external.mqueue_default_priority: "hihgest" is none of highest, lowest; did you mean "highest"?`,
		`etc/dunlin.toml:9: mqtt.max_packet_size: "1TB" is not a size`,
		`etc/dunlin.toml:10: mqtt.strict_mode: Dunlin is always strict; remove the key`,
		`etc/dunlin.toml:12: lisener.tcp.x.bind: unknown key; did you mean "listener"?`,
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Errorf("%d faults, want %d:\n%v", len(got), len(want), err)
	}
	for i := range min(len(got), len(want)) {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("fault %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
}

func TestSingleFaults(t *testing.T) {
	for name, c := range map[string]struct{ doc, want string }{
		"not TOML":             {"a = = 1\n", `etc/dunlin.toml:1: `},
		"twice":                {"a = 1\na = 2\n", `etc/dunlin.toml:2: `},
		"bare listener key":    {"listener.tcp.external = \"0.0.0.0:1883\"\n", "listener.tcp.external: write listener.<protocol>.<name>.bind"},
		"section as key":       {plainTCP + "log = 5\n", "etc/dunlin.toml:2: log: is a section, not a key"},
		"listener as key":      {"listener = 5\n", "listener: is a section, not a key"},
		"zone as key":          {plainTCP + "zone = 5\n", "zone: is not a key"},
		"zone without key":     {plainTCP + "zone.x = 5\n", "zone.x: is not a key: write zone.<name>.<key>"},
		"no bind":              {"listener.tcp.mine.zone = \"external\"\n", "listener.tcp.mine.bind: is needed"},
		"bound twice":          {"listener.tcp.a.bind = 1\nlistener.tcp.b.bind = 1\n", "listener.tcp.b.bind: 0.0.0.0:1 is taken by the listener tcp:a"},
		"unknown zone":         {plainTCP + "listener.tcp.external.zone = \"externel\"\n", `there is no zone "externel"; did you mean "external"?`},
		"far zone":             {plainTCP + "listener.tcp.external.zone = \"warehouse\"\n", `there is no zone "warehouse"; write zone.warehouse.<key> to make it`},
		"no certificate":       {"listener.ssl.external.bind = 1\n", "dunlin cert dev"},
		"certificate for tcp":  {plainTCP + "listener.tcp.external.certfile = \"x\"\n", "listener.tcp.external.certfile: unknown key"},
		"empty certificate":    {"listener.ssl.a.bind = 1\nlistener.ssl.a.certfile = \"\"\n", "listener.ssl.a.certfile: is needed"},
		"mutual without ca":    {"listener.ssl.a.bind = 1\nlistener.ssl.a.verify = \"verify_peer\"\n", "listener.ssl.a.cacertfile: verify_peer needs it"},
		"fail without verify":  {"listener.ssl.a.bind = 1\nlistener.ssl.a.fail_if_no_peer_cert = true\n", "listener.ssl.a.fail_if_no_peer_cert: needs verify = verify_peer"},
		"path":                 {"listener.ws.a.bind = 1\nlistener.ws.a.mqtt_path = [\"mqtt\"]\n", `listener.ws.a.mqtt_path: "mqtt" does not begin with /`},
		"old tls":              {"listener.ssl.a.bind = 1\nlistener.ssl.a.tls_versions = [\"tlsv1.1\"]\n", "TLS 1.2 is the least"},
		"no tls":               {"listener.ssl.a.bind = 1\nlistener.ssl.a.tls_versions = []\n", "no version is left"},
		"table of tables":      {plainTCP + "[[zone.external.max_inflight]]\nx = 1\n", "a table is not a value that a key takes"},
		"date":                 {plainTCP + "zone.external.mountpoint = 2020-01-01\n", "a date is not a value"},
		"priority":             {plainTCP + "zone.external.mqueue_priorities = \"a=256\"\n", "not a number from 0 to 255"},
		"priority form":        {plainTCP + "zone.external.mqueue_priorities = \"a\"\n", "is not topic=priority"},
		"priority filter":      {plainTCP + "zone.external.mqueue_priorities = \"a/#=1\"\n", "priorities are of exact topics"},
		"group strategy":       {plainTCP + "broker.g.shared_subscription_strategy = \"hash_tpic\"\n", `did you mean "hash_topic"?`},
		"log target":           {plainTCP + "log.to = \"syslog\"\n", "none of console, file, both"},
		"keep alive":           {plainTCP + "zone.external.server_keepalive = \"1500ms\"\n", "whole number of seconds"},
		"a key that is none":   {plainTCP + "plugins.trusted_keys = [\"ed25519:AAAA\"]\n", "is not a public key"},
		"signatures of nobody": {plainTCP + "plugins.require_signature = true\n", "without trusted_keys no plugin could be loaded"},
		"no plugin directory":  {plainTCP + "plugins.dirs = []\n", "no directory is left"},
		"backoff":              {plainTCP + "zone.external.keepalive_backoff = 0.1\n", "not a number from 0.5 to 100"},
	} {
		t.Run(name, func(t *testing.T) {
			c0, err := parse(t, c.doc)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Parse: %v\nwant %s", err, c.want)
			}
			if c0 != nil {
				t.Error("a configuration with a fault was returned")
			}
		})
	}
}

// A fault that no line is to blame for comes last, and names its key.
func TestFaultsWithoutALineComeLast(t *testing.T) {
	_, err := Parse("f", []byte("nope = 1\n"), Options{Home: t.TempDir()})
	lines := strings.Split(err.Error(), "\n")
	if len(lines) < 2 || !strings.HasPrefix(lines[0], "f:1: nope: ") || !strings.HasPrefix(lines[len(lines)-1], "f: listener.") {
		t.Errorf("faults are\n%v", err)
	}
}

// What the table of renamed keys speaks of must not exist as a key.
func TestRenamedKeysAreGone(t *testing.T) {
	for _, m := range renamed {
		path := strings.Split(strings.ReplaceAll(m.pattern, "*", "tcp"), ".")
		if _, ok := elsewhere(path); !ok {
			t.Errorf("%s does not match itself", m.pattern)
		}
		_, err := parse(t, plainTCP+strings.ReplaceAll(m.pattern, "*", "tcp")+" = \"x\"\n")
		if err == nil || !strings.Contains(err.Error(), m.text) {
			t.Errorf("%s: %v, want %q", m.pattern, err, m.text)
		}
	}
}

// The file that the checkout is run with has no fault, and says what the
// defaults are where it says anything about the protocol.
func TestShippedFile(t *testing.T) {
	doc, err := os.ReadFile("../../etc/dunlin.toml")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	certificates(t, home)
	c, err := Parse("etc/dunlin.toml", doc, Options{Home: home})
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	empty, err := Parse("etc/dunlin.toml", nil, Options{Home: home})
	if err != nil {
		t.Fatalf("Parse of nothing: %v", err)
	}
	if !reflect.DeepEqual(c.Listeners, empty.Listeners) {
		t.Errorf("listeners differ from the defaults:\n%+v\n%+v", c.Listeners, empty.Listeners)
	}
	for _, name := range slices.Sorted(maps.Keys(empty.Zones)) {
		if !equalZones(c.Zones[name], empty.Zones[name]) {
			t.Errorf("zone %s differs from the defaults", name)
		}
	}
}
