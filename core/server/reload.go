package server

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/config"
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/sys"
	"github.com/dunlinmq/dunlin/core/topicstore"
)

// settings are the configuration in force.
type settings struct {
	now    atomic.Pointer[config.Config]
	reload sync.Mutex // held by whoever reloads
}

// Reloaded is what a reload did.
type Reloaded struct {
	// Applied are the keys that have changed, hot or for new connections.
	Applied []config.Difference
	// Plugins are those whose configuration has changed.
	Plugins []string
	// Restart are keys whose new value is not in force until a restart.
	Restart []config.Difference
}

// Config is the configuration in force. It is frozen; a reload makes another.
func (s *Server) Config() *config.Config { return s.settings.now.Load() }

// Reload reads the configuration by Options.Load, and the plugins' files, and applies
// all of it but what needs a restart, or nothing: the error (config.Faults, of a plugin
// or of a listener) says why. No client is disconnected. Reloads that come at once follow each other.
func (s *Server) Reload() (Reloaded, error) {
	s.settings.reload.Lock()
	defer s.settings.reload.Unlock()
	if s.opts.Reloading != nil {
		s.opts.Reloading(true)
		defer s.opts.Reloading(false)
	}
	done, err := s.reload()
	if err != nil {
		s.opts.Log.Error("the reload is rejected and has changed nothing", zap.Error(err))
		return Reloaded{}, err
	}
	for _, d := range done.Restart {
		s.opts.Log.Warn("a new value waits for a restart", zap.String("key", d.Key), zap.String("from", d.From), zap.String("to", d.To))
	}
	for _, d := range done.Applied {
		s.opts.Log.Info("changed", zap.String("key", d.Key), zap.String("from", d.From), zap.String("to", d.To), zap.Stringer("for", d.Change))
	}
	s.opts.Log.Info("the configuration is reloaded", zap.Int("changed", len(done.Applied)), zap.Strings("plugins", done.Plugins), zap.Int("for_restart", len(done.Restart)))
	return done, nil
}

func (s *Server) reload() (done Reloaded, err error) {
	if s.opts.Load == nil {
		return done, errors.New("this node cannot read its configuration again")
	}
	read, err := s.opts.Load()
	if err != nil {
		return done, err
	}
	old := s.Config()
	for _, d := range config.Changes(old, read) {
		if d.Change == config.ChangeRestart {
			done.Restart = append(done.Restart, d)
		} else {
			done.Applied = append(done.Applied, d)
		}
	}
	next := read.Keeping(old)
	keepZones(next, old, done.Applied)
	memory, err := s.newMemory(next)
	if err != nil {
		return Reloaded{}, err
	}
	var staged *plugin.Staged
	if s.plugins != nil { // else they are about to start, with these files
		if staged, err = s.plugins.Stage(); err != nil {
			return Reloaded{}, err
		}
	}
	// Before the listeners change: what they hand over looks for its zone here.
	s.settings.now.Store(next)
	if err := s.ports.change(next.Listeners); err != nil {
		s.settings.now.Store(old)
		staged.Undo()
		return Reloaded{}, err
	}
	done.Plugins = staged.Names()
	staged.Commit()
	s.applyHot(next, old, memory)
	if err := s.writeEffective(time.Now()); err != nil {
		s.opts.Log.Warn("writing the configuration in force", zap.Error(err))
	}
	return done, nil
}

// reloadUntil reloads for each value of Options.Reload until one of the two is
// closed.
func (s *Server) reloadUntil(done, failed <-chan struct{}) {
	for {
		select {
		case <-s.opts.Reload:
			_, _ = s.Reload() // it has logged why
		case <-done:
			return
		case <-failed:
			return
		}
	}
}

// keepZones freezes next's zones and keeps those of old in which nothing has
// changed, with their shared quotas, and those that are gone, for the clients
// that they have.
func keepZones(next, old *config.Config, changes []config.Difference) {
	changed := map[string]bool{}
	for _, d := range changes {
		for name := range next.Zones {
			if strings.HasPrefix(d.Key, config.ZoneKey(name, "")) {
				changed[name] = true
			}
		}
	}
	next.Zones = maps.Clone(next.Zones)
	for name, z := range next.Zones {
		if before := old.Zones[name]; before != nil && !changed[name] {
			next.Zones[name] = before
			continue
		}
		z.Freeze()
	}
	for name, z := range old.Zones {
		if next.Zones[name] == nil {
			next.Zones[name] = z
		}
	}
}

// applyHot puts in force what cannot fail.
func (s *Server) applyHot(next, old *config.Config, memory *sys.Memory) {
	if s.opts.SetLog != nil && next.Log != old.Log {
		s.opts.SetLog(next.Log)
	}
	s.router.SetStrategies(next.Router)
	s.retained.SetLimits(topicstore.Config{MaxMessages: next.Store.MaxMessages, MaxBytes: next.Store.MaxBytes})
	s.guards.alarms.Configure(next.Alarms)
	if next.Memory != old.Memory {
		s.memory.replace(func(was *sys.Memory) *sys.Memory {
			memory.After(was)
			s.guards.memory.Store(memory)
			s.guards.limitMemory()
			return memory
		})
	}
	if next.Sys != old.Sys {
		s.sys.replace(func(was *sys.Sys) *sys.Sys { return was.With(next.Sys) })
	}
	s.guards.bans.SetMax(next.Access.MaxBans)
	s.guards.logins.SetPolicy(next.Access.Logins)
	s.watchFlapping()
}

func (s *Server) newMemory(c *config.Config) (*sys.Memory, error) {
	return sys.NewMemory(c.Memory, s.guards.alarms, sys.MemoryTotal(), sys.MemoryUsed)
}

// The files about the configuration in force, in the data directory.
const (
	configsDir  = "configs"
	configsKept = 10
)

// writeEffective writes the configuration in force beside the older ones and
// removes the oldest.
func (s *Server) writeEffective(now time.Time) error {
	dir := filepath.Join(s.cfg.Node.DataDir, configsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of configurations: %w", err)
	}
	name := "dunlin." + now.UTC().Format("20060102T150405.000") + ".toml"
	if err := os.WriteFile(filepath.Join(dir, name), s.Config().Effective(now), 0o600); err != nil {
		return fmt.Errorf("write the configuration in force: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "dunlin.*.toml"))
	if err != nil {
		return fmt.Errorf("look for older configurations: %w", err)
	}
	slices.Sort(files) // by time
	for _, old := range files[:max(0, len(files)-configsKept)] {
		if err := os.Remove(old); err != nil {
			return fmt.Errorf("remove an older configuration: %w", err)
		}
	}
	return nil
}

// unlimited is debug.SetMemoryLimit's word for no limit.
const unlimited = 1<<63 - 1

// limitMemory lets the garbage collector work harder before new clients are
// refused, unless GOMEMLIMIT says what to do.
func (g *guards) limitMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	limit := g.memory.Load().High()
	if limit <= 0 {
		limit = unlimited
	}
	debug.SetMemoryLimit(limit)
}
