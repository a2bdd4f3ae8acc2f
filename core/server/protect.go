package server

import (
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/sys"
)

// guards are the parts that protect the node.
type guards struct {
	alarms *sys.Alarms
	bans   *access.Bans
	logins *access.Logins
	memory atomic.Pointer[sys.Memory]
	watch  *sys.Watch
	// flapping is set when disconnections are counted; with settings.reload held.
	flapping bool
}

// watchEvery is how soon what nobody reports becomes an alarm.
const watchEvery = 5 * time.Second

// banFile is the banned list in the data directory.
const banFile = "banned.json"

// buildGuards makes the guards and puts them before authentication. A banned
// list that cannot be read stops the start.
func (s *Server) buildGuards() (err error) {
	g := &s.guards
	memory, err := s.newMemory(s.cfg)
	if err != nil {
		return err
	}
	g.memory.Store(memory)
	s.memory = newRelay(memory)
	g.bans, err = access.OpenBans(access.BansConfig{
		File: filepath.Join(s.cfg.Node.DataDir, banFile), Max: s.cfg.Access.MaxBans,
		Added: s.kick, Removed: s.forgive, Log: s.opts.Log.Named("access"),
	})
	if err != nil {
		return err
	}
	g.logins = access.NewLogins(s.cfg.Access.Logins)
	s.env.Access = access.New(s.hooks).Guarded(access.Guards{Bans: g.bans, Logins: g.logins, Busy: func() bool { return g.memory.Load().Over() }})
	s.watchFlapping()
	crowds := crowds{s: s, seen: map[string]int64{}, at: map[string]time.Time{}}
	measure := func() []sys.Condition { counts{s}.measure(); return nil }
	g.watch = sys.NewWatch(watchEvery, g.alarms, measure, s.fullListeners, s.brokenPlugins, s.failedLogins, crowds.check)
	return nil
}

// watchFlapping counts disconnections from when a zone wants it first.
func (s *Server) watchFlapping() {
	if s.guards.flapping {
		return
	}
	policy := func(zone string) *access.FlapPolicy {
		if z := s.Config().Zones[zone]; z != nil && z.FlapDetect {
			return &z.Flap
		}
		return nil
	}
	for name := range s.Config().Zones {
		s.guards.flapping = s.guards.flapping || policy(name) != nil
	}
	if !s.guards.flapping {
		return
	}
	f := access.NewFlapping(policy, s.guards.bans, s.opts.Log.Named("access"))
	s.hooks.ClientDisconnected.Add(hook.Spec{Owner: access.FlappingDetector}, f.Disconnected)
}

// kick sends away whom new bans name, and raises alarms for those that flap.
func (s *Server) kick(added []access.Ban) {
	now, everybody := time.Now().UnixNano(), false
	for i := range added {
		b := &added[i]
		if b.By == access.FlappingDetector {
			s.guards.alarms.Activate(flapAlarm(b), "a client comes and goes too often and is banned", map[string]any{
				"clientid": b.Who, "until": b.Until.UnixMicro(),
			})
		}
		if b.As != access.BanClientID {
			everybody = true
			continue
		}
		if c := s.registry.Lookup(b.Who); c != nil {
			s.kickBanned(c, now)
		}
	}
	if !everybody {
		return
	}
	s.registry.Each(func(c *registry.Client) bool {
		s.kickBanned(c, now)
		return true
	})
}

// kickBanned sends a client away if a ban holds for it in its zone. A DISCONNECT
// has no word for "banned": it says 0x98.
func (s *Server) kickBanned(c *registry.Client, now int64) {
	info := c.Info()
	if info == nil {
		return
	}
	if z := s.Config().Zones[info.Zone]; z != nil && s.env.Access.Banned(&z.Access, info, now) {
		c.Evict(packet.AdministrativeAction)
	}
}

// forgive ends the alarms of bans that are over.
func (s *Server) forgive(removed []access.Ban) {
	for i := range removed {
		if removed[i].By == access.FlappingDetector {
			s.guards.alarms.Deactivate(flapAlarm(&removed[i]))
		}
	}
}

func flapAlarm(b *access.Ban) string { return "flapping/" + b.Who }

// fullListeners names listeners that have all the connections they may have.
func (s *Server) fullListeners() (wrong []sys.Condition) {
	for _, l := range s.ports.list() {
		cfg, st := l.Config(), l.Stats()
		if cfg.MaxConnections > 0 && st.Current >= int64(cfg.MaxConnections) {
			wrong = append(wrong, sys.Condition{
				Name: "listener/" + cfg.ID() + "/max_connections", Message: "the listener has max_connections: more are closed at once",
				Details: map[string]any{"listener": cfg.ID(), "max_connections": cfg.MaxConnections, "refused": st.Refused},
			})
		}
	}
	return wrong
}

// brokenPlugins names plugins that were shut out after too many faults.
func (s *Server) brokenPlugins() (wrong []sys.Condition) {
	for _, p := range s.plugins.List() {
		if p.Status.State == plugin.StateQuarantined {
			wrong = append(wrong, sys.Condition{
				Name: "plugin/" + p.Name + "/quarantined", Message: "the plugin has failed too often and is not called until it is reloaded",
				Details: map[string]any{"plugin": p.Name, "faults": p.Status.Faults, "last_fault": p.Status.LastFault},
			})
		}
	}
	return wrong
}

// failedLogins tells whether addresses have to wait because of failed logins.
func (s *Server) failedLogins() []sys.Condition {
	n := s.guards.logins.Waiting(time.Now().UnixNano())
	if n == 0 {
		return nil
	}
	return []sys.Condition{{
		Name: "login_backoff", Message: "addresses are refused after too many failed logins", Details: map[string]any{"addresses": n},
	}}
}

// crowdCalm is how long nobody must have been refused for the alarm to end.
const crowdCalm = time.Minute

// crowds remembers when listeners last refused connections because there were
// too many from one address. Owned by the watch.
type crowds struct {
	s    *Server
	seen map[string]int64
	at   map[string]time.Time
}

func (k *crowds) check() (wrong []sys.Condition) {
	for _, l := range k.s.ports.list() {
		cfg := l.Config()
		id, n, now := cfg.ID(), l.Stats().Crowded, time.Now()
		if n > k.seen[id] {
			k.seen[id], k.at[id] = n, now
		}
		if n > 0 && now.Sub(k.at[id]) < crowdCalm {
			wrong = append(wrong, sys.Condition{
				Name: "listener/" + id + "/max_conn_per_address", Message: "an address has max_conn_per_address: more are closed at once",
				Details: map[string]any{"listener": id, "max_conn_per_address": cfg.MaxConnPerAddress, "refused": n},
			})
		}
	}
	return wrong
}
