package config

import (
	"fmt"
	"slices"
)

// Layer is a source of values. Higher ones win.
type Layer byte

// The layers.
const (
	LayerDefault Layer = iota
	LayerFile          // etc/dunlin.toml, then conf.d/*.toml by name
	LayerEnv           // DUNLIN_...
	LayerFlag          // --set, --data-dir
)

// Origin is where a value comes from.
type Origin struct {
	Layer Layer
	Name  string // the file, the variable or the flag; "" for a default
	Line  int    // in the file
}

// String is "default", "etc/dunlin.toml:3", "$DUNLIN_NODE__NAME" or "--set".
func (o Origin) String() string {
	switch o.Layer {
	case LayerFile:
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	case LayerEnv:
		return "$" + o.Name
	case LayerFlag:
		return o.Name
	}
	return "default"
}

// Value is one key of a configuration that is in force.
type Value struct {
	Key    string // as a file writes it, for example "zone.external.max_inflight"
	Text   string // as a file would write it, lists with commas; secrets are ***
	Origin Origin
	Change Change // what a reload does with a new value

	secret string // what Text hides
}

// differs tells whether two values of one key differ, secrets included.
func (v *Value) differs(w *Value) bool { return v.Text != w.Text || v.secret != w.secret }

// Values lists every key with its value, in the order of the documentation,
// listeners and zones by name. Keys without a value and without a default have
// Text "".
func (c *Config) Values() []Value { return slices.Clone(c.values) }

// ZoneKey is how a file writes a key of a zone.
func ZoneKey(zone, key string) string { return joinPath([]string{"zone", zone}) + "." + key }

// Origin tells where the value of a key comes from; false: there is no such key.
func (c *Config) Origin(key string) (Origin, bool) {
	i := slices.IndexFunc(c.values, func(v Value) bool { return v.Key == key })
	if i < 0 {
		return Origin{}, false
	}
	return c.values[i].Origin, true
}
