package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/core/config"
)

// configFile is the configuration that the flags mean.
func (a *app) configFile() string {
	if a.flags.config != "" {
		return a.flags.config
	}
	return filepath.Join(a.flags.home, "etc", "dunlin.toml")
}

func (a *app) options() config.Options {
	return config.Options{Home: a.flags.home, DataDir: a.flags.dataDir, Env: os.Environ(), Set: a.flags.set}
}

func (a *app) load() (*config.Config, error) {
	return config.Load(a.configFile(), a.options())
}

// dataDir is where the node's socket is. A node can be reached while its file
// has faults, and without the file when --data-dir is given.
func (a *app) dataDir() (string, error) {
	if a.flags.dataDir != "" {
		return filepath.Abs(a.flags.dataDir)
	}
	return config.DataDir(a.configFile(), a.options())
}

func (a *app) checkConfig() *cobra.Command {
	return &cobra.Command{
		Use:     "check-config",
		Aliases: []string{"check_conf"},
		Short:   "Check the configuration and report every fault with file and line",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.load()
			if err != nil {
				return faults(err)
			}
			fmt.Fprintf(a.out, "%s is ok: %d listeners, %d zones\n", c.File, len(c.Listeners), len(c.Zones))
			return nil
		},
	}
}

// faults puts several faults on lines of their own.
func faults(err error) error {
	if fs, ok := err.(config.Faults); ok {
		return fmt.Errorf("the configuration has %s\n%w", plural(len(fs), "fault"), err)
	}
	return err
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
