// Package server wires a node together: it builds every part, starts sinks
// first and stops sources first. It refuses to hold any logic of its own.
package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/broker"
	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/config"
	"github.com/dunlinmq/dunlin/core/conn"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/listener"
	"github.com/dunlinmq/dunlin/core/metrics"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/rpc"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/sys"
	"github.com/dunlinmq/dunlin/core/topicstore"
)

// drainTime is how long connected clients get to take their DISCONNECT.
const drainTime = 5 * time.Second

// willPatience bounds the wait for clients with wills; lingering, how long a
// client that was told to leave may keep its side of the connection open.
const (
	willPatience = time.Second
	lingering    = 2 * time.Second
)

// Options are what the command line adds to the configuration.
type Options struct {
	Version string
	Log     *zap.Logger
	// Stop ends Run's context; the admin service calls it.
	Stop func()
	// Load reads the configuration again as it was read for the start, for
	// [Server.Reload]; nil: reloads are refused.
	Load func() (*config.Config, error)
	// SetLog puts in force what has changed of the log: its level (debug, info,
	// warning or error) and its rotation. A reload calls it; nil: they stay.
	SetLog func(config.Log)
	// Reloading is called with true before each reload and with false after it;
	// may be nil.
	Reloading func(begin bool)
	// Reload makes Run reload for each value (SIGHUP); nil: never.
	Reload <-chan os.Signal
	// Loops is the number of event loops; 0: GOMAXPROCS. See [conn.Config].
	Loops int
	// Levels changes the log's levels at run time; nil: nobody can.
	Levels admin.Levels
}

// Server is one node. New builds it, Run runs it once.
type Server struct {
	cfg     *config.Config // of the start: for what needs a restart; see settings
	opts    Options
	started time.Time

	settings settings

	hooks     *hook.Points
	router    *router.Router
	retained  *topicstore.Store
	broker    *broker.Broker
	registry  *registry.Registry
	env       *channel.Env
	engine    *conn.Engine
	plugins   *plugin.Manager
	processes *rpc.Transport
	sys       *relay[*sys.Sys]
	memory    *relay[*sys.Memory]
	admin     *admin.Server
	ports     ports
	ballast   []byte // never touched
	guards    guards
	disk      disk
	ready     chan struct{} // closed when sessions are there and connections are served
}

