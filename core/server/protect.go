package server

import (
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
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
	surges := surges{s: s, known: map[string]*surge{}}
	measure := func() []sys.Condition { counts{s}.measure(); return nil }
	g.watch = sys.NewWatch(watchEvery, g.alarms, measure, s.fullListeners, s.fullStores, s.brokenPlugins, s.failedLogins, surges.check)
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
