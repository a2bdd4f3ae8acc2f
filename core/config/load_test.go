package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/listener"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/sys"
)

// plainTCP keeps a test's file from needing certificates.
const plainTCP = "listener.tcp.external.bind = 1883\n"

// parse reads doc as etc/dunlin.toml of an empty home.
func parse(t *testing.T, doc string) (*Config, error) {
	t.Helper()
	return Parse("etc/dunlin.toml", []byte(doc), Options{Home: t.TempDir()})
}

func mustParse(t *testing.T, doc string) *Config {
	t.Helper()
	c, err := parse(t, doc)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return c
}

// certificates makes the files that encrypted listeners look for.
func certificates(t *testing.T, home string) {
	t.Helper()
	dir := filepath.Join(home, "etc", "certs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cert.pem", "key.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEmptyFileHasTheStandardListeners(t *testing.T) {
	home := t.TempDir()
	certificates(t, home)
	c, err := Parse("etc/dunlin.toml", nil, Options{Home: home})
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	var got []string
	for i := range c.Listeners {
		l := &c.Listeners[i]
		got = append(got, l.ID()+" "+l.Bind+" "+l.Zone)
	}
	want := []string{
		"tcp:external 0.0.0.0:1883 external", "tcp:internal 127.0.0.1:11883 internal",
		"ssl:external 0.0.0.0:8883 external", "ws:external 0.0.0.0:8083 external", "wss:external 0.0.0.0:8084 external",
	}
	if !slices.Equal(got, want) {
		t.Errorf("listeners are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if paths := c.Listeners[3].Web.Paths; !slices.Equal(paths, []string{"/", "/mqtt"}) {
		t.Errorf("WebSocket paths are %q", paths)
	}
	if got, want := c.Listeners[2].TLS.CertFile, filepath.Join(home, "etc/certs/cert.pem"); got != want {
		t.Errorf("certificate is %s, want %s", got, want)
	}
}

// The defaults are EMQ X 4's but for those that the project has changed.
func TestZoneDefaults(t *testing.T) {
	c := mustParse(t, plainTCP)
	z := c.Zones["external"]
	if z.IdleTimeout != 15*time.Second || z.KeepaliveBackoff != 0.75 || z.SessionExpiry != 2*time.Hour ||
		z.MaxPacketSize != 1<<20 || z.MaxClientIDLen != 65535 || z.MaxTopicLevels != 128 || z.MaxQoS != 2 ||
		z.MaxTopicAlias != 65535 || z.MaxSessionExpiry != 0xFFFFFFFF || z.ACLCacheSize != 32 {
		t.Errorf("zone external is %+v", z)
	}
	if !z.RetainAvailable || !z.WildcardAvailable || !z.SharedAvailable || z.IgnoreLoopDeliver || z.UseUsernameAsClientID {
		t.Errorf("flags of zone external are %+v", z)
	}
	if want := (access.Policy{Anonymous: access.AnonymousLoopback, EnableACL: true, NoMatch: true, EnableBan: true}); z.Access != want {
		t.Errorf("access of external is %+v, want %+v", z.Access, want)
	}
	s := z.Session
	if s.MaxInflight != 32 || s.RetryInterval != 30*time.Second || s.MaxAwaitingRel != 100 || s.AwaitRelTimeout != 300*time.Second ||
		s.MaxQueueLen != 1000 || !s.StoreQoS0 || s.DropNewest || s.UpgradeQoS || s.Priorities != nil {
		t.Errorf("session of external is %+v", s)
	}
	internal := c.Zones["internal"]
	if want := (access.Policy{Anonymous: access.AnonymousAllow, BypassAuth: true, NoMatch: true}); internal.Access != want {
		t.Errorf("access of internal is %+v, want %+v", internal.Access, want)
	}
	if s := internal.Session; s.MaxInflight != 128 || s.MaxAwaitingRel != 1000 || s.MaxQueueLen != 10000 {
		t.Errorf("session of internal is %+v", s)
	}
}

// A zone's own key is over mqtt's, which is over the default; internal keeps
// what makes it internal.
func TestZoneLayers(t *testing.T) {
	c := mustParse(t, plainTCP+`
allow_anonymous = false
mqtt.max_inflight = 64
mqtt.max_qos_allowed = 1
zone.external.max_inflight = 7
zone.shop.mountpoint = "shop/%c/"
[zone.bare]
`)
	for _, x := range []struct {
		zone     string
		inflight uint16
		anon     access.Anonymous
	}{
		{"external", 7, access.AnonymousDeny},
		{"shop", 64, access.AnonymousDeny},
		{"bare", 64, access.AnonymousDeny},
		{"internal", 128, access.AnonymousAllow},
	} {
		z := c.Zones[x.zone]
		if z == nil {
			t.Fatalf("there is no zone %s", x.zone)
		}
		if z.Name != x.zone || z.Session.MaxInflight != x.inflight || z.Access.Anonymous != x.anon || z.MaxQoS != 1 {
			t.Errorf("%s: name %s, inflight %d, anonymous %d, qos %d; want inflight %d, anonymous %d, qos 1",
				x.zone, z.Name, z.Session.MaxInflight, z.Access.Anonymous, z.MaxQoS, x.inflight, x.anon)
		}
	}
	if got := c.Zones["shop"].Mountpoint; got != "shop/%c/" {
		t.Errorf("mountpoint = %q", got)
	}
}

// Every zone key reaches a field: a value that is not the default changes the zone.
func TestEveryZoneKeyIsApplied(t *testing.T) {
	other := map[string]string{
		"number, period; or none": "77,7s", "bytes, period; or none": "77KB,7s", "count, window, ban time": "7, 7m, 7h",
		"duration": "77s", "bytes": "77KB", "flag": "", "text": "x", "fraction": "0.9",
	}
	special := map[string]string{
		"allow_anonymous": "false", "acl_nomatch": "deny", "acl_deny_action": "disconnect", "max_qos_allowed": "1",
		"mqueue_priorities": "a=1", "mqueue_default_priority": "lowest", "mqueue_drop": "newest",
		"durability": "sync",
	}
	for _, k := range zoneKeys {
		text := other[k.kind]
		if s, ok := special[k.name]; ok {
			text = s
		} else if k.kind == "flag" {
			text = "true"
			if k.def == "on" {
				text = "false"
			}
		} else if text == "" {
			text = "77"
		}
		var before, after channel.Zone
		zoneKeys.defaults(&before)
		zoneKeys.defaults(&after)
		if err := k.set(&after, value{text: text}); err != nil {
			t.Errorf("%s = %s: %v", k.name, text, err)
			continue
		}
		if equalZones(&before, &after) {
			t.Errorf("%s = %s changes nothing", k.name, text)
		}
	}
}

func TestListenersOfTheFileOnly(t *testing.T) {
	c := mustParse(t, `
[listener.tcp.internal]
[listener.tcp."plant.1"]
bind = "127.0.0.1:0"
max_connections = 10
max_conn_rate = 2.5
zone = "internal"
[listener.ws.w]
bind = 9001
mqtt_path = "/ws"
supported_subprotocols = ["mqtt"]
`)
	if len(c.Listeners) != 3 {
		t.Fatalf("%d listeners, want 3: %+v", len(c.Listeners), c.Listeners)
	}
	internal, plant, web := c.Listeners[0], c.Listeners[1], c.Listeners[2]
	if internal.ID() != "tcp:internal" || internal.Bind != "127.0.0.1:11883" || internal.Zone != "internal" {
		t.Errorf("internal is %+v", internal)
	}
	if plant.ID() != "tcp:plant.1" || plant.Bind != "127.0.0.1:0" || plant.MaxConnections != 10 || plant.MaxConnRate != 2.5 || !plant.NoDelay {
		t.Errorf("plant is %+v", plant)
	}
	if web.Proto != listener.WS || web.Bind != "0.0.0.0:9001" || !slices.Equal(web.Web.Paths, []string{"/ws"}) ||
		!slices.Equal(web.Web.SupportedSubprotocols, []string{"mqtt"}) || !web.Web.FailIfNoSubprotocol {
		t.Errorf("web is %+v", web)
	}
}

func TestSections(t *testing.T) {
	home := t.TempDir()
	c, err := Parse("x.toml", []byte(plainTCP+`
node.name = "n1@host"
broker.shared_subscription_strategy = "round_robin"
broker.group1.shared_subscription_strategy = "sticky"
topicstore.max_messages = 10
plugins.dirs = ["a", "/b"]
plugins.allow_unpinned = true
plugins.memory_budget = "256MB"
plugins.trusted_keys = ["ed25519:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="]
plugins.require_signature = true
sys.interval = "10s"
sys.names = "mosquitto"
log.level = "warning"
log.to = "both"
log.formatter = "json"
`), Options{Home: home, DataDir: filepath.Join(home, "state")})
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	if c.Node != (Node{Name: "n1@host", DataDir: filepath.Join(home, "state")}) {
		t.Errorf("node is %+v", c.Node)
	}
	if c.Router.Strategy != router.RoundRobin || c.Router.GroupStrategies["group1"] != router.Sticky {
		t.Errorf("router is %+v", c.Router)
	}
	if c.Store != (TopicStore{MaxMessages: 10, MaxBytes: 1 << 30}) {
		t.Errorf("store is %+v", c.Store)
	}
	p := c.Plugins
	if !slices.Equal(p.Dirs, []string{filepath.Join(home, "a"), "/b"}) || !p.Trust.AllowUnpinned || p.MemoryBudget != 256<<20 ||
		p.Trust.LockFile != filepath.Join(home, "etc/plugins.lock") || p.Loaded != filepath.Join(home, "loaded_plugins") || p.EtcDir != filepath.Join(home, "etc/plugins") {
		t.Errorf("plugins are %+v", p)
	}
	if tr := p.Trust; len(tr.Keys) != 1 || tr.Keys[0][31] != 1 || !tr.RequireSignature {
		t.Errorf("trust is %+v", tr)
	}
	if c.Sys != (sys.Config{Node: "n1@host", Names: sys.Mosquitto, Interval: 10 * time.Second, Heartbeat: 30 * time.Second}) {
		t.Errorf("sys is %+v", c.Sys)
	}
	if l := c.Log; l.Level != "warning" || !l.Console || l.Format != "json" || l.File != filepath.Join(home, "log/dunlin.log") {
		t.Errorf("log is %+v", l)
	}
}

func TestPriorities(t *testing.T) {
	c := mustParse(t, plainTCP+"mqtt.mqueue_priorities = [\"alarm/fire=10\", \"a=b=1\"]\nzone.external.mqueue_priorities = \"x=3\"\nzone.none.mqueue_priorities = \"none\"\n")
	if got := c.Zones["internal"].Session.Priorities; len(got) != 2 || got["alarm/fire"] != 10 || got["a=b"] != 1 {
		t.Errorf("internal: %v", got)
	}
	if got := c.Zones["external"].Session.Priorities; len(got) != 1 || got["x"] != 3 {
		t.Errorf("external: %v", got)
	}
	if got := c.Zones["none"].Session.Priorities; got != nil {
		t.Errorf("none: %v", got)
	}
}

func TestLoadReadsTheFile(t *testing.T) {
	home := t.TempDir()
	etc := filepath.Join(home, "etc")
	if err := os.Mkdir(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(etc, "dunlin.toml")
	if err := os.WriteFile(file, []byte(plainTCP+"node.data_dir = \"d\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file, Options{})
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if c.Home != home || c.Node.DataDir != filepath.Join(home, "d") || c.File != file {
		t.Errorf("home %s, data %s, file %s", c.Home, c.Node.DataDir, c.File)
	}
	if _, err := Load(filepath.Join(home, "none.toml"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	// A file with faults still says where its node is.
	if err := os.WriteFile(file, []byte("nonsense = 1\nnode.data_dir = \"d\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if dir, err := DataDir(file, Options{}); err != nil || dir != filepath.Join(home, "d") {
		t.Errorf("DataDir = %s, %v", dir, err)
	}
}
