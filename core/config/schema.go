package config

import (
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/core/listener"
)

// Change is what a reload does with a new value of a key.
type Change byte

// The classes of keys.
const (
	ChangeHot     Change = iota // in force at once, for everybody
	ChangeNew                   // for connections made from then on
	ChangeRestart               // reported; in force after a restart
)

// String is the word of the documentation.
func (c Change) String() string {
	return [...]string{"hot", "new connections", "restart"}[c]
}

// classes are the classes of a table's keys.
type classes struct {
	most   Change
	except map[string]Change
}

func (c classes) of(name string) Change {
	if x, ok := c.except[name]; ok {
		return x
	}
	return c.most
}

// The classes of each table.
var (
	nodeChanges     = classes{most: ChangeRestart}
	listenerChanges = classes{most: ChangeNew}
	zoneChanges     = classes{most: ChangeNew, except: map[string]Change{
		"enable_flapping_detect": ChangeHot, "flapping_detect_policy": ChangeHot,
	}}
	brokerChanges = classes{most: ChangeHot}
	diskChanges   = classes{most: ChangeRestart}
	storeChanges  = classes{most: ChangeHot}
	pluginChanges = classes{most: ChangeRestart}
	accessChanges = classes{most: ChangeHot}
	memoryChanges = classes{most: ChangeHot}
	alarmChanges  = classes{most: ChangeHot}
	sysChanges    = classes{most: ChangeHot}
	logChanges    = classes{most: ChangeRestart, except: map[string]Change{
		"level": ChangeHot, "rotation.size": ChangeHot, "rotation.count": ChangeHot,
	}}
)

// row is a key without the type of its field.
type row struct {
	name, def string
	change    Change
}

// group is the keys of one section.
type group struct {
	pattern  []string // the section's path; * is a name
	examples []string // sections that it stands for
	rows     []row
}

func rowsOf[T any](t table[T], c classes) []row {
	rows := make([]row, len(t))
	for i, k := range t {
		rows[i] = row{k.name, k.def, c.of(k.name)}
	}
	return rows
}

// schema is every key that exists, without the root keys, in the order of the
// documentation.
func schema() []group {
	one := func(name string, rows []row) group { return group{[]string{name}, []string{name}, rows} }
	gs := []group{one("node", rowsOf(nodeKeys, nodeChanges))}
	for _, p := range protocols {
		gs = append(gs, group{[]string{"listener", p, "*"}, []string{"listener." + p + ".external"},
			rowsOf(keysOf(listener.Proto(p)), listenerChanges)})
	}
	return append(gs,
		group{[]string{"zone", "*"}, []string{"zone.external", "zone.internal"}, rowsOf(zoneKeys, zoneChanges)},
		one("mqtt", rowsOf(zoneKeys, zoneChanges)),
		one("broker", rowsOf(brokerKeys, brokerChanges)),
		group{[]string{"broker", "*"}, nil, rowsOf(brokerKeys, brokerChanges)},
		one("store", rowsOf(diskKeys, diskChanges)),
		one("topicstore", rowsOf(storeKeys, storeChanges)),
		one("plugins", rowsOf(pluginKeys, pluginChanges)),
		one("access", rowsOf(accessKeys, accessChanges)),
		one("memory", rowsOf(memoryKeys, memoryChanges)),
		one("alarm", rowsOf(alarmKeys, alarmChanges)),
		one("sys", rowsOf(sysKeys, sysChanges)),
		one("log", rowsOf(logKeys, logChanges)),
	)
}

// exists tells whether a key of this path can be written.
func exists(path []string) bool {
	if len(path) == 1 {
		return slices.Contains(rootKeys, path[0])
	}
	return slices.ContainsFunc(schema(), func(g group) bool {
		n := len(g.pattern)
		return len(path) > n && matches(g.pattern, path[:n]) &&
			slices.ContainsFunc(g.rows, func(r row) bool { return r.name == strings.Join(path[n:], ".") })
	})
}
