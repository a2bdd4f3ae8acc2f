package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/router"
)

// sections are the first words of key paths; the root keys stand alone.
var sections = []string{"node", "listener", "zone", "mqtt", "broker", "store", "topicstore", "plugins", "access", "memory", "alarm", "sys", "log"}

// rootKeys are EMQ X 4's keys without a section: zone keys for all zones.
var rootKeys = []string{"allow_anonymous", "acl_nomatch", "acl_deny_action", "acl_cache_max_size", "flapping_detect_policy"}

// build applies the leaves, in the order of the layers, to the defaults.
func (r *reader) build() *Config {
	r.foldRules()
	c := &Config{}
	nodeKeys.defaults(&c.Node)
	diskKeys.defaults(&c.Disk)
	storeKeys.defaults(&c.Store)
	pluginKeys.defaults(&c.Plugins)
	accessKeys.defaults(&c.Access)
	memoryKeys.defaults(&c.Memory)
	alarmKeys.defaults(&c.Alarms)
	sysKeys.defaults(&c.Sys)
	logKeys.defaults(&c.Log)
	brokerKeys.defaults(&c.Router)

	var listeners, zones, global []leaf
	for _, l := range r.leaves {
		switch l.path[0] {
		case "node":
			apply(r, l.below(1), nodeKeys, &c.Node)
		case "store":
			apply(r, l.below(1), diskKeys, &c.Disk)
		case "topicstore":
			apply(r, l.below(1), storeKeys, &c.Store)
		case "plugins":
			apply(r, l.below(1), pluginKeys, &c.Plugins)
		case "access":
			apply(r, l.below(1), accessKeys, &c.Access)
		case "memory":
			apply(r, l.below(1), memoryKeys, &c.Memory)
		case "alarm":
			apply(r, l.below(1), alarmKeys, &c.Alarms)
		case "sys":
			apply(r, l.below(1), sysKeys, &c.Sys)
		case "log":
			apply(r, l.below(1), logKeys, &c.Log)
		case "broker":
			r.broker(l, &c.Router)
		case "listener":
			listeners = append(listeners, l)
		case "zone":
			zones = append(zones, l)
		case "mqtt":
			global = append(global, l)
		default:
			if len(l.path) == 1 && slices.Contains(rootKeys, l.path[0]) {
				global = append(global, l)
				continue
			}
			r.unknown(l, 0, append(slices.Clone(sections), rootKeys...))
		}
	}
	c.Zones = r.zones(global, zones)
	c.Listeners = r.listeners(listeners)
	r.trusts(&c.Plugins)
	c.Sys.Node, c.Alarms.Node = c.Node.Name, c.Node.Name
	if !c.Log.toFile {
		c.Log.File = ""
	}
	return c
}

// apply sets the key that l names below its section.
func apply[T any](r *reader, l leaf, t table[T], to *T) {
	at := l.section
	if l.empty && len(l.path) <= at {
		return
	}
	if len(l.path) <= at {
		r.faultOf(l, "is a section, not a key")
		return
	}
	k, ok := t.find(strings.Join(l.path[at:], "."))
	if !ok {
		r.unknown(l, at, t.names())
		return
	}
	if err := k.set(to, l.value); err != nil {
		r.faultOf(l, "%v", err)
	}
}

// unknown reports a key that does not exist; known are the names that could
// stand at its path[at:].
func (r *reader) unknown(l leaf, at int, known []string) {
	path := l.path
	if why, ok := elsewhere(path); ok {
		r.faultOf(l, "%s", why)
		return
	}
	word := strings.Join(path[at:], ".")
	if at == 0 {
		word = path[0]
	}
	if near, ok := nearest(word, known); ok {
		r.faultOf(l, "unknown key; did you mean %q?", joinPath(path[:at])+dot(at)+near)
		return
	}
	r.faultOf(l, "unknown key")
}

func dot(at int) string {
	if at == 0 {
		return ""
	}
	return "."
}

// broker takes broker.<key> and broker.<group>.shared_subscription_strategy.
func (r *reader) broker(l leaf, to *router.Config) {
	const strategy = "shared_subscription_strategy"
	if len(l.path) != 3 || l.path[2] != strategy {
		apply(r, l.below(1), brokerKeys, to)
		return
	}
	var group router.Config
	apply(r, l.below(2), brokerKeys, &group)
	if to.GroupStrategies == nil {
		to.GroupStrategies = map[string]router.Strategy{}
	}
	to.GroupStrategies[l.path[1]] = group.Strategy
}

// zones makes each zone from four layers, each over the one before: the
// defaults; mqtt.* and the root keys; what internal has of its own; zone.<name>.*.
func (r *reader) zones(global, own []leaf) map[string]*channel.Zone {
	var base channel.Zone
	zoneKeys.defaults(&base)
	for _, l := range global {
		if len(l.path) == 1 && l.path[0] != "mqtt" { // a root key
			r.rootKey(l, &base)
			continue
		}
		apply(r, l.below(1), zoneKeys, &base)
	}
	zones := map[string]*channel.Zone{}
	add := func(name string) *channel.Zone {
		z, ok := zones[name]
		if !ok {
			copied := base
			copied.Name, copied.Session.Priorities = name, maps.Clone(base.Session.Priorities)
			z = &copied
			zones[name] = z
		}
		return z
	}
	add("external")
	internal := add("internal")
	for _, p := range internalZone {
		k, _ := zoneKeys.find(p.name)
		if err := k.set(internal, value{text: p.value}); err != nil {
			panic("config: the zone internal: " + err.Error())
		}
	}
	for _, l := range own {
		if l.empty && len(l.path) <= 2 {
			if len(l.path) == 2 {
				add(l.path[1])
			}
			continue
		}
		if len(l.path) < 3 {
			r.faultOf(l, "is not a key: write zone.<name>.<key>")
			continue
		}
		apply(r, l.below(2), zoneKeys, add(l.path[1]))
	}
	return zones
}

func (r *reader) rootKey(l leaf, z *channel.Zone) {
	k, _ := zoneKeys.find(l.path[0])
	if err := k.set(z, l.value); err != nil {
		r.faultOf(l, "%v", err)
	}
}
