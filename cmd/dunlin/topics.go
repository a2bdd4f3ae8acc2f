package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

type subscription = *adminpb.Subscription

var subscriptionColumns = []column[subscription]{
	{"clientid", false, func(s subscription) any { return s.GetClient() }},
	{"topic", false, func(s subscription) any { return s.GetFilter() }},
	{"qos", false, func(s subscription) any { return s.GetQos() }},
	{"nl", true, func(s subscription) any { return s.GetNoLocal() }},
	{"rap", true, func(s subscription) any { return s.GetRetainAsPublished() }},
	{"rh", true, func(s subscription) any { return s.GetRetainHandling() }},
}

func (a *app) subscriptions() *cobra.Command {
	return group("subscriptions", "List, show and change subscriptions", a.subscriptionsList(), a.subscriptionsShow(),
		a.changing(change{use: "add CLIENTID TOPIC QOS", short: "Subscribe a connected client", args: cobra.ExactArgs(3), done: "ok",
			call: func(ctx context.Context, c *admin.Client, args []string) error {
				qos, err := strconv.ParseUint(args[2], 10, 2)
				if err != nil || qos > 2 {
					return status.Error(codes.InvalidArgument, "QoS should be 0, 1, 2")
				}
				_, err = c.ChangeSubscription(ctx, &adminpb.ChangeSubscriptionRequest{
					Subscription: &adminpb.Subscription{Client: args[0], Filter: args[1], Qos: uint32(qos)}})
				return err
			}}),
		a.changing(change{use: "del CLIENTID TOPIC", short: "Unsubscribe a connected client", args: cobra.ExactArgs(2), done: "ok",
			call: func(ctx context.Context, c *admin.Client, args []string) error {
				_, err := c.ChangeSubscription(ctx, &adminpb.ChangeSubscriptionRequest{Delete: true,
					Subscription: &adminpb.Subscription{Client: args[0], Filter: args[1]}})
				return err
			}}))
}

func (a *app) subscriptionsList() *cobra.Command {
	var p pages
	cmd := &cobra.Command{
		Use: "list", Short: "List subscriptions in the order of their filters, page by page", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, next, err := paged(a, cmd.Context(), &p, func(ctx context.Context, c *admin.Client, at place) ([]subscription, string, error) {
				reply, err := c.ListSubscriptions(ctx, &adminpb.ListSubscriptionsRequest{Cursor: at.cursor, Limit: at.limit})
				return reply.GetSubscriptions(), reply.GetNext(), err
			})
			if err != nil {
				return err
			}
			return show(a, p.form, listing[subscription]{columns: subscriptionColumns, items: list, paged: true, next: next})
		},
	}
	p.flags(cmd)
	return cmd
}

func (a *app) subscriptionsShow() *cobra.Command {
	var form output
	cmd := &cobra.Command{
		Use: "show CLIENTID", Short: "List the subscriptions of one client", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) error {
				reply, err := c.ListSubscriptions(ctx, &adminpb.ListSubscriptionsRequest{Client: args[0]})
				if err != nil {
					return err
				}
				return show(a, form, listing[subscription]{columns: subscriptionColumns, items: reply.GetSubscriptions()})
			})
		},
	}
	form.flag(cmd)
	return cmd
}

type route = *adminpb.Route

var routeColumns = []column[route]{
	{"topic", false, func(r route) any { return r.GetFilter() }},
	{"node", false, func(r route) any { return r.GetNode() }},
	{"subscriptions", true, func(r route) any { return r.GetSubscriptions() }},
}

func (a *app) routes() *cobra.Command {
	var p pages
	list := &cobra.Command{
		Use: "list", Short: "List the filters that are subscribed, page by page", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, next, err := paged(a, cmd.Context(), &p, func(ctx context.Context, c *admin.Client, at place) ([]route, string, error) {
				reply, err := c.ListRoutes(ctx, &adminpb.ListRoutesRequest{Cursor: at.cursor, Limit: at.limit})
				return reply.GetRoutes(), reply.GetNext(), err
			})
			if err != nil {
				return err
			}
			return show(a, p.form, listing[route]{columns: routeColumns, items: list, paged: true, next: next})
		},
	}
	p.flags(list)
	var form output
	one := &cobra.Command{
		Use: "show TOPIC", Short: "Show the route of one filter", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) error {
				reply, err := c.ListRoutes(ctx, &adminpb.ListRoutesRequest{Filter: args[0]})
				if err != nil {
					return err
				}
				return show(a, form, listing[route]{columns: routeColumns, items: reply.GetRoutes()})
			})
		},
	}
	form.flag(one)
	return group("routes", "List and show routes", list, one)
}
