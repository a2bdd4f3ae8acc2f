package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/cursor"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/schedule"
	"github.com/dunlinmq/dunlin/core/topicstore"
)

// Config is what a Manager needs. Immutable after New.
type Config struct {
	Loaded        string         // path of loaded_plugins; it need not exist
	Dirs          []string       // where plugins lie: <dir>/<name>/plugin.toml and the artefact
	ConfigDir     string         // of the operator files <name>.toml
	DataDir       string         // for the directories of processes; made with mode 0700 when needed. "": they have none
	Trust         manifest.Trust // whose plugins are loaded
	MemoryBudget  int64          // bytes that the guests of all plugins together may come to; 0: no limit
	Node, Version string         // the broker's, for the plugins

	WASM    Transport // nil: WASM plugins are refused
	Process Transport // nil: process plugins are refused

	Hooks *hook.Points
	// Store holds the messages of the topicstore capability; nil: not offered.
	Store *topicstore.Store
	// Sessions is for the capability session; nil: not offered.
	Sessions Sessions
	// Logs keeps messages for plugins of the class consume, over restarts. nil: in
	// memory only.
	Logs    *cursor.Logs
	Journal *journal.Journal // of the capability kv:durable; nil: not offered
	// Schedules keeps messages that are published later; nil: the capability schedule
	// is not offered.
	Schedules *schedule.Queues
	// Subjects has access rules asked about the topic that a function makes of that of
	// a PUBLISH, until it is removed; nil: nobody is told.
	Subjects func(about func(topic string) string) (remove func())
	// Publish routes messages of plugins, in order, and returns how often there was no
	// room for what had to be kept. It is called on several goroutines and must not
	// keep the slice. nil: the capability publish is not offered.
	Publish func([]*message.Message) (refused int)

	Secrets manifest.Secrets
	Log     *zap.Logger
	Now     func() time.Time // nil: time.Now
	// OpenTimeout bounds the opening of one plugin. 0: one minute.
	OpenTimeout time.Duration
}

// drainPatience is how long an old version may take to finish its calls.
const drainPatience = 5 * time.Second

// orderGap is the distance between neighbours in a chain, so that a plugin
// loaded later finds a place between them.
const orderGap = 1 << 20

// Manager owns the loaded plugins. All methods may be called at any time from
// any goroutine; changes are made one after the other.
type Manager struct {
	host *host
	log  *zap.Logger
	stop chan struct{}
	wg   sync.WaitGroup

	change sync.Mutex // held by StartAll, Load, Unload, Reload and Close; before mu

	mu      sync.Mutex
	running bool               // guarded by mu
	plugins []*loaded          // guarded by mu; in chain order
	extra   map[string]private // guarded by mu
	tried   map[string]error   // guarded by mu; of plugins that could not be loaded, the last reason
}

// New returns a Manager that has loaded nothing.
func New(cfg Config) *Manager {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.OpenTimeout == 0 {
		cfg.OpenTimeout = time.Minute
	}
	m := &Manager{host: &host{Config: cfg}, log: cfg.Log.Named("plugin"), stop: make(chan struct{}), extra: map[string]private{}, tried: map[string]error{}}
	if cfg.Logs == nil {
		m.host.Logs = inMemory()
	}
	m.host.pump, m.host.hashers = newPump(cfg.Publish, cfg.Journal), newHashers()
	m.host.source = manifest.Source{Dirs: cfg.Dirs, ConfigDir: cfg.ConfigDir, Trust: cfg.Trust, Secrets: cfg.Secrets}
	return m
}

