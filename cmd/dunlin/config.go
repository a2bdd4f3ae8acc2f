package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

func (a *app) listenerChange(verb string, action adminpb.ChangeListenerRequest_Action, short string) *cobra.Command {
	kick := false
	cmd := a.changing(change{use: verb + " ID", short: short, args: cobra.ExactArgs(1), done: "ok",
		call: func(ctx context.Context, c *admin.Client, args []string) error {
			// EMQ X 4.3 writes mqtt:tcp:external.
			_, err := c.ChangeListener(ctx, &adminpb.ChangeListenerRequest{Action: action, Id: strings.TrimPrefix(args[0], "mqtt:"), Kick: kick})
			return err
		}})
	if action != adminpb.ChangeListenerRequest_ACTION_START {
		cmd.Flags().BoolVar(&kick, "kick", false, "also send away the clients that came through it; others stay")
	}
	return cmd
}

type configValue = *adminpb.ConfigValue

func (a *app) configuration() *cobra.Command {
	var form output
	var origin bool
	showing := &cobra.Command{
		Use: "show [PREFIX]", Short: "Show the configuration in force, without secrets", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) error {
				reply, err := c.ShowConfig(ctx, &adminpb.ShowConfigRequest{})
				if err != nil {
					return err
				}
				var items []configValue
				for _, v := range reply.GetValues() {
					if strings.HasPrefix(v.GetKey(), strings.Join(args, "")) {
						items = append(items, v)
					}
				}
				return show(a, form, listing[configValue]{items: items, columns: []column[configValue]{
					{"key", false, func(v configValue) any { return v.GetKey() }},
					{"value", false, func(v configValue) any { return v.GetValue() }},
					{"origin", !origin, func(v configValue) any { return v.GetOrigin() }},
				}})
			})
		},
	}
	form.flag(showing)
	showing.Flags().BoolVar(&origin, "origin", false, "show where each value comes from")
	reload := &cobra.Command{
		Use: "reload", Short: "Apply the files of the configuration and of plugins anew, all or nothing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd.Context(), changeTime, func(ctx context.Context, c *admin.Client) error {
				reply, err := c.ReloadConfig(ctx, &adminpb.ReloadConfigRequest{})
				if err != nil {
					return err
				}
				for _, key := range reply.GetApplied() {
					fmt.Fprintf(a.out, "changed: %s\n", key)
				}
				for _, key := range reply.GetRestart() {
					fmt.Fprintf(a.out, "waits for a restart: %s\n", key)
				}
				fmt.Fprintln(a.out, "ok")
				return nil
			})
		},
	}
	return group("config", "Show and reload the configuration", showing, reload)
}
