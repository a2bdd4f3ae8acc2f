package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

type client = *adminpb.ClientInfo

// figure is a column about the session; null in JSON when it did not answer.
func figure(key string, of func(*adminpb.SessionFigures) any) column[client] {
	return column[client]{key, true, func(c client) any {
		if c.GetSession() == nil {
			return nil
		}
		return of(c.GetSession())
	}}
}

var clientColumns = []column[client]{
	{"clientid", false, func(c client) any { return c.GetId() }},
	{"username", false, func(c client) any { return c.GetUsername() }},
	{"peername", false, func(c client) any { return c.GetPeer() }},
	{"listener", false, func(c client) any { return c.GetListener() }},
	{"connected", false, func(c client) any { return c.GetConnected() }},
	{"connected_at", false, func(c client) any { return moment(c.GetConnectedAtMs()) }},
	{"zone", true, func(c client) any { return c.GetZone() }},
	{"proto_ver", true, func(c client) any { return c.GetProtocol() }},
	{"clean_start", true, func(c client) any { return c.GetCleanStart() }},
	{"keepalive", true, func(c client) any { return c.GetKeepalive() }},
	{"session_expiry_interval", true, func(c client) any { return c.GetExpiry() }},
	figure("created_at", func(f *adminpb.SessionFigures) any { return moment(f.GetCreatedAtMs()) }),
	figure("subscriptions", func(f *adminpb.SessionFigures) any { return f.GetSubscriptions() }),
	figure("inflight", func(f *adminpb.SessionFigures) any { return f.GetInflight() }),
	figure("mqueue", func(f *adminpb.SessionFigures) any { return f.GetQueue() }),
	figure("mqueue_bytes", func(f *adminpb.SessionFigures) any { return f.GetQueueBytes() }),
	figure("awaiting_rel", func(f *adminpb.SessionFigures) any { return f.GetAwaitingRel() }),
	figure("dropped_msgs", func(f *adminpb.SessionFigures) any { return f.GetDropped() }),
}

func (a *app) clients() *cobra.Command {
	return group("clients", "List, show and disconnect clients", a.clientsList(), a.clientsShow(),
		a.changing(change{use: "kick CLIENTID", short: "Disconnect a client, or end its session when it is offline", args: cobra.ExactArgs(1), done: "ok",
			call: func(ctx context.Context, c *admin.Client, args []string) error {
				_, err := c.KickClient(ctx, &adminpb.ClientRequest{Id: args[0]})
				return err
			}}))
}

func (a *app) clientsList() *cobra.Command {
	var p pages
	var r adminpb.ListClientsRequest
	cmd := &cobra.Command{
		Use: "list", Short: "List sessions, page by page", Args: cobra.NoArgs,
		Long: "List sessions, with a connection or without, page by page. The order is not that of\n" +
			"the ids, but is the same from page to page. Filters are combined.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.Figures = p.form != outputTable
			list, next, err := paged(a, cmd.Context(), &p, func(ctx context.Context, c *admin.Client, at place) ([]client, string, error) {
				r.Cursor, r.Limit = at.cursor, at.limit
				reply, err := c.ListClients(ctx, &r)
				return reply.GetClients(), reply.GetNext(), err
			})
			if err != nil {
				return err
			}
			return show(a, p.form, listing[client]{columns: clientColumns, items: list, paged: true, next: next})
		},
	}
	p.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&r.Prefix, "prefix", "", "only client ids that start so")
	f.StringVar(&r.Username, "username", "", "only this user name")
	f.StringVar(&r.Address, "address", "", "only this address or network (10.0.0.0/8)")
	f.StringVar(&r.Listener, "listener", "", "only this listener (tcp:external)")
	if err := cmd.RegisterFlagCompletionFunc("listener", a.completing([]completer{listenerIDs})); err != nil {
		panic(err) // the flag is defined above
	}
	f.BoolVar(&r.Online, "online", false, "only connected clients")
	return cmd
}

func (a *app) clientsShow() *cobra.Command {
	var form output
	cmd := &cobra.Command{
		Use: "show CLIENTID", Short: "Show one session", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) error {
				reply, err := c.ShowClient(ctx, &adminpb.ClientRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return showOne(a, form, clientColumns, reply)
			})
		},
	}
	form.flag(cmd)
	return cmd
}

func (a *app) aclCache() *cobra.Command {
	return group("acl", "Steer authorisation", a.changing(change{
		use: "cache-clean all|CLIENTID", short: "Forget remembered verdicts", args: cobra.ExactArgs(1), done: "ACL cache drain start OK",
		call: func(ctx context.Context, c *admin.Client, args []string) error {
			id := args[0]
			if id == "all" {
				id = ""
			}
			_, err := c.CleanACLCache(ctx, &adminpb.ClientRequest{Id: id})
			return err
		}}))
}