// StartAll loads what loaded_plugins names, in its order: all of it or, with an
// error that names every plugin at fault, nothing.
func (m *Manager) StartAll(ctx context.Context) error {
	m.change.Lock()
	defer m.change.Unlock()
	file, err := manifest.ReadLoaded(m.host.Loaded)
	if err != nil {
		return err
	}
	for _, note := range file.Notes {
		m.log.Info("loaded_plugins", zap.String("note", note))
	}
	var opened []*loaded
	var versions []*version
	var errs []error
	for i, name := range file.Names() {
		p := m.enlist(name, (i+1)*orderGap)
		v, err := m.open(ctx, p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		opened, versions = append(opened, p), append(versions, v)
	}
	errs = append(errs, m.together(versions))
	if err := errors.Join(errs...); err != nil {
		for i := range opened {
			err = errors.Join(err, opened[i].discard(versions[i]))
		}
		return err
	}
	m.wg.Go(func() { m.host.pump.run(m.stop) })
	for i, p := range opened {
		m.begin(p, versions[i])
	}
	m.mu.Lock()
	m.running = true
	m.mu.Unlock()
	return nil
}

// open prepares and opens the next version of p.
func (m *Manager) open(ctx context.Context, p *loaded) (*version, error) {
	m.mu.Lock()
	own := m.extra[p.name]
	m.mu.Unlock()
	services := Services{KV: p.keys, Metrics: own.numbers, TopicStore: m.host.Store != nil, Now: m.host.Now}
	if m.host.Publish != nil {
		services.Publish = own.outbox
	}
	if m.host.Sessions != nil {
		services.Sessions = sessionCalls{m.host}
	}
	ctx, cancel := context.WithTimeout(ctx, m.host.OpenTimeout)
	defer cancel()
	prep, err := m.host.prepare(ctx, p, services)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", p.name, err)
	}
	v, err := prep.open(ctx)
	if err != nil {
		if p.cur.Load() == nil {
			p.closeLater()
		}
		return nil, fmt.Errorf("plugin %s: %w", p.name, err)
	}
	return v, nil
}

// discard closes a version that does not come into use after all. If p has no other,
// it is not loaded.
func (p *loaded) discard(v *version) error {
	if p.cur.Load() == nil {
		p.closeLater()
	}
	return v.retire(drainPatience)
}

// begin puts an opened plugin to work.
func (m *Manager) begin(p *loaded, v *version) {
	m.wg.Go(p.run)
	p.bind(v)
	m.mu.Lock()
	at, _ := slices.BinarySearchFunc(m.plugins, p.order, func(q *loaded, order int) int { return q.order - order })
	m.plugins = slices.Insert(m.plugins, at, p)
	m.mu.Unlock()
	p.log.Info("plugin loaded", zap.String("version", v.spec.Manifest.Version), zap.String("kind", v.kind),
		zap.String("sha256", v.spec.SHA256), zap.String("vouched_for_by", v.vouched), zap.Int("place", at+1))
}

// Load loads a plugin at its place in loaded_plugins (else at the end) and
// turns it on there.
func (m *Manager) Load(name string) error {
	m.change.Lock()
	defer m.change.Unlock()
	if err := manifest.CheckName(name); err != nil {
		return err
	}
	p, err := m.find(name)
	if err != nil {
		return err
	}
	if p != nil {
		return fmt.Errorf("%s: %w", name, ErrLoaded)
	}
	file, err := manifest.ReadLoaded(m.host.Loaded)
	if err != nil {
		return err
	}
	file.Set(name, true)
	p = m.enlist(name, m.place(file, name))
	v, err := m.open(context.Background(), p)
	if err == nil {
		if err = m.together(append(m.versions(), v)); err != nil {
			err = errors.Join(err, p.discard(v))
		}
	}
	m.mu.Lock()
	m.tried[name] = err
	m.mu.Unlock()
	if err != nil {
		return err
	}
	m.begin(p, v)
	return file.Write(m.host.Loaded)
}

// Unload takes a plugin out of all chains, lets its calls finish, closes it and
// turns it off in loaded_plugins.
func (m *Manager) Unload(name string) error {
	m.change.Lock()
	defer m.change.Unlock()
	p, err := m.loaded(name)
	if err != nil {
		return err
	}
	file, err := manifest.ReadLoaded(m.host.Loaded)
	if err != nil {
		return err
	}
	err = m.end(p)
	if file.Index(name) >= 0 {
		file.Set(name, false)
		err = errors.Join(err, file.Write(m.host.Loaded))
	}
	return err
}

