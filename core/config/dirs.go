package config

import (
	"path/filepath"
	"strings"
)

// Dirs are what the first part of a relative path means: "etc/x" is x in Etc,
// "data/x" is x in Data, and so on. A field that is "" is the directory of that
// name in the home directory.
type Dirs struct {
	Etc     string // the configuration, certificates, plugins/<name>.toml
	Data    string // the node's state and its admin socket
	Log     string
	Plugins string // <name>/plugin.toml
}

// In fills the fields that are empty with the directories below home.
func (d Dirs) In(home string) Dirs {
	for _, p := range []struct {
		dir  *string
		name string
	}{{&d.Etc, "etc"}, {&d.Data, "data"}, {&d.Log, "log"}, {&d.Plugins, "plugins"}} {
		if *p.dir == "" {
			*p.dir = filepath.Join(home, p.name)
		}
	}
	return d
}

// path makes a path absolute; "" stays.
func (c *Config) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	first, rest, _ := strings.Cut(filepath.ToSlash(filepath.Clean(p)), "/")
	switch first {
	case "etc":
		return filepath.Join(c.Dirs.Etc, rest)
	case "data":
		return filepath.Join(c.Dirs.Data, rest)
	case "log":
		return filepath.Join(c.Dirs.Log, rest)
	case "plugins":
		return filepath.Join(c.Dirs.Plugins, rest)
	}
	return filepath.Join(c.Home, p)
}
