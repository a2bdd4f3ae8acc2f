package config

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// home writes files below a new home and returns it.
func home(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Each layer is over the one before, and every value knows where it is from.
func TestLayers(t *testing.T) {
	dir := home(t, map[string]string{
		"etc/dunlin.toml": plainTCP + `[zone.external]
max_inflight = 1
retry_interval = "1s"
max_mqueue_len = 1
max_awaiting_rel = 1
`,
		"etc/conf.d/20-b.toml":  "zone.external.max_mqueue_len = 3\nzone.external.max_awaiting_rel = 3\n",
		"etc/conf.d/10-a.toml":  "zone.external.retry_interval = \"2s\"\nzone.external.max_mqueue_len = 2\nzone.external.max_awaiting_rel = 2\n",
		"etc/conf.d/.old.toml":  "not = = TOML",
		"etc/conf.d/notes.text": "not = = TOML",
	})
	file := filepath.Join(dir, "etc/dunlin.toml")
	c, err := Load(file, Options{
		Env: []string{"PATH=/bin", "DUNLIN_ZONE__EXTERNAL__MAX_AWAITING_REL=4", "DUNLIN_NODE__NAME=env@1",
			"DUNLIN_PLUGINS__LOADED_FILE=here", "DUNLIN_ZONE__EXTERNAL__RATE_LIMIT__CONN_MESSAGES_IN=7,7s", "DUNLIN_ACL_NOMATCH=deny"},
		Set: []string{"node.name=first@1", " node.name = flag@1", `listener.tcp."plant.1".bind=[::1]:1999`, `plugins.dirs=["a","b"]`},
	})
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "etc/conf.d")
	for key, want := range map[string]string{
		"listener.tcp.external.bind":                   "1883 " + file + ":1",
		"listener.tcp.external.zone":                   "external default",
		`listener.tcp."plant.1".bind`:                  "[::1]:1999 --set",
		"zone.external.max_inflight":                   "1 " + file + ":3",
		"zone.external.retry_interval":                 "2s " + conf + "/10-a.toml:1",
		"zone.external.max_mqueue_len":                 "3 " + conf + "/20-b.toml:1",
		"zone.external.max_awaiting_rel":               "4 $DUNLIN_ZONE__EXTERNAL__MAX_AWAITING_REL",
		"zone.external.rate_limit.conn_messages_in":    "7,7s $DUNLIN_ZONE__EXTERNAL__RATE_LIMIT__CONN_MESSAGES_IN",
		"zone.external.acl_nomatch":                    "deny $DUNLIN_ACL_NOMATCH",
		"zone.internal.max_inflight":                   "128 default",
		"node.name":                                    "flag@1 --set",
		"plugins.dirs":                                 "a,b --set",
		"plugins.loaded_file":                          "here $DUNLIN_PLUGINS__LOADED_FILE",
		"broker.shared_subscription_strategy":          "random default",
		"zone.external.quota.conn_messages_routing":    " default",
		"zone.external.max_session_expiry_interval":    "never default",
		"zone.external.quota.overall_messages_routing": " default",
	} {
		i := slices.IndexFunc(c.Values(), func(v Value) bool { return v.Key == key })
		if i < 0 {
			t.Errorf("no value %s", key)
			continue
		}
		v := c.Values()[i]
		if got := v.Text + " " + v.Origin.String(); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
		if o, ok := c.Origin(key); !ok || o != v.Origin {
			t.Errorf("Origin(%s) = %v, %v; want %v", key, o, ok, v.Origin)
		}
	}
	if _, ok := c.Origin("no.such"); ok {
		t.Error("a key that does not exist has an origin")
	}
	z := c.Zones["external"]
	if z.Session.MaxInflight != 1 || z.Session.RetryInterval != 2*time.Second || z.Session.MaxQueueLen != 3 || z.Session.MaxAwaitingRel != 4 ||
		z.Access.NoMatch || c.Node.Name != "flag@1" || len(c.Listeners) != 2 || len(c.Plugins.Dirs) != 2 {
		t.Errorf("the configuration is %+v with zone %+v", c, z)
	}
}

