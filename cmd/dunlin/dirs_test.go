package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/config"
)

// based is an app whose root directory of the system is dir.
func based(dir string) *app { return &app{out: &bytes.Buffer{}, err: &bytes.Buffer{}, base: dir} }

func unset(t *testing.T) {
	t.Helper()
	for _, name := range []string{"HOME", "ETC_DIR", "DATA_DIR", "LOG_DIR", "PLUGINS_DIR"} {
		t.Setenv("DUNLIN_"+name, "")
		t.Setenv("RUNNER_"+name, "")
	}
	t.Setenv("RUNNER_ROOT_DIR", "")
}

// Each way to say where files are is over those after it.
func TestDirectories(t *testing.T) {
	unset(t)
	root := t.TempDir()
	here := t.TempDir()
	t.Chdir(here)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	a := based(root)
	want := func(what string, check func(l layout) []string) {
		t.Helper()
		l, err := a.layout()
		if err != nil {
			t.Fatal(err)
		}
		pairs := check(l)
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] != pairs[i+1] {
				t.Errorf("%s: %s, want %s", what, pairs[i], pairs[i+1])
			}
		}
	}
	want("nothing", func(l layout) []string {
		return []string{l.home.path, here, l.config.path, filepath.Join(here, "etc", "dunlin.toml"), l.log.path, filepath.Join(here, "log")}
	})
	write(t, "", root, "etc", "dunlin", "dunlin.toml")
	want("a package", func(l layout) []string {
		return []string{
			l.config.path, filepath.Join(root, "etc/dunlin/dunlin.toml"), l.home.path, filepath.Join(root, "var/lib/dunlin"),
			l.data.path, filepath.Join(root, "var/lib/dunlin"), l.log.path, filepath.Join(root, "var/log/dunlin"),
			l.plugins.path, filepath.Join(root, "usr/lib/dunlin/plugins"),
		}
	})
	a.flags.config = filepath.Join(root, "etc", "dunlin", "dunlin.toml")
	want("its configuration", func(l layout) []string { return []string{l.log.path, filepath.Join(root, "var/log/dunlin")} })
	a.flags.config = ""
	write(t, "", here, "etc", "dunlin.toml")
	want("the current directory", func(l layout) []string { return []string{l.home.path, here} })
	a.flags.config = filepath.Join(root, "x", "etc", "other.toml")
	want("--config", func(l layout) []string {
		return []string{l.home.path, filepath.Join(root, "x"), l.config.path, a.flags.config, l.etc.path, filepath.Join(root, "x", "etc")}
	})
	t.Setenv("RUNNER_ROOT_DIR", filepath.Join(root, "runner"))
	t.Setenv("RUNNER_LOG_DIR", filepath.Join(root, "runnerlog"))
	want("EMQ X's variables", func(l layout) []string {
		return []string{l.home.path, filepath.Join(root, "runner"), l.log.path, filepath.Join(root, "runnerlog"), l.log.by, "RUNNER_LOG_DIR"}
	})
	t.Setenv("DUNLIN_HOME", filepath.Join(root, "h"))
	t.Setenv("DUNLIN_LOG_DIR", filepath.Join(root, "l"))
	want("variables", func(l layout) []string {
		return []string{l.home.path, filepath.Join(root, "h"), l.log.path, filepath.Join(root, "l"), l.data.path, filepath.Join(root, "h", "data")}
	})
	a.flags.home = here
	want("--home", func(l layout) []string {
		return []string{l.home.path, here, l.log.path, filepath.Join(here, "log"), l.log.by, "--home"}
	})
}

// The configuration's relative paths start from the directories.
func TestDirectoriesOfTheConfiguration(t *testing.T) {
	unset(t)
	root := t.TempDir()
	t.Chdir(t.TempDir())
	write(t, oneListener+"log.to = \"file\"\nplugins.dirs = [\"plugins\", \"more\"]\n", root, "etc", "dunlin", "dunlin.toml")
	a := based(root)
	c, err := a.load()
	if err != nil {
		t.Fatal(err)
	}
	lib := filepath.Join(root, "var", "lib", "dunlin")
	for got, want := range map[string]string{
		c.Node.DataDir:                       lib,
		c.Plugins.EtcDir:                     filepath.Join(root, "etc", "dunlin", "plugins"),
		c.Plugins.CacheDir:                   filepath.Join(lib, "plugin-cache"),
		c.Plugins.Loaded:                     filepath.Join(lib, "loaded_plugins"),
		c.Plugins.Dirs[0]:                    filepath.Join(root, "usr", "lib", "dunlin", "plugins"),
		c.Plugins.Dirs[1]:                    filepath.Join(lib, "more"),
		c.Log.File:                           filepath.Join(root, "var", "log", "dunlin", "dunlin.log"),
		logDir(&config.Config{Dirs: c.Dirs}): filepath.Join(root, "var", "log", "dunlin"),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if dir, err := a.dataDir(); err != nil || dir != lib {
		t.Errorf("ctl looks in %s, %v", dir, err)
	}
}

func TestShowDirs(t *testing.T) {
	dir := home(t, oneListener)
	dunlin(t, "dirs", "--home", dir).check(t, exitOK, "etc      "+filepath.Join(dir, "etc")+"  ", "")
	dunlin(t, "dirs", "--home", dir, "--data-dir", "/x", "-o", "json").check(t, exitOK, `"by": "--data-dir"`, "")
}

// A restart does what the start did, and what it is told on top.
func TestRestartKeepsOptions(t *testing.T) {
	t.Setenv(asMain, "1")
	unset(t)
	dir := home(t, oneListener)
	data := filepath.Join(dir, "elsewhere")
	t.Setenv("DUNLIN_LOG_DIR", filepath.Join(dir, "logs"))
	config := filepath.Join(dir, "etc", "dunlin.toml")
	dunlin(t, "start", "--config", config, "--data-dir", data, "--set", "node.name=kept@h", "--set", "log.level=error").check(t, exitOK, "started", "")
	t.Cleanup(func() { dunlin(t, "stop", "--data-dir", data).check(t, exitOK, "ok\n", "") })
	t.Setenv("DUNLIN_LOG_DIR", "")
	pid := dunlin(t, "pid", "--data-dir", data)
	pid.check(t, exitOK, "\n", "")
	dunlin(t, "restart", "--data-dir", data, "--set", "log.level=warning").check(t, exitOK, "started", "")
	if again := dunlin(t, "pid", "--data-dir", data); again.code != exitOK || again.out == pid.out {
		t.Errorf("process %q after %q", again.out, pid.out)
	}
	dunlin(t, "ctl", "config", "show", "node.name", "--data-dir", data).check(t, exitOK, "kept@h", "")
	dunlin(t, "ctl", "config", "show", "log.level", "--data-dir", data).check(t, exitOK, "warning", "")
	if got, err := filepath.Glob(filepath.Join(dir, "log*")); err != nil || strings.Join(got, " ") != filepath.Join(dir, "logs") {
		t.Errorf("logs are in %v, %v", got, err)
	}
	write(t, "no JSON", data, "started.json")
	dunlin(t, "restart", "--data-dir", data).check(t, exitError, "", "started.json")
}