// New builds a node: claims the data directory, opens the store, starts the plugins, binds the
// listeners. On an error nothing is left behind.
func New(ctx context.Context, cfg *config.Config, opts Options) (_ *Server, err error) {
	s := &Server{cfg: cfg, opts: opts, started: time.Now(), ballast: newBallast(), ready: make(chan struct{}), ports: ports{log: opts.Log.Named("listener")}}
	s.settings.now.Store(cfg)
	var undo []func() error
	defer func() {
		if err != nil {
			for i := len(undo) - 1; i >= 0; i-- {
				err = errors.Join(err, undo[i]())
			}
		}
	}()
	s.guards.alarms = sys.NewAlarms(cfg.Alarms, counts{s}, opts.Log.Named("alarm"))
	if err = os.MkdirAll(cfg.Node.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	if s.admin, err = admin.Listen(s.adminConfig(), pluginAdmin{s}, counts{s}); err != nil {
		return nil, err
	}
	undo = append(undo, s.admin.Close)
	if err = s.openDisk(); err != nil {
		return nil, err
	}
	undo = append(undo, s.closeDisk)
	if err = s.openRetained(ctx); err != nil {
		return nil, err
	}
	s.buildCore()
	if err = s.buildGuards(); err != nil {
		return nil, err
	}
	if s.engine, err = conn.New(conn.Config{Loops: opts.Loops, Blocking: s.hooks.Blocking, Linger: lingering, Log: opts.Log.Named("conn")}); err != nil {
		return nil, fmt.Errorf("open the event loops: %w", err)
	}
	if err = s.startPlugins(ctx); err != nil {
		return nil, err
	}
	undo = append(undo, s.stopPlugins)
	if err = s.recoverSessions(ctx); err != nil {
		return nil, err
	}
	undo = append(undo, s.ports.close)
	if err = s.ports.change(cfg.Listeners); err != nil {
		return nil, err
	}
	s.sys = newRelay(s.buildSys())
	if err = s.writeEffective(s.started); err != nil {
		return nil, err
	}
	return s, nil
}

// buildCore makes the parts that hold no outside resource.
func (s *Server) buildCore() {
	s.hooks = new(hook.Points)
	s.router = router.New(s.cfg.Router)
	s.broker = broker.New(broker.Config{
		Node: 1, Incarnation: uint32(s.started.Unix()), Journal: s.disk.journal, Durability: s.durability,
	}, s.hooks, s.router)
	counted := metrics.New(runtime.GOMAXPROCS(0))
	s.env = &channel.Env{
		Hooks: s.hooks, Broker: s.broker, Router: s.router,
		Metrics: counted, Log: s.opts.Log.Named("channel"), Journal: s.disk.journal,
	}
	s.registry = registry.New(registry.Config{
		Hooks: s.hooks, Router: s.router, PublishWill: s.env.PublishWill, Redispatch: s.broker.Redispatch,
		Metrics: counted, Journal: s.disk.journal, Readers: diskReaders, Zone: s.zoneOf,
	})
	s.env.Registry = s.registry
	for _, z := range s.cfg.Zones {
		z.Freeze()
	}
}

// Run serves until ctx ends, then stops: no new connections, 0x8B to 5.0
// clients, wills, plugins last.
func (s *Server) Run(ctx context.Context) error {
	// What clients need outlives them: it is stopped when they are gone.
	under, stopUnder := context.WithCancel(context.WithoutCancel(ctx))
	defer stopUnder()
	var g errgroup.Group
	failed := make(chan struct{})
	var once sync.Once
	start := func(what string, run func(context.Context) error) {
		g.Go(func() error {
			err := run(under)
			if err != nil {
				err = fmt.Errorf("%s: %w", what, err)
				once.Do(func() { close(failed) })
			}
			return err
		})
	}
	start("registry", s.registry.Run)
	start("retained", s.retained.Run)
	start("connections", s.engine.Run)
	start("sys", s.sys.Run)
	start("alarms", s.guards.alarms.Run)
	start("watch", s.guards.watch.Run)
	start("bans", s.guards.bans.Run)
	s.guards.limitMemory()
	start("memory", s.memory.Run)
	start("admin", s.admin.Run)
	s.ports.start(func(l *listener.Listener) {
		cfg := l.Config()
		start("listener "+cfg.ID(), func(ctx context.Context) error { return l.Run(ctx, s.serve) })
	})
	close(s.ready)
	s.announce()
	start("footprint", newFootprint(readHeap, s.opts.Log).Run)
	s.reloadUntil(ctx.Done(), failed)
	s.stopClients()
	stopUnder()
	err := g.Wait()
	return errors.Join(err, s.stopPlugins(), s.closeDisk())
}

// stopClients closes the listeners and lets connected clients go.
func (s *Server) stopClients() {
	if err := s.ports.close(); err != nil {
		s.opts.Log.Warn("closing the listeners", zap.Error(err))
	}
	n := s.evictWithWills() + s.registry.EvictAll(packet.ServerShuttingDown)
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := s.engine.Drain(ctx); err != nil {
		s.opts.Log.Warn("clients did not leave in time", zap.Int("left", s.engine.Len()), zap.Error(err))
	}
	s.opts.Log.Info("clients are gone", zap.Int("were_connected", n))
}

// evictWithWills lets those clients go first that have a will, and waits a
// moment for it, so that the others still get what is published for them.
func (s *Server) evictWithWills() (n int) {
	var leaving []*registry.Client
	s.registry.Each(func(c *registry.Client) bool {
		if info := c.Info(); info != nil && info.HasWill && c.Evict(packet.ServerShuttingDown) {
			leaving = append(leaving, c)
		}
		return true
	})
	n = len(leaving)
	tick := time.NewTicker(willPatience / 100)
	defer tick.Stop()
	for left := 100; left > 0 && len(leaving) > 0; left-- {
		leaving = slices.DeleteFunc(leaving, func(c *registry.Client) bool { return c.Info() == nil })
		<-tick.C // also once after the last has gone: its will is on its way
	}
	return n
}

// serve gives an accepted connection its channel.
func (s *Server) serve(a listener.Accepted) {
	zone := s.Config().Zones[a.Info.Zone]
	err := s.engine.Serve(a, func(w conn.Waker) conn.Machine {
		return channel.New(s.env, zone, &channel.Peer{
			Client: hook.Client{
				Peer: a.Info.Peer, Local: a.Info.Local, Listener: a.Info.Listener, CommonName: a.Info.CommonName, DN: a.Info.DN,
			},
			CertUsername: a.Info.CertUsername, CertClientID: a.Info.CertClientID,
		}, w)
	})
	if err != nil && !errors.Is(err, conn.ErrClosed) {
		s.opts.Log.Warn("serving a connection", zap.String("listener", a.Info.Listener), zap.Error(err))
	}
}