// The environment and flags change the standard listeners and add to them;
// only a file takes their place.
func TestListenersOfTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	certificates(t, dir)
	c, err := Parse("etc/dunlin.toml", nil, Options{Home: dir,
		Env: []string{"DUNLIN_LISTENER__TCP__EXTERNAL__BIND=127.0.0.1:2883"}, Set: []string{"listener.tcp.more.bind=2884"}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for i := range c.Listeners {
		got[c.Listeners[i].ID()] = c.Listeners[i].Bind
	}
	want := map[string]string{"tcp:external": "127.0.0.1:2883", "tcp:internal": "127.0.0.1:11883", "tcp:more": "0.0.0.0:2884",
		"ssl:external": "0.0.0.0:8883", "ws:external": "0.0.0.0:8083", "wss:external": "0.0.0.0:8084"}
	if !maps.Equal(got, want) {
		t.Errorf("listeners are %v, want %v", got, want)
	}
}

// Every fault of every layer is told at once, with its place.
func TestFaultsOfAllLayers(t *testing.T) {
	dir := home(t, map[string]string{
		"etc/dunlin.toml":   plainTCP + "node.nam = \"x\"\nzone.external.max_inflight = 99999\n",
		"etc/conf.d/a.toml": "\nlog.level = \"lound\"\nlog.leve = 1\n",
		"etc/conf.d/b.toml": "zone.external.max_inflight = 5\nbroken = = 1\n",
		"secret":            "s3\n",
	})
	file := filepath.Join(dir, "etc/dunlin.toml")
	_, err := Load(file, Options{
		Env: []string{"DUNLIN_LISTENER__TCP__EXTERNAL__BINT=1", "DUNLIN_LOG__LEVEL=no", "DUNLIN_NODE__NAME_FILE=" + filepath.Join(dir, "gone"),
			"DUNLIN_LISTENER_TCP_EXTERNAL_BIND=1", "DUNLIN_ALLOW_ANONYMUS=on", "DUNLIN_PORT_1883_TCP=tcp://1.2.3.4", "DUNLIN_HOME=/x",
			"DUNLIN_SYS__NAMES=emqx", "DUNLIN_SYS__NAMES_FILE=" + filepath.Join(dir, "secret")},
		Set: []string{"node.data_dri=x", "nonsense", "=1", "log.level=loud"},
	})
	if err == nil {
		t.Fatal("no fault")
	}
	got := strings.ReplaceAll(err.Error(), dir+"/etc/", "")
	want := []string{
		`dunlin.toml:2: node.nam: unknown key; did you mean "node.name"?`,
		`dunlin.toml:3: zone.external.max_inflight: "99999" is not a number`,
		`conf.d/a.toml:2: log.level: "lound" is none of`,
		`conf.d/a.toml:3: log.leve: unknown key; did you mean "log.level"?`,
		`conf.d/b.toml:2: `,
		`DUNLIN_ALLOW_ANONYMUS: is not a key; did you mean DUNLIN_ALLOW_ANONYMOUS?`,
		`DUNLIN_LISTENER_TCP_EXTERNAL_BIND: is not a key; did you mean DUNLIN_LISTENER__TCP__EXTERNAL__BIND?`,
		`DUNLIN_LISTENER__TCP__EXTERNAL__BINT: listener.tcp.external.bint: unknown key; did you mean "listener.tcp.external.bind"?`,
		`DUNLIN_LOG__LEVEL: log.level: "no" is none of`,
		`DUNLIN_NODE__NAME_FILE: node.name: open `,
		`DUNLIN_SYS__NAMES_FILE: sys.names: is set by DUNLIN_SYS__NAMES too`,
		`--set: "nonsense" is not key=value`,
		`--set: "=1" is not key=value`,
		`--set: node.data_dri: unknown key; did you mean "node.data_dir"?`,
		`--set: log.level: "loud" is none of`,
	}
	lines := strings.Split(got, "\n")
	if len(lines) != len(want) {
		t.Errorf("%d faults, want %d", len(lines), len(want))
	}
	for i := range min(len(lines), len(want)) {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("fault %d is\n%s\nwant\n%s", i, lines[i], want[i])
		}
	}
}

