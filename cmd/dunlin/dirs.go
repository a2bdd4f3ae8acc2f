package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/core/config"
)

// layout is where this command line looks for a node's files.
type layout struct {
	config, home, etc, data, log, plugins found
}

// found is a path and what has decided about it.
type found struct {
	path, by string
}

// The directories of a package (FHS; emqx4 §5.3), below app.base. They count
// when the configuration is there.
const (
	packagedConfig  = "etc/dunlin/dunlin.toml"
	packagedHome    = "var/lib/dunlin"
	packagedLog     = "var/log/dunlin"
	packagedPlugins = "usr/lib/dunlin/plugins"
)

// layout decides about the home directory by the first of: --home; DUNLIN_HOME,
// or EMQ X 4's RUNNER_ROOT_DIR; --config; etc/dunlin.toml of the current
// directory; the directories of a package; the current directory. Without
// --home, DUNLIN_ETC_DIR (RUNNER_ETC_DIR) and the like are over what that gives.
func (a *app) layout() (layout, error) {
	var l layout
	packaged := a.under(packagedConfig)
	if err := l.findHome(a.flags.home, a.flags.config, packaged); err != nil {
		return l, err
	}
	parts := []struct {
		to             *found
		name, packaged string
	}{{&l.etc, "etc", filepath.Dir(packagedConfig)}, {&l.data, "data", packagedHome}, {&l.log, "log", packagedLog}, {&l.plugins, "plugins", packagedPlugins}}
	for _, p := range parts {
		*p.to = found{filepath.Join(l.home.path, p.name), l.home.by}
		if l.home.by == packaged {
			p.to.path = a.under(p.packaged)
		}
		if a.flags.home == "" {
			if err := p.to.variable("DUNLIN_"+strings.ToUpper(p.name)+"_DIR", "RUNNER_"+strings.ToUpper(p.name)+"_DIR"); err != nil {
				return l, err
			}
		}
	}
	l.config = found{filepath.Join(l.etc.path, "dunlin.toml"), l.etc.by}
	if a.flags.config != "" {
		l.config = found{a.flags.config, "--config"}
	}
	return l, nil
}

// under is a path of the system's root directory.
func (a *app) under(path string) string { return filepath.Join(a.base, filepath.FromSlash(path)) }

func (l *layout) findHome(home, file, packaged string) (err error) {
	if home != "" {
		l.home = found{by: "--home"}
		l.home.path, err = filepath.Abs(home)
		return err
	}
	if err := l.home.variable("DUNLIN_HOME", "RUNNER_ROOT_DIR"); err != nil || l.home.path != "" {
		return err
	}
	here := filepath.Join("etc", "dunlin.toml")
	switch {
	case file != "":
		l.home.by = "--config"
		if abs, err := filepath.Abs(file); err == nil && abs == packaged {
			l.home.by = packaged
		}
	case exists(here) || !exists(packaged):
		l.home.by, file = "the current directory", here
	default:
		l.home.by = packaged
	}
	if l.home.by == packaged {
		// packaged is <base>/etc/dunlin/dunlin.toml.
		l.home.path = filepath.Join(packaged, "..", "..", "..", filepath.FromSlash(packagedHome))
		return nil
	}
	l.home.path, err = config.HomeOf(file)
	return err
}

// variable takes the first of the variables that is set.
func (f *found) variable(names ...string) error {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			path, err := filepath.Abs(v)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			*f = found{path, name}
			return nil
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (l *layout) dirs() config.Dirs {
	return config.Dirs{Etc: l.etc.path, Data: l.data.path, Log: l.log.path, Plugins: l.plugins.path}
}

// environ are the variables that give another process this layout.
func (l *layout) environ() []string {
	return []string{
		"DUNLIN_HOME=" + l.home.path, "DUNLIN_ETC_DIR=" + l.etc.path, "DUNLIN_DATA_DIR=" + l.data.path,
		"DUNLIN_LOG_DIR=" + l.log.path, "DUNLIN_PLUGINS_DIR=" + l.plugins.path,
	}
}

func (a *app) showDirs() *cobra.Command {
	var form output
	cmd := &cobra.Command{
		Use: "dirs", Aliases: []string{"root_dir"}, Short: "Show which directories are used and what has decided so", Args: cobra.NoArgs,
		Long: `Show which directories are used and what has decided so. The home directory is the first of

  1. --home
  2. DUNLIN_HOME, or EMQ X 4's RUNNER_ROOT_DIR
  3. --config: the parent of the file's directory when that is called etc, else that directory
  4. the current directory, if it has etc/dunlin.toml
  5. the directories of a package, if /etc/dunlin/dunlin.toml is there: /etc/dunlin,
     /var/lib/dunlin, /var/log/dunlin, /usr/lib/dunlin/plugins
  6. the current directory

Relative paths of the configuration that begin with etc, data, log or plugins start from
those directories: in the home directory, or where DUNLIN_ETC_DIR, DUNLIN_DATA_DIR,
DUNLIN_LOG_DIR and DUNLIN_PLUGINS_DIR (or RUNNER_ETC_DIR ...) say. With --home those
variables do not count. --data-dir is over all of them and over node.data_dir.`,
		RunE: func(*cobra.Command, []string) error {
			l, err := a.layout()
			if err != nil {
				return err
			}
			if a.flags.dataDir != "" {
				if l.data.path, err = filepath.Abs(a.flags.dataDir); err != nil {
					return err
				}
				l.data.by = "--data-dir"
			}
			type row struct {
				name string
				found
			}
			rows := []row{{"config", l.config}, {"home", l.home}, {"etc", l.etc}, {"data", l.data}, {"log", l.log}, {"plugins", l.plugins}}
			return show(a, form, listing[row]{items: rows, columns: []column[row]{
				{"name", false, func(r row) any { return r.name }},
				{"path", false, func(r row) any { return r.path }},
				{"by", false, func(r row) any { return r.by }},
			}})
		},
	}
	form.flag(cmd)
	return cmd
}
