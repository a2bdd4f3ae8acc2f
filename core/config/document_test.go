package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/listener"
)

var rewrite = flag.Bool("rewrite", false, "rewrite what a test compares with")

const documentFile = "../../docs/configuration.md"

// docs/configuration.md is made of the same tables that the loader applies.
func TestDocumentation(t *testing.T) {
	want := document()
	if *rewrite {
		if err := os.WriteFile(documentFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the tables say: run `go generate ./core/config`", documentFile)
	}
}

const introduction = `# Configuration

<!-- Generated from the tables in core/config by ` + "`go generate ./core/config`" + `. Do not edit. -->

Dunlin reads [TOML](https://toml.io): ` + "`etc/dunlin.toml`" + `, unless ` + "`--config`" + ` says otherwise. Every key has a default, so an
empty file is a complete one. A key that does not exist, or a value that does not fit, is a fault in every layer;
all faults are reported at once with file and line, variable or flag, and nothing starts on one.
` + "`dunlin check-config`" + ` only reports.

## Layers

Each layer is over the one before:

| layer | written as |
|---|---|
| defaults | the tables below |
| file | ` + "`etc/dunlin.toml`" + ` |
| more files | ` + "`conf.d/*.toml`" + ` beside that file, by name |
| environment | ` + "`DUNLIN_LISTENER__TCP__EXTERNAL__BIND=1884`" + `: capitals, ` + "`__`" + ` between the parts; names are read in lower case. ` + "`DUNLIN_..._FILE`" + ` names a file that holds the value, for secrets |
| flags | ` + "`key=value`" + ` of the command line |

Variables that begin with ` + "`DUNLIN_`" + ` and have no ` + "`__`" + ` are passed over unless they are nearly a key: other programs set such.
The node writes the configuration in force, with the origin of each value and without secrets, to ` + "`configs/`" + ` of its
data directory when it starts and when it reloads; the last ten stay.

## Reload

A reload (SIGHUP) reads all layers again. If they have a fault, or a listener cannot be opened, nothing changes and
the answer says why. Connected clients stay connected. The column *reload* says what becomes of a new value:

| reload | meaning |
|---|---|
| hot | in force at once, for everybody |
| new connections | for connections made from then on; those that exist keep what they have |
| restart | reported and not in force until the node is restarted |

A listener that is new is opened, one that is gone is closed, one that has changed is closed and opened again, with
its files read again; the others are left alone, and no client of any is disconnected.

## How to write values

| to write | examples |
|---|---|
| duration | ` + "`\"250ms\"` `\"15s\"` `\"5m\"` `\"2h\"` `\"7d\"` `\"1h30m\"`" + ` |
| bytes | ` + "`\"64KB\"` `\"1MB\"` `\"2GB\"` `4096`" + ` (powers of 1024) |
| flag | ` + "`true` `false`, also `\"on\"` `\"off\"`" + ` |
| fraction | ` + "`0.75` `\"75%\"`" + ` |
| address | ` + "`\"127.0.0.1:1883\"` `\"[::1]:1883\"` `1883`" + ` (every address); port 0 is a free one |
| list | ` + "`[\"a\", \"b\"]` or `\"a,b\"`" + ` |

Relative paths start from the home directory: ` + "`--home`" + `, else the parent of the ` + "`etc`" + ` that holds the file.
Names are those of EMQ X 4 where it has the key; where it has one that means nothing here, the fault says what to do.
`

func document() string {
	var b strings.Builder
	b.WriteString(introduction)
	section(&b, "node", "The node", "", nodeKeys, nodeChanges, nil)
	section(&b, "listener.<protocol>.<name>", "Listeners", `Protocols are `+"`tcp`, `ssl`, `ws` and `wss`"+`; names are free. Files that name no listener have the standard
ones: `+"`tcp.external`, `tcp.internal`, `ssl.external`, `ws.external` and `wss.external`"+`. Files that name one have those that they
name and no other; the environment and flags change and add.
`, listenerKeys, listenerChanges, differing)
	section(&b, "listener.<ssl|ws|wss>.<name>", "", "", handshakeKeys, listenerChanges, nil)
	section(&b, "listener.<ssl|wss>.<name>", "", "", tlsKeys, listenerChanges, nil)
	section(&b, "listener.<ws|wss>.<name>", "", "", webKeys, listenerChanges, nil)
	section(&b, "zone.<name>", "Zones", `A listener's clients share a zone. The same keys under `+"`mqtt`"+` are defaults for every zone, and `+"`allow_anonymous`, `acl_nomatch`,\n`acl_deny_action`, `acl_cache_max_size` and `flapping_detect_policy`"+` may stand without a section, as in EMQ X 4. The zone `+"`internal`"+` is for trusted
clients on this machine and has its own defaults, which only `+"`zone.internal`"+` changes.
`, zoneKeys, zoneChanges, func(k string) string {
		for _, p := range internalZone {
			if p.name == k {
				return "; internal: `" + p.value + "`"
			}
		}
		return ""
	})
	section(&b, "broker", "Shared subscriptions", "", brokerKeys, brokerChanges, nil)
	section(&b, "store", "The store", `What survives a restart is in `+"`store/`"+` of the data directory.
`, diskKeys, diskChanges, nil)
	section(&b, "topicstore", "Retained messages", `What to retain is the retainer plugin's decision (`+"`etc/plugins/retainer.toml`"+`); this bounds what the broker keeps for it.
`, storeKeys, storeChanges, nil)
	section(&b, "plugins", "Plugins", "", pluginKeys, pluginChanges, nil)
	section(&b, "access", "Bans and logins", `Bans are kept in `+"`banned.json`"+` of the data directory.
`, accessKeys, accessChanges, nil)
	section(&b, "memory", "Memory", "", memoryKeys, memoryChanges, nil)
	section(&b, "alarm", "Alarms", "", alarmKeys, alarmChanges, nil)
	section(&b, "sys", "$SYS topics", "", sysKeys, sysChanges, nil)
	section(&b, "log", "Log", "", logKeys, logChanges, nil)
	return b.String()
}

// differing lists a listener key's defaults that depend on protocol and name.
func differing(key string) string {
	var b strings.Builder
	for _, d := range protoDefaults {
		if d.key == key {
			id := string(d.proto)
			if d.name != "" {
				id += "." + d.name
			}
			fmt.Fprintf(&b, "; %s: `%s`", id, d.value)
		}
	}
	return b.String()
}

func section[T any](b *strings.Builder, path, title, text string, t table[T], c classes, more func(string) string) {
	if title != "" {
		fmt.Fprintf(b, "\n## %s\n", title)
	}
	if text != "" {
		b.WriteString("\n" + text)
	}
	fmt.Fprintf(b, "\n| `%s.`... | value | default | reload | meaning |\n|---|---|---|---|---|\n", strings.ReplaceAll(path, "|", `\|`))
	for _, k := range t {
		def := "-"
		if k.def != "" {
			def = "`" + k.def + "`"
		}
		if more != nil {
			def += more(k.name)
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", k.name, k.kind, strings.TrimPrefix(def, "-; "), c.of(k.name), strings.ReplaceAll(k.doc, "|", `\|`))
	}
}

// Each row says something, once, and its default is accepted by its own setter.
func TestTablesAreSound(t *testing.T) {
	sound(t, "node", nodeKeys)
	sound(t, "store", diskKeys)
	sound(t, "topicstore", storeKeys)
	sound(t, "plugins", pluginKeys)
	sound(t, "access", accessKeys)
	sound(t, "memory", memoryKeys)
	sound(t, "alarm", alarmKeys)
	sound(t, "sys", sysKeys)
	sound(t, "broker", brokerKeys)
	sound(t, "log", logKeys)
	sound(t, "zone", zoneKeys)
	for _, p := range protocols {
		sound(t, "listener."+p, keysOf(listener.Proto(p)))
	}
}

func sound[T any](t *testing.T, name string, keys table[T]) {
	t.Helper()
	seen := map[string]bool{}
	for _, k := range keys {
		if seen[k.name] {
			t.Errorf("%s.%s: two rows", name, k.name)
		}
		seen[k.name] = true
		if k.doc == "" || k.kind == "" || k.set == nil {
			t.Errorf("%s.%s: a row needs kind, setter and words", name, k.name)
		}
	}
	var to T
	keys.defaults(&to) // panics on a default that its setter refuses
}