// A variable that ends in _FILE names a file with the value.
func TestValueInAFile(t *testing.T) {
	dir := home(t, map[string]string{"name": "from@file\n"})
	c, err := Parse("f", []byte(plainTCP), Options{Home: dir, Env: []string{"DUNLIN_NODE__NAME_FILE=" + filepath.Join(dir, "name")}})
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := c.Origin("node.name"); c.Node.Name != "from@file" || o.String() != "$DUNLIN_NODE__NAME_FILE" {
		t.Errorf("the node is %q from %v", c.Node.Name, o)
	}
}

// A running node is found by all layers, whatever else is wrong with them.
func TestDataDirOfAllLayers(t *testing.T) {
	dir := home(t, map[string]string{"etc/dunlin.toml": "node.data_dir = \"one\"\nwrong = 1\n", "etc/conf.d/x.toml": "node.data_dir = \"two\"\n"})
	file := filepath.Join(dir, "etc/dunlin.toml")
	for _, x := range []struct {
		o    Options
		want string
	}{
		{Options{}, filepath.Join(dir, "two")},
		{Options{Env: []string{"DUNLIN_NODE__DATA_DIR=three"}}, filepath.Join(dir, "three")},
		{Options{Env: []string{"DUNLIN_NODE__DATA_DIR=three"}, Set: []string{"node.data_dir=/four"}}, "/four"},
		{Options{DataDir: "/five"}, "/five"},
	} {
		if got, err := DataDir(file, x.o); err != nil || got != x.want {
			t.Errorf("DataDir with %+v = %q, %v; want %q", x.o, got, err, x.want)
		}
	}
}

// A file that is not TOML does not hide a node that another layer tells of.
func TestDataDirBesideABrokenFile(t *testing.T) {
	dir := home(t, map[string]string{"etc/dunlin.toml": "a = = 1\n", "etc/conf.d/x.toml": "b = = 1\n", "other/dunlin.toml": "", "other/conf.d/x.toml": "b = = 1\n"})
	if got, err := DataDir(filepath.Join(dir, "etc/dunlin.toml"), Options{}); err == nil {
		t.Errorf("DataDir with a broken main file = %q", got)
	}
	if got, err := DataDir(filepath.Join(dir, "etc/dunlin.toml"), Options{Set: []string{"node.data_dir=/x"}}); err != nil || got != "/x" {
		t.Errorf("DataDir with a flag = %q, %v", got, err)
	}
	if got, err := DataDir(filepath.Join(dir, "other/dunlin.toml"), Options{Home: dir}); err != nil || got != filepath.Join(dir, "data") {
		t.Errorf("DataDir with a broken conf.d = %q, %v", got, err)
	}
}

// What the node writes about the configuration in force is a configuration
// that means the same.
func TestEffectiveMeansTheSame(t *testing.T) {
	dir := t.TempDir()
	certificates(t, dir)
	first, err := Parse("f", []byte(`mqtt.max_inflight = 9
allow_anonymous = false
zone.external.mountpoint = 'a"\b'
zone."odd name".max_qos_allowed = 1
broker.g.shared_subscription_strategy = "sticky"
[listener.wss."x.y"]
bind = 8084
mqtt_path = ["/a", "/b"]
`), Options{Home: dir})
	if err != nil {
		t.Fatal(err)
	}
	text := first.Effective(time.Unix(0, 0))
	second, err := Parse("f", text, Options{Home: dir})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if changes := Changes(first, second); len(changes) > 0 {
		t.Errorf("differs in %+v", changes)
	}
	if !strings.Contains(string(text), `zone.internal.mountpoint`) && !strings.Contains(string(text), `zone.external.mountpoint = "a\"\\b" # f:3`) {
		t.Errorf("the file is\n%s", text)
	}
	for name, z := range first.Zones {
		if !equalZones(z, second.Zones[name]) {
			t.Errorf("zone %s is\n%+v\nwas\n%+v", name, second.Zones[name], z)
		}
	}
}

