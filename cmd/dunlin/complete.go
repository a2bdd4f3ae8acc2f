package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

// asked is an argument that the shell wants to complete.
type asked struct {
	before []string // the arguments before it
	prefix string   // what is typed of it
	client *admin.Client
}

// completer offers values of one argument, each perhaps with a tab and a
// description behind it. Those that do not begin as typed are left out by the
// caller.
type completer func(ctx context.Context, a *app, q asked) ([]string, error)

// most is how many values a shell is offered.
const most = 100

// completing asks the node that runs; where none runs, nothing is offered.
func (a *app) completing(of []completer) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) (offers []string, _ cobra.ShellCompDirective) {
		if len(args) >= len(of) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		_ = a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) (err error) {
			offers, err = of[len(args)](ctx, a, asked{args, prefix, c})
			return err
		})
		offers = slices.DeleteFunc(offers, func(s string) bool { return !strings.HasPrefix(s, prefix) })
		return offers, cobra.ShellCompDirectiveNoFileComp
	}
}

func nothing(context.Context, *app, asked) ([]string, error) { return nil, nil }

func words(list ...string) completer {
	return func(context.Context, *app, asked) ([]string, error) { return slices.Clone(list), nil }
}

func clientIDs(ctx context.Context, _ *app, q asked) ([]string, error) {
	r, err := q.client.ListClients(ctx, &adminpb.ListClientsRequest{Prefix: q.prefix, Limit: most})
	var ids []string
	for _, c := range r.GetClients() {
		ids = append(ids, cell(c.GetId())+"\t"+cell(c.GetPeer()))
	}
	return ids, err
}

func filtersOfClient(ctx context.Context, _ *app, q asked) ([]string, error) {
	r, err := q.client.ListSubscriptions(ctx, &adminpb.ListSubscriptionsRequest{Client: q.before[0]})
	var list []string
	for _, s := range r.GetSubscriptions() {
		list = append(list, cell(s.GetFilter()))
	}
	return list, err
}

func filters(ctx context.Context, _ *app, q asked) ([]string, error) {
	r, err := q.client.ListRoutes(ctx, &adminpb.ListRoutesRequest{Limit: maxFilters})
	var list []string
	for _, s := range r.GetRoutes() {
		if f := cell(s.GetFilter()); strings.HasPrefix(f, q.prefix) && len(list) < most {
			list = append(list, f)
		}
	}
	return list, err
}

// maxFilters is how many filters are searched for a beginning.
const maxFilters = 10000

func listenerIDs(ctx context.Context, _ *app, q asked) ([]string, error) {
	r, err := q.client.Status(ctx, &adminpb.StatusRequest{})
	var ids []string
	for _, l := range r.GetListeners() {
		ids = append(ids, l.GetId()+"\t"+l.GetAddress())
	}
	return ids, err
}

func pluginsLoaded(ctx context.Context, _ *app, q asked) ([]string, error) {
	r, err := q.client.ListPlugins(ctx, &adminpb.ListPluginsRequest{})
	var names []string
	for _, p := range r.GetPlugins() {
		if p.GetState() != notLoaded {
			names = append(names, p.GetName()+"\t"+p.GetDescription())
		}
	}
	return names, err
}

// pluginsFound are those in plugins.dirs.
func pluginsFound(_ context.Context, a *app, _ asked) ([]string, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, dir := range cfg.Plugins.Dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*", "plugin.toml"))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			names = append(names, filepath.Base(filepath.Dir(f)))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func bans(ctx context.Context, _ *app, q asked) ([]string, error) {
	r, err := q.client.ListBans(ctx, &adminpb.ListBansRequest{})
	var list []string
	for _, b := range r.GetBans() {
		if b.GetKind() == q.before[0] {
			list = append(list, cell(b.GetWho())+"\t"+cell(b.GetReason()))
		}
	}
	return list, err
}

func configKeys(ctx context.Context, _ *app, q asked) ([]string, error) {
	r, err := q.client.ShowConfig(ctx, &adminpb.ShowConfigRequest{})
	var keys []string
	for _, v := range r.GetValues() {
		keys = append(keys, v.GetKey())
	}
	return keys, err
}

func ruleIDs(ctx context.Context, a *app, _ asked) ([]string, error) {
	var list []ruleView
	err := a.command(ctx, ruleEngine, "rules.list", nil, &list)
	var ids []string
	for _, r := range list {
		ids = append(ids, cell(r.ID)+"\t"+cell(r.Description))
	}
	return ids, err
}

func resourceIDs(ctx context.Context, a *app, _ asked) ([]string, error) {
	var list []resourceView
	err := a.command(ctx, ruleEngine, "resources.list", nil, &list)
	var ids []string
	for _, r := range list {
		ids = append(ids, cell(r.ID)+"\t"+r.Type)
	}
	return ids, err
}
