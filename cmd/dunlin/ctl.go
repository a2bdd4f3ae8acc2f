package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/sys"
)

// Times that a command waits for the node.
const (
	askTime    = 5 * time.Second
	changeTime = 2 * time.Minute // compiling a large WASM module takes its time
)

func (a *app) ctl() *cobra.Command {
	return group("ctl", "Ask and steer the node that runs here",
		a.status(), a.broker(), a.clients(), a.subscriptions(), a.routes(), a.listeners(), a.banned(), a.users(), a.bridges(), a.delayed(), a.topicMetrics(), a.alarms(),
		a.aclCache(), a.logLevels(), a.configuration(),
		a.figuresOf(figureList{use: "vm", short: "Show memory, goroutines and garbage collection of the process", family: adminpb.ListFiguresRequest_FAMILY_VM,
			words: []string{"all", "memory", "process", "cpu", "gc"}}),
		a.store(), a.rules(), a.resources(),
		a.catalogOf("rule-actions", "List what rules can do", "actions"), a.catalogOf("resource-types", "List the types of resources", "types"),
		a.figuresOf(figureList{use: "mnesia", short: "The same as store info (EMQ X's name)", family: adminpb.ListFiguresRequest_FAMILY_STORE}),
		group("plugins", "List and change plugins",
			a.pluginsList(), a.pluginsShow(), a.pluginsTop(),
			a.figuresOf(figureList{use: "metrics", short: "Show what each plugin and hook counts", family: adminpb.ListFiguresRequest_FAMILY_PLUGINS}), a.pluginsCommand(),
			a.pluginsChange("load", adminpb.ChangePluginRequest_CHANGE_LOAD, "Start a plugin and note it in loaded_plugins"),
			a.pluginsChange("unload", adminpb.ChangePluginRequest_CHANGE_UNLOAD, "Stop a plugin and note it in loaded_plugins"),
			a.pluginsChange("reload", adminpb.ChangePluginRequest_CHANGE_RELOAD, "Replace a plugin by what its files say now; no client is disconnected"),
			a.pluginsChange("enable", adminpb.ChangePluginRequest_CHANGE_ENABLE, "Note in loaded_plugins that the next start loads a plugin; nothing changes now"),
			a.pluginsChange("disable", adminpb.ChangePluginRequest_CHANGE_DISABLE, "Note in loaded_plugins that the next start does not load a plugin; nothing changes now")))
}

// ask calls the node and says plainly when there is none.
func (a *app) ask(ctx context.Context, limit time.Duration, call func(context.Context, *admin.Client) error) error {
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	return a.askAt(ctx, dir, limit, call)
}

// askAt is ask for the node of a data directory.
func (a *app) askAt(ctx context.Context, dir string, limit time.Duration, call func(context.Context, *admin.Client) error) error {
	client, err := admin.Dial(dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer client.Close()
	err = call(ctx, client)
	switch status.Code(err) {
	case codes.Unavailable:
		return status.Errorf(codes.Unavailable, "no node answers on %s: %s; `dunlin foreground` or `dunlin start` starts one", admin.SocketPath(dir), cause(err))
	case codes.DeadlineExceeded:
		return status.Errorf(codes.Unavailable, "the node on %s did not answer within %s", admin.SocketPath(dir), limit)
	}
	return err
}

// cause is the system's own words in gRPC's message about a connection.
func cause(err error) string {
	text := status.Convert(err).Message()
	if i := strings.LastIndex(text, "connect: "); i >= 0 {
		return strings.TrimSuffix(text[i+len("connect: "):], `"`)
	}
	return text
}

func (a *app) status() *cobra.Command {
	var form output
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the node's version, uptime, listeners and counts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) error {
				reply, err := c.Status(ctx, &adminpb.StatusRequest{})
				if err != nil {
					return err
				}
				if form == outputJSON {
					return a.json(statusJSON(reply))
				}
				return a.showStatus(reply, form == outputWide)
			})
		},
	}
	form.flag(cmd)
	return cmd
}

func (a *app) showStatus(r *adminpb.StatusReply, wide bool) error {
	up := time.Since(time.UnixMilli(r.GetStartedAtMs()))
	fmt.Fprintf(a.out, "Node '%s' %s is %s\n", r.GetNode(), r.GetVersion(), a.paint(a.out, green, "started"))
	n := r.GetCounts()
	rows := [][]string{
		{"uptime", sys.Uptime(up)},
		{"connections", fmt.Sprint(n.GetConnections())},
		{"sessions", fmt.Sprint(n.GetSessions())},
		{"subscriptions", fmt.Sprint(n.GetSubscriptions())},
		{"retained", fmt.Sprint(n.GetRetained())},
	}
	if wide {
		rows = append(rows, []string{"pid", fmt.Sprint(r.GetPid())},
			[]string{"routes", fmt.Sprint(n.GetRoutes())},
			[]string{"shared", fmt.Sprint(n.GetSharedSubscriptions())})
	}
	for _, row := range rows {
		fmt.Fprintf(a.out, "%-14s: %s\n", row[0], row[1])
	}
	table := [][]string{{"LISTENER", "ADDRESS", "CONNECTIONS"}}
	for _, l := range r.GetListeners() {
		table = append(table, []string{l.GetId(), l.GetAddress(), fmt.Sprint(l.GetConnections())})
	}
	return a.table(table, nil)
}