// Keys that hold a secret are not shown; names of files are.
func TestSecretsAreHidden(t *testing.T) {
	for name, want := range map[string]bool{"key_password": true, "psk_secret": true, "token": true, "passwordfile": false, "keyfile": false, "bind": false} {
		if secret(name) != want {
			t.Errorf("secret(%s) = %v", name, !want)
		}
	}
	e := effects{set: map[string]leaf{"s.password": {value: value{text: "hush"}, from: Origin{Layer: LayerFile, Name: "f", Line: 1}}}}
	e.add("s.password", row{name: "password"}, "")
	c := Config{values: e.values}
	if text := string(c.Effective(time.Now())); strings.Contains(text, "hush") || !strings.Contains(text, "s.password is a secret # f:1") {
		t.Errorf("the file is\n%s", text)
	}
	other := Config{values: []Value{{Key: "s.password", Text: redacted, secret: "hash"}}}
	if len(Changes(&c, &other)) != 1 {
		t.Error("another secret is no change")
	}
}

// No variable can mean two keys.
func TestVariablesAreUnambiguous(t *testing.T) {
	keys := map[string]bool{}
	for _, k := range flatKeys() {
		keys[k] = true
	}
	for k := range keys {
		if stem, ok := strings.CutSuffix(k, "_file"); ok && keys[stem] {
			t.Errorf("the file of %s and %s have the same variable", stem, k)
		}
		if strings.Contains(k, "__") || k != strings.ToLower(k) {
			t.Errorf("%s cannot be a variable", k)
		}
	}
}

// Tables and classes speak of the same keys.
func TestEveryExceptionIsAKey(t *testing.T) {
	for what, x := range map[string]struct {
		c     classes
		names []string
	}{"zone": {zoneChanges, zoneKeys.names()}, "log": {logChanges, logKeys.names()}} {
		for name := range x.c.except {
			if !slices.Contains(x.names, name) {
				t.Errorf("%s has no key %s", what, name)
			}
		}
	}
}

// A reload is told key by key, with what becomes of it.
func TestChanges(t *testing.T) {
	old := mustParse(t, plainTCP+"node.name = \"a\"\nzone.gone.max_inflight = 1\n")
	now := mustParse(t, plainTCP+"node.name = \"b\"\nlog.level = \"debug\"\nzone.external.max_inflight = 5\nlistener.tcp.new.bind = 1884\n")
	got := map[string]string{}
	for _, d := range Changes(old, now) {
		if strings.HasPrefix(d.Key, "zone.gone.") || strings.HasPrefix(d.Key, "listener.tcp.new.") {
			d.Key = strings.Join(strings.Split(d.Key, ".")[:2], ".")
			d.From, d.To = "", ""
		}
		got[d.Key] = d.From + ">" + d.To + " " + d.Change.String()
	}
	want := map[string]string{"node.name": "a>b restart", "log.level": "info>debug hot", "zone.external.max_inflight": "32>5 new connections",
		"zone.gone": "> new connections", "listener.tcp": "> new connections"}
	for k, w := range want {
		if got[k] != w && k != "zone.gone" {
			t.Errorf("%s: %q, want %q", k, got[k], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("changes are %v", got)
	}
	kept := now.Keeping(old)
	if kept.Node.Name != "a" || kept.Log.Level != "debug" || kept.Zones["external"].Session.MaxInflight != 5 {
		t.Errorf("kept %+v", kept)
	}
	for _, d := range Changes(old, kept) {
		if d.Change == ChangeRestart {
			t.Errorf("%s is said to be in force", d.Key)
		}
	}
}
