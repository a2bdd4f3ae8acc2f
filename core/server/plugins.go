package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/cursor"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/plugin/rpc"
	"github.com/dunlinmq/dunlin/core/plugin/wasm"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/schedule"
)

// startPlugins loads what loaded_plugins names. A plugin that is configured and
// cannot load stops the start.
func (s *Server) startPlugins(ctx context.Context) error {
	log := s.opts.Log.Named("plugin")
	guests, err := wasm.New(wasm.Config{Shards: s.opts.Loops, CacheDir: s.cfg.Plugins.CacheDir, Log: log})
	if err != nil {
		return fmt.Errorf("start the WASM host: %w", err)
	}
	logs, err := cursor.Open(ctx, s.disk.journal)
	if err != nil {
		return fmt.Errorf("open what is kept for plugins: %w", err)
	}
	later, err := schedule.Open(ctx, schedule.Config{
		Journal: s.disk.journal, Publish: s.publishDue, Ready: s.ready, Log: log,
	})
	if err != nil {
		return fmt.Errorf("open what is kept for later: %w", err)
	}
	s.processes = rpc.New(rpc.Config{})
	s.plugins = plugin.New(plugin.Config{
		Loaded: s.cfg.Plugins.Loaded, Dirs: s.cfg.Plugins.Dirs, ConfigDir: s.cfg.Plugins.EtcDir,
		DataDir: filepath.Join(s.cfg.Node.DataDir, "plugins"),
		Trust:   s.cfg.Plugins.Trust, MemoryBudget: s.cfg.Plugins.MemoryBudget,
		Node: s.cfg.Node.Name, Version: s.opts.Version,
		WASM: guests, Process: s.processes,
		Hooks: s.hooks, Store: s.retained, Publish: s.publishAll, Sessions: sessions{s}, Logs: logs, Journal: s.disk.journal, Schedules: later, Subjects: s.subjects, Log: s.opts.Log,
		Secrets: manifest.Secrets{Env: os.LookupEnv, Dir: s.cfg.Plugins.EtcDir},
	})
	if err := s.plugins.StartAll(ctx); err != nil {
		s.processes.Close()
		return fmt.Errorf("start the plugins: %w", err)
	}
	return nil
}

func (s *Server) stopPlugins() error {
	defer s.processes.Close()
	return s.plugins.Close()
}

// sessions is what plugins may know of clients and do to them.
type sessions struct{ s *Server }

// Client implements plugin.Sessions.
func (k sessions) Client(id string) *hook.Client {
	c := k.s.registry.Lookup(id)
	if c == nil || !c.Online() {
		return nil
	}
	return c.Info()
}

// Kick implements plugin.Sessions.
func (k sessions) Kick(id string) bool {
	c := k.s.registry.Lookup(id)
	return c != nil && c.Online() && c.Evict(packet.AdministrativeAction)
}

// publishAll takes messages of plugins and of the node into the publish pipeline,
// and returns how often there was no room for what had to be kept.
func (s *Server) publishAll(ms []*message.Message) (refused int) {
	b := &router.Batch{Now: time.Now().UnixNano()}
	es := make([]hook.PublishEvent, len(ms))
	for i, m := range ms {
		es[i].Msg = m
	}
	s.broker.Publish(b, es)
	refused = b.Refused()
	s.ended(b)
	return refused
}

// subjects is plugin.Config.Subjects.
func (s *Server) subjects(about func(string) string) (remove func()) {
	return s.env.Access.AddSubject(about)
}

// publishDue is publishAll for messages whose time has come. What a banned client
// has left is dropped, as EMQ X 4 did (emqx4 §9.2).
func (s *Server) publishDue(ms []*message.Message) []packet.ReasonCode {
	b := &router.Batch{Now: time.Now().UnixNano()}
	es := make([]hook.PublishEvent, len(ms))
	for i, m := range ms {
		es[i].Msg = m
		if _, banned := s.guards.bans.Check(&hook.Client{ID: m.From, Username: m.Username, HasUsername: m.Username != ""}, b.Now); banned && m.Origin == message.OriginClient {
			es[i].Verdict, es[i].Reason = hook.Deny, packet.Banned
		}
	}
	s.broker.Publish(b, es)
	s.ended(b)
	codes := make([]packet.ReasonCode, len(ms))
	for i := range es {
		codes[i] = es[i].Reason
	}
	return codes
}

// ended ends a batch of the server's own.
func (s *Server) ended(b *router.Batch) {
	b.Flush()
	s.env.Metrics.Stripe(0).Flush(&b.Count)
}

