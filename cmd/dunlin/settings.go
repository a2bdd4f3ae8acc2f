package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/core/config"
)

// options are what the flags and the environment say, for the file of l.
func (a *app) options(l *layout) config.Options {
	return config.Options{Home: l.home.path, Dirs: l.dirs(), DataDir: a.flags.dataDir, Env: os.Environ(), Set: a.flags.set}
}

func (a *app) load() (*config.Config, error) {
	l, err := a.layout()
	if err != nil {
		return nil, err
	}
	return config.Load(l.config.path, a.options(&l))
}

// dataDir is where the node's socket is. A node can be reached while its file
// has faults, and without the file when --data-dir is given.
func (a *app) dataDir() (string, error) {
	if a.flags.dataDir != "" {
		return filepath.Abs(a.flags.dataDir)
	}
	l, err := a.layout()
	if err != nil {
		return "", err
	}
	return config.DataDir(l.config.path, a.options(&l))
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
	if fs := (config.Faults)(nil); errors.As(err, &fs) {
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
