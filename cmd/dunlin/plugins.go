package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

func (a *app) plugins(ctx context.Context) ([]*adminpb.Plugin, error) {
	var plugins []*adminpb.Plugin
	err := a.ask(ctx, askTime, func(ctx context.Context, c *admin.Client) error {
		reply, err := c.ListPlugins(ctx, &adminpb.ListPluginsRequest{})
		plugins = reply.GetPlugins()
		return err
	})
	return plugins, err
}

// notLoaded is the state of a plugin that loaded_plugins turns on and that is not
// loaded.
const notLoaded = "not loaded"

// about is the description of a plugin; of one that is not loaded, why.
func about(p *adminpb.Plugin) string {
	switch {
	case p.GetState() != notLoaded:
		return p.GetDescription()
	case p.GetError() == "":
		return "comes with the next start, or with `dunlin ctl plugins load " + p.GetName() + "`"
	}
	return strings.ReplaceAll(p.GetError(), "\n", "; ")
}

func (a *app) pluginsList() *cobra.Command {
	var form output
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the loaded plugins in chain order, then those that are on but not loaded, and why",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plugins, err := a.plugins(cmd.Context())
			if err != nil {
				return err
			}
			if form == outputJSON {
				rows := make([]pluginJSON, len(plugins))
				for i, p := range plugins {
					rows[i] = toPluginJSON(p)
				}
				return a.json(rows)
			}
			return a.showPlugins(plugins, form == outputWide)
		},
	}
	form.flag(cmd)
	return cmd
}

func (a *app) showPlugins(plugins []*adminpb.Plugin, wide bool) error {
	head := []string{"NAME", "VERSION", "TYPE", "STATE", "DESCRIPTION"}
	if wide {
		head = append(head, "CALLS", "FAULTS", "RESTARTS", "HOOKS")
	}
	rows := [][]string{head}
	for _, p := range plugins {
		row := []string{p.GetName(), p.GetVersion(), p.GetTransport(), p.GetState(), about(p)}
		if wide {
			row = append(row, fmt.Sprint(p.GetCalls()), fmt.Sprint(p.GetFaults()), fmt.Sprint(p.GetRestarts()), strings.Join(p.GetHooks(), ","))
		}
		rows = append(rows, row)
	}
	return a.table(rows, func(row, column int) color {
		if column != 3 {
			return plain
		}
		return stateColor(plugins[row])
	})
}

func stateColor(p *adminpb.Plugin) color {
	switch {
	case p.GetError() != "":
		return red
	case p.GetState() == "running":
		return green
	default:
		return yellow
	}
}

func (a *app) pluginsShow() *cobra.Command {
	var form output
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show one plugin",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			plugins, err := a.plugins(cmd.Context())
			if err != nil {
				return err
			}
			for _, p := range plugins {
				if p.GetName() != args[0] {
					continue
				}
				if form == outputJSON {
					return a.json(toPluginJSON(p))
				}
				a.showPlugin(p)
				return nil
			}
			return status.Errorf(codes.NotFound, "no plugin %q is loaded or on; `dunlin ctl plugins list` shows those that are", args[0])
		},
	}
	form.flag(cmd)
	return cmd
}

func (a *app) showPlugin(p *adminpb.Plugin) {
	if p.GetState() == notLoaded {
		for _, row := range [][2]string{{"name", p.GetName()}, {"state", a.paint(a.out, stateColor(p), p.GetState())}, {"why", about(p)}} {
			a.showRow(row)
		}
		return
	}
	for _, row := range [][2]string{
		{"name", p.GetName()},
		{"version", p.GetVersion()},
		{"description", p.GetDescription()},
		{"type", p.GetTransport()},
		{"state", a.paint(a.out, stateColor(p), p.GetState())},
		{"error", p.GetError()},
		{"hooks", strings.Join(p.GetHooks(), ", ")},
		{"calls", fmt.Sprint(p.GetCalls())},
		{"faults", fmt.Sprint(p.GetFaults())},
		{"restarts", fmt.Sprint(p.GetRestarts())},
	} {
		a.showRow(row)
	}
	for _, row := range costRows(p.GetCost()) {
		a.showRow(row)
	}
}

// showRow writes a line unless it has nothing to say.
func (a *app) showRow(row [2]string) {
	if row[1] != "" {
		fmt.Fprintf(a.out, "%-12s: %s\n", row[0], row[1])
	}
}

func (a *app) pluginsChange(verb string, change adminpb.ChangePluginRequest_Change, short string) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.ask(cmd.Context(), changeTime, func(ctx context.Context, c *admin.Client) error {
				_, err := c.ChangePlugin(ctx, &adminpb.ChangePluginRequest{Change: change, Name: args[0]})
				return err
			})
			if err == nil {
				fmt.Fprintf(a.out, "Plugin %s %sed successfully.\n", args[0], strings.TrimSuffix(verb, "e"))
			}
			return err
		},
	}
}
