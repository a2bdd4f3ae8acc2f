package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/sys"
)

// figureList is a command that lists figures.
type figureList struct {
	use, short string
	family     adminpb.ListFiguresRequest_Family
	words      []string // first words of names that one argument may choose; "all": every one
}

func (a *app) figuresOf(l figureList) *cobra.Command {
	var form output
	cmd := &cobra.Command{
		Use: l.use, Short: l.short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			only := ""
			if len(args) > 0 && args[0] != "all" {
				only = args[0] + "/"
			}
			return a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) error {
				reply, err := c.ListFigures(ctx, &adminpb.ListFiguresRequest{Family: l.family})
				if err != nil {
					return err
				}
				return a.showFigures(form, only, reply.GetFigures())
			})
		},
	}
	if l.words != nil {
		cmd.Use += " [" + strings.Join(l.words, "|") + "]"
		cmd.ValidArgs = l.words
		cmd.Args = cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs)
	}
	form.flag(cmd)
	return cmd
}

// showFigures writes the figures whose names start with only, as EMQ X does: a
// name padded to 30 and the value (emqx4 §3.2).
func (a *app) showFigures(form output, only string, figures []*adminpb.Figure) error {
	values := map[string]int64{}
	for _, f := range figures {
		if strings.HasPrefix(f.GetName(), only) {
			values[f.GetName()] = f.GetValue()
		}
	}
	if form == outputJSON {
		return a.json(values)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(a.out, "%-30s: %d\n", name, values[name])
	}
	return nil
}

func (a *app) broker() *cobra.Command {
	var form output
	cmd := group("broker", "Show the broker, its stats or its metrics",
		a.figuresOf(figureList{use: "stats", short: "Show the gauges", family: adminpb.ListFiguresRequest_FAMILY_STATS}),
		a.figuresOf(figureList{use: "metrics", short: "Show the counters", family: adminpb.ListFiguresRequest_FAMILY_METRICS}))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) error {
			r, err := c.Status(ctx, &adminpb.StatusRequest{})
			if err != nil {
				return err
			}
			return showOne(a, form, []column[*adminpb.StatusReply]{
				{"sysdescr", false, func(*adminpb.StatusReply) any { return "Dunlin" }},
				{"version", false, func(r *adminpb.StatusReply) any { return r.GetVersion() }},
				{"uptime", false, func(r *adminpb.StatusReply) any { return sys.Uptime(time.Since(time.UnixMilli(r.GetStartedAtMs()))) }},
				{"datetime", false, func(*adminpb.StatusReply) any { return time.Now().Format(time.DateTime) }},
			}, r)
		})
	}
	form.flag(cmd)
	return cmd
}

func (a *app) listeners() *cobra.Command {
	list := func(use string) *cobra.Command {
		var form output
		cmd := &cobra.Command{
			Use: use, Short: "List the listeners", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) error {
					r, err := c.Status(ctx, &adminpb.StatusRequest{})
					if err != nil {
						return err
					}
					return show(a, form, listing[*adminpb.Listener]{items: r.GetListeners(), columns: []column[*adminpb.Listener]{
						{"id", false, func(l *adminpb.Listener) any { return l.GetId() }},
						{"listen_on", false, func(l *adminpb.Listener) any { return l.GetAddress() }},
						{"running", false, func(l *adminpb.Listener) any { return l.GetRunning() }},
						{"current_conn", false, func(l *adminpb.Listener) any { return l.GetConnections() }},
					}})
				})
			},
		}
		form.flag(cmd)
		return cmd
	}
	all := list("listeners") // EMQ X's form has no verb
	all.Args = known
	all.AddCommand(list("list"),
		a.listenerChange("stop", adminpb.ChangeListenerRequest_ACTION_STOP, "Take no new connections; clients stay, unless --kick"),
		a.listenerChange("start", adminpb.ChangeListenerRequest_ACTION_START, "Take connections again"),
		a.listenerChange("restart", adminpb.ChangeListenerRequest_ACTION_RESTART, "Stop, read certificates anew and start; clients stay, unless --kick"))
	return all
}

// levelNames are the levels of a log, with EMQ X's further ones.
var levelNames = []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

func (a *app) logLevels() *cobra.Command {
	var logger string
	set := &cobra.Command{
		Use: "set-level LEVEL", Short: "Set the level of the log until the node stops", ValidArgs: levelNames,
		Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error { return a.level(cmd.Context(), logger, args[0]) },
	}
	set.Flags().StringVar(&logger, "logger", "", "only this logger and those below it (channel, plugin ...)")
	primary := &cobra.Command{
		Use: "primary-level [LEVEL]", Short: "Show or set the level of the log (EMQ X's name)", ValidArgs: levelNames,
		Args: cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.level(cmd.Context(), "", strings.Join(args, ""))
		},
	}
	var form output
	list := &cobra.Command{
		Use: "levels", Short: "Show the level of each logger that has its own", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) error {
				r, err := c.SetLogLevel(ctx, &adminpb.SetLogLevelRequest{})
				if err != nil {
					return err
				}
				levels := r.GetLevels()
				return show(a, form, listing[string]{items: slices.Sorted(maps.Keys(levels)), columns: []column[string]{
					{"logger", false, func(s string) any { return s }},
					{"level", false, func(s string) any { return levels[s] }},
				}})
			})
		},
	}
	form.flag(list)
	return group("log", "Steer the log", set, primary, list)
}

// level sets a level, or with "" none, and prints the one that holds.
func (a *app) level(ctx context.Context, logger, level string) error {
	return a.ask(ctx, askTime, func(ctx context.Context, c *admin.Client) error {
		r, err := c.SetLogLevel(ctx, &adminpb.SetLogLevelRequest{Logger: logger, Level: level})
		if err == nil {
			fmt.Fprintln(a.out, r.GetLevels()[logger])
		}
		return err
	})
}