// pluginAdmin lets operators change plugins.
type pluginAdmin struct{ s *Server }

// Plugins implements admin.Plugins.
func (a pluginAdmin) Plugins() []admin.Plugin {
	var list []admin.Plugin
	for _, p := range a.s.plugins.List() {
		list = append(list, admin.Plugin{
			Name: p.Name, Version: p.Version, Description: p.Description, Transport: p.Kind,
			State: string(p.Status.State), Error: p.Status.LastFault, Hooks: p.Hooks,
			Calls: p.Status.Calls, Faults: p.Status.Faults, Restarts: p.Status.Restarts, Cost: costOf(&p),
		})
	}
	absent, err := a.s.plugins.Absent()
	if err != nil { // the file has faults: the plugins that run are told all the same
		a.s.opts.Log.Warn("list of the plugins that are on but not loaded", zap.Error(err))
	}
	for _, p := range absent {
		list = append(list, admin.Plugin{Name: p.Name, State: "not loaded", Error: p.Why})
	}
	return list
}

// costOf puts what a plugin costs into the admin service's form.
func costOf(p *plugin.Info) *adminpb.PluginCost {
	s := &p.Status
	c := &adminpb.PluginCost{
		Engine: s.Engine, Fuel: s.Fuel, FuelP50: s.FuelP50, FuelMost: s.FuelMost, Memory: s.Memory, MemoryMax: s.MemoryMax,
		Instances: uint32(s.Instances), Pid: uint32(s.PID), Queued: uint64(p.Queued), Dropped: p.Dropped,
		Parked: uint64(p.Parked), Overdue: p.Overdue, Lost: p.Lost, Grants: p.Grants, Sha256: p.SHA256, Metrics: p.Metrics, Vouched: p.Vouched,
		Retries: s.Retries, CompileNs: uint64(s.Compile), CompileCached: s.CompileCached, InstantiateNs: uint64(s.Instantiate), CpuNs: uint64(s.CPU),
		CacheHits: p.CacheHits, CacheMisses: p.CacheMisses, HostCalls: s.HostCalls,
	}
	if l := p.Log; l != nil {
		c.LogWaiting, c.LogBytes, c.LogMax, c.Redelivered = l.Waiting, l.Bytes, l.Max, l.Redelivered
		c.LogDropped = l.Dropped + l.Missed + l.GivenUp
	}
	for _, h := range p.Costs {
		c.Hooks = append(c.Hooks, &adminpb.PluginHookCost{
			Hook: h.Hook, Calls: h.Calls, Records: h.Records, Faults: h.Faults, Verdicts: h.Verdicts,
			P50Ns: uint64(h.P50), P99Ns: uint64(h.P99), TookNs: uint64(h.Took),
		})
	}
	return c
}

// Load implements admin.Plugins.
func (a pluginAdmin) Load(_ context.Context, name string) error {
	return outcome(a.s.plugins.Load(name))
}

// Unload implements admin.Plugins.
func (a pluginAdmin) Unload(_ context.Context, name string) error {
	return outcome(a.s.plugins.Unload(name))
}

// Reload implements admin.Plugins.
func (a pluginAdmin) Reload(_ context.Context, name string) error {
	return outcome(a.s.plugins.Reload(name))
}

// Enable implements admin.Plugins.
func (a pluginAdmin) Enable(name string, on bool) error {
	return outcome(a.s.plugins.Enable(name, on))
}

// Command implements admin.Commands.
func (a pluginAdmin) Command(ctx context.Context, name, command string, body []byte) ([]byte, error) {
	answer, err := a.s.plugins.Command(ctx, name, command, body)
	if err != nil {
		err = &classed{outcome(err), err}
	}
	return answer, err
}

// classed is an error of a class that keeps its own words.
type classed struct{ class, err error }

func (e *classed) Error() string { return e.err.Error() }
func (e *classed) Unwrap() error { return e.class }

// outcome puts the manager's errors into the admin service's classes.
func outcome(err error) error {
	switch {
	case errors.Is(err, plugin.ErrLoaded), errors.Is(err, plugin.ErrNotLoaded), errors.Is(err, plugin.ErrStopped), errors.Is(err, plugin.ErrRefused),
		errors.Is(err, plugin.ErrNoCommands):
		return fmt.Errorf("%w: %w", admin.ErrState, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, plugin.ErrNotThere):
		return fmt.Errorf("%w: %w", admin.ErrNotFound, err)
	case errors.Is(err, plugin.ErrBadCommand):
		return fmt.Errorf("%w: %w", admin.ErrInvalid, err)
	}
	return err
}
