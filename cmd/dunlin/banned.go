package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

type ban = *adminpb.Ban

var banColumns = []column[ban]{
	{"as", false, func(b ban) any { return b.GetKind() }},
	{"who", false, func(b ban) any { return b.GetWho() }},
	{"by", false, func(b ban) any { return b.GetBy() }},
	{"reason", false, func(b ban) any { return b.GetReason() }},
	{"at", true, func(b ban) any { return moment(b.GetAtMs()) }},
	{"until", false, func(b ban) any { return moment(b.GetUntilMs()) }},
}

func (a *app) banned() *cobra.Command {
	var form output
	list := &cobra.Command{
		Use: "list", Short: "List who is banned", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) error {
				reply, err := c.ListBans(ctx, &adminpb.ListBansRequest{})
				if err != nil {
					return err
				}
				return show(a, form, listing[ban]{columns: banColumns, items: reply.GetBans()})
			})
		},
	}
	form.flag(list)
	return group("banned", "List and change who is banned", list, a.bannedAdd(),
		a.changing(change{use: "del clientid|username|peerhost WHO", short: "End a ban", args: cobra.ExactArgs(2), done: "ok",
			call: func(ctx context.Context, c *admin.Client, args []string) error {
				_, err := c.DeleteBan(ctx, &adminpb.DeleteBanRequest{Kind: args[0], Who: args[1]})
				return err
			}}))
}

func (a *app) bannedAdd() *cobra.Command {
	var reason string
	var last time.Duration
	cmd := a.changing(change{use: "add clientid|username|peerhost WHO", short: "Ban a client id, a user name, an address or a network; who is connected is disconnected",
		args: cobra.ExactArgs(2), done: "ok",
		call: func(ctx context.Context, c *admin.Client, args []string) error {
			b := &adminpb.Ban{Kind: args[0], Who: args[1], By: "ctl", Reason: reason}
			if last > 0 {
				b.UntilMs = time.Now().Add(last).UnixMilli()
			}
			_, err := c.AddBan(ctx, b)
			return err
		}})
	cmd.Flags().StringVar(&reason, "reason", "", "a note for people")
	cmd.Flags().DurationVar(&last, "for", 0, "how long it lasts (10m, 24h); 0: without end")
	return cmd
}

type alarm = *adminpb.Alarm

var alarmColumns = []column[alarm]{
	{"name", false, func(x alarm) any { return x.GetName() }},
	{"message", false, func(x alarm) any { return x.GetMessage() }},
	{"activated_at", false, func(x alarm) any { return moment(x.GetActivatedAtMs()) }},
	{"deactivated_at", true, func(x alarm) any { return moment(x.GetDeactivatedAtMs()) }},
}

func (a *app) alarms() *cobra.Command {
	var form output
	var past bool
	list := &cobra.Command{
		Use: "list", Short: "List active alarms", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) error {
				reply, err := c.ListAlarms(ctx, &adminpb.ListAlarmsRequest{Past: past})
				if err != nil {
					return err
				}
				return show(a, form, listing[alarm]{columns: alarmColumns, items: reply.GetAlarms()})
			})
		},
	}
	form.flag(list)
	list.Flags().BoolVar(&past, "past", false, "list alarms that are over")
	return group("alarms", "Look at alarms", list)
}
