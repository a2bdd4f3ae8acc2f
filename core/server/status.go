package server

import (
	"net"
	"strings"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/metrics"
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/sys"
)

// counts answers what operators and $SYS ask.
type counts struct{ s *Server }

// Counts implements admin.Broker.
func (c counts) Counts() admin.Counts {
	st := c.s.router.Stats()
	return admin.Counts{
		Connections: int64(c.s.registry.Online()), Sessions: int64(c.s.registry.Sessions()),
		Subscriptions: int64(st.Subscriptions), SharedSubscriptions: int64(st.Shared), Routes: int64(st.Routes),
		Retained: int64(c.s.retained.Count()),
	}
}

// Listeners implements admin.Broker.
func (c counts) Listeners() []admin.Listener {
	open := c.s.ports.list()
	list := make([]admin.Listener, 0, len(open))
	for _, l := range open {
		cfg := l.Config()
		list = append(list, admin.Listener{ID: cfg.ID(), Address: l.Addr().String(), Connections: l.Stats().Current, Running: l.Stats().Running})
	}
	return list
}

// Snapshot implements sys.Source.
func (c counts) Snapshot() sys.Snapshot {
	now, total, plugins := c.Counts(), c.s.env.Metrics.Totals(), c.plugins()
	return sys.Snapshot{
		Metrics: c.s.env.Metrics.Counters(nil), Stats: c.stats(), Plugins: pluginStates(plugins), PluginNumbers: c.pluginNumbers(plugins),
		Connections: now.Connections, MostConnections: c.s.env.Metrics.Gauges.Connections.Max(), Sessions: now.Sessions,
		Subscriptions: now.Subscriptions, SharedSubscriptions: now.SharedSubscriptions, Routes: now.Routes,
		Retained: now.Retained, RetainedBytes: c.s.retained.Bytes(),
		BytesReceived: total.BytesReceived, BytesSent: total.BytesSent,
		MessagesReceived: total.MessagesReceived, MessagesSent: total.MessagesSent,
		MessagesDropped: total.MessagesDropped + total.DeliveryDropped,
	}
}

// plugins are the loaded plugins.
func (c counts) plugins() []plugin.Info {
	if c.s.plugins == nil {
		return nil // they are about to start
	}
	return c.s.plugins.List()
}

// pluginStates tells how the loaded plugins are.
func pluginStates(plugins []plugin.Info) (list []sys.Named) {
	for i := range plugins {
		list = append(list, sys.Named{Name: plugins[i].Name, Word: string(plugins[i].Status.State)})
	}
	return list
}

// measure brings the gauges up to date that nobody keeps at each change: their
// highest values are those of the moments when somebody looked.
func (c counts) measure() {
	n, g := c.Counts(), &c.s.env.Metrics.Gauges
	g.LiveConnections.Set(n.Connections)
	g.Channels.Set(n.Sessions)
	g.SubOptions.Set(n.Subscriptions)
	g.Subscriptions.Set(n.Subscriptions)
	g.Subscribers.Set(n.Subscriptions - n.SharedSubscriptions)
	g.SubscriptionsShared.Set(n.SharedSubscriptions)
	g.Routes.Set(n.Routes)
	g.Topics.Set(n.Routes)
	g.Retained.Set(n.Retained)
	g.Delayed.Set(int64(c.s.plugins.Delayed()))
}

// stats are the gauges of now with their highest values (emqx4 §6.3).
func (c counts) stats() []metrics.Sample {
	c.measure()
	return c.s.env.Metrics.Stats(nil)
}

// Publish implements sys.Publisher.
func (c counts) Publish(topic string, payload []byte, retain bool) {
	c.s.publishAll([]*message.Message{{
		Topic: strings.Clone(topic), Payload: append([]byte(nil), payload...), Retain: retain,
		From: c.s.cfg.Node.Name, Origin: message.OriginSys,
	}})
}

func (s *Server) buildSys() *sys.Sys {
	cfg := s.cfg.Sys
	cfg.Node = s.cfg.Node.Name
	return sys.New(cfg, counts{s}, counts{s})
}

func (s *Server) adminConfig() admin.Config {
	return admin.Config{
		DataDir: s.cfg.Node.DataDir, Node: s.cfg.Node.Name, Version: s.opts.Version, Started: s.started,
		Stop: s.opts.Stop, Log: s.opts.Log.Named("admin"),
		Operator: s.operator(),
	}
}

// zonesInUse are the zones of listeners, and whether one of them is for other
// machines too.
func (s *Server) zonesInUse() map[string]bool {
	used := map[string]bool{}
	for _, l := range s.ports.list() {
		at, tcp := l.Addr().(*net.TCPAddr)
		cfg := l.Config()
		used[cfg.Zone] = used[cfg.Zone] || tcp && !at.IP.IsLoopback()
	}
	return used
}

// announce logs what a person wants to know at the start.
func (s *Server) announce() {
	log := s.opts.Log
	now := counts{s}
	for _, l := range now.Listeners() {
		log.Info("listening", zap.String("listener", l.ID), zap.String("address", l.Address))
	}
	for _, p := range s.plugins.List() {
		log.Info("plugin is active", zap.String("plugin", p.Name), zap.String("version", p.Version),
			zap.String("kind", p.Kind), zap.Strings("hooks", p.Hooks))
	}
	for name, outside := range s.zonesInUse() {
		switch z := s.cfg.Zones[name]; {
		case outside && (z.Access.BypassAuth || z.Access.Anonymous == access.AnonymousAllow):
			log.Warn("anonymous clients are accepted from everywhere", zap.String("zone", name))
		case z.Access.Anonymous == access.AnonymousLoopback && s.hooks.ClientAuthenticate.Chain() == nil:
			log.Warn("anonymous clients are accepted from this machine only, until an authentication plugin is loaded or allow_anonymous is true",
				zap.String("zone", name))
		}
	}
	log.Info("Dunlin is running", zap.String("node", s.cfg.Node.Name), zap.String("version", s.opts.Version))
}