// end stops p: no new events, what is queued is handed over, calls finish.
func (m *Manager) end(p *loaded) error {
	m.mu.Lock()
	m.plugins = slices.DeleteFunc(m.plugins, func(q *loaded) bool { return q == p })
	delete(m.extra, p.name)
	m.mu.Unlock()
	v := p.cur.Load()
	for k, remove := range p.removes {
		remove()
		delete(p.removes, k)
	}
	if c := p.consumer.Load(); c != nil {
		c.end(flushPatience, v.cancel)
	}
	close(p.queue.stop)
	t := time.NewTimer(flushPatience)
	defer t.Stop()
	select {
	case <-p.queue.done:
	case <-t.C:
		v.cancel()
		<-p.queue.done
	}
	p.cur.Store(nil)
	close(v.replaced)
	p.closeLater()
	err := v.retire(drainPatience)
	p.log.Info("plugin unloaded", zap.Error(err))
	return err
}

// Reload opens the plugin anew from its files beside the running version, then
// swaps. On an error the running version stays. One that can changes its
// configuration in its place, if nothing else has changed.
func (m *Manager) Reload(name string) error {
	m.change.Lock()
	defer m.change.Unlock()
	p, err := m.loaded(name)
	if err != nil {
		return err
	}
	if done, err := m.reconfigure(p); done {
		return err
	}
	v, err := m.open(context.Background(), p)
	if err != nil {
		return err
	}
	if v.kind != p.cur.Load().kind {
		return errors.Join(fmt.Errorf("plugin %s: a reload does not change its kind to %s: unload it first", name, v.kind), v.retire(drainPatience))
	}
	others := slices.DeleteFunc(m.versions(), func(o *version) bool { return o == p.cur.Load() })
	if err := m.together(append(others, v)); err != nil {
		return errors.Join(err, v.retire(drainPatience))
	}
	err = m.succeed(p, v)
	p.log.Info("plugin reloaded", zap.String("version", v.spec.Manifest.Version),
		zap.String("sha256", v.spec.SHA256), zap.String("vouched_for_by", v.vouched))
	return err
}

// succeed puts v in the place of p's version. If that has a state to hand over,
// calls wait meanwhile: they meet the new version with the state.
func (m *Manager) succeed(p *loaded, v *version) error {
	old := p.cur.Load()
	h, ok := old.inst.(Heir)
	if !ok {
		p.left(p.bind(v).retire(drainPatience))
		return nil
	}
	old.stop(drainPatience)
	err := h.HandOver(v.inst)
	if err != nil { // the new version starts without it
		p.log.Error("state not handed over", zap.Error(err))
	}
	p.bind(v)
	p.left(old.close(drainPatience))
	return err
}

// left notes how the version before has ended: one that hangs is cut off, which is no
// fault of the new one.
func (p *loaded) left(err error) {
	if err != nil {
		p.log.Warn("the version before did not end by itself and was cut off", zap.Error(err))
	}
}

// Close unloads everything, last plugin first, and publishes what plugins had
// queued. The broker must still route while it runs. loaded_plugins is left
// alone.
func (m *Manager) Close() error {
	m.change.Lock()
	defer m.change.Unlock()
	m.mu.Lock()
	running, plugins := m.running, slices.Clone(m.plugins)
	m.running = false
	m.mu.Unlock()
	if !running {
		return nil
	}
	var errs []error
	for _, p := range slices.Backward(plugins) {
		errs = append(errs, m.end(p))
	}
	close(m.stop)
	m.wg.Wait()
	return errors.Join(errs...)
}

// find returns a loaded plugin; nil if it is not loaded.
func (m *Manager) find(name string) (*loaded, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.running {
		return nil, ErrStopped
	}
	for _, p := range m.plugins {
		if p.name == name {
			return p, nil
		}
	}
	return nil, nil
}

// loaded is find that fails when the plugin is not loaded.
func (m *Manager) loaded(name string) (*loaded, error) {
	p, err := m.find(name)
	if err == nil && p == nil {
		return nil, fmt.Errorf("%s: %w", name, ErrNotLoaded)
	}
	return p, err
}

// versions are the current versions of all plugins.
func (m *Manager) versions() []*version {
	m.mu.Lock()
	defer m.mu.Unlock()
	var vs []*version
	for _, p := range m.plugins {
		vs = append(vs, p.cur.Load())
	}
	return vs
}
