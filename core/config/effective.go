package config

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// redacted stands for a secret.
const redacted = "***"

// secretWords are in the names of keys whose values nobody is shown.
var secretWords = []string{"password", "passwd", "secret", "token"}

// secret tells whether the key holds a secret itself: the name of a file that
// does is none.
func secret(name string) bool {
	return !strings.HasSuffix(name, "file") &&
		slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(name, w) })
}

// effective lists the values in force; c says which listeners and zones exist.
func (r *reader) effective(c *Config) []Value {
	set := map[string]leaf{}
	for _, l := range r.leaves {
		if !l.empty {
			set[joinPath(l.path)] = l
		}
	}
	e := effects{set: set}
	for _, g := range schema() {
		switch g.pattern[0] {
		case "mqtt": // part of the zones
		case "listener":
			for i := range c.Listeners {
				if l := &c.Listeners[i]; string(l.Proto) == g.pattern[1] {
					e.listener(g, l)
				}
			}
		case "zone":
			for _, name := range slices.Sorted(maps.Keys(c.Zones)) {
				e.zone(g, name)
			}
		default:
			if len(g.pattern) == 1 {
				e.section(g)
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(c.Router.GroupStrategies)) {
				g.pattern = []string{"broker", name}
				e.section(g)
			}
		}
	}
	return e.values
}

// effects collects values.
type effects struct {
	set    map[string]leaf
	values []Value
}

// add takes the first of the keys that is set, else the default.
func (e *effects) add(key string, row row, def string, also ...string) {
	v := Value{Key: key, Text: def, Change: row.change}
	for _, k := range append([]string{key}, also...) {
		if l, ok := e.set[k]; ok {
			v.Text, v.Origin = l.text, l.from
			break
		}
	}
	if secret(row.name) && v.Text != "" {
		v.Text, v.secret = redacted, v.Text
	}
	e.values = append(e.values, v)
}

func (e *effects) section(g group) {
	for _, row := range g.rows {
		e.add(joinPath(g.pattern)+"."+row.name, row, row.def)
	}
}

func (e *effects) listener(g group, l *lconf) {
	at := joinPath([]string{"listener", string(l.Proto), l.Name})
	for _, row := range g.rows {
		def := row.def
		for _, d := range protoDefaults {
			if d.proto == l.Proto && (d.name == "" || d.name == l.Name) && d.key == row.name {
				def = d.value
			}
		}
		e.add(at+"."+row.name, row, def)
	}
}

func (e *effects) zone(g group, name string) {
	at := joinPath([]string{"zone", name})
	for _, row := range g.rows {
		also, def := []string{"mqtt." + row.name, row.name}, row.def
		if l, ok := e.set[also[0]]; ok { // of the two that mean the same the last counts
			if root, both := e.set[also[1]]; both && e.later(root, l) {
				also[0], also[1] = also[1], also[0]
			}
		}
		if name == "internal" {
			for _, p := range internalZone {
				if p.name == row.name {
					also, def = nil, p.value
				}
			}
		}
		e.add(at+"."+row.name, row, def, also...)
	}
}

// later tells whether a comes after b.
func (e *effects) later(a, b leaf) bool {
	if a.layer != b.layer {
		return a.layer > b.layer
	}
	return a.from.Line >= b.from.Line
}

// Effective is the configuration in force as a file, each value with its
// origin. Secrets are left out.
func (c *Config) Effective(now time.Time) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The configuration in force since %s, of %s. Written by the node; not read.\n", now.Format(time.RFC3339), c.File)
	for _, v := range c.values {
		if v.Text == "" && v.Origin.Layer == LayerDefault {
			continue
		}
		if v.Text == redacted {
			fmt.Fprintf(&b, "# %s is a secret # %s\n", v.Key, v.Origin)
			continue
		}
		fmt.Fprintf(&b, "%s = %s # %s\n", v.Key, quote(v.Text), v.Origin)
	}
	return b.Bytes()
}

// quote writes a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7F:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
