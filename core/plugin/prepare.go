package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// prepared is a plugin that can be opened.
type prepared struct {
	spec      *Spec
	kind      string
	vouched   string
	files     *manifest.Package
	transport Transport
	hooks     []manifest.Hook // with the operator's overrides
	wants     wants
	parked    *parked
	desk      *desk
	hush      *hush // nil: there are no self-tests, or it may not publish
}

// prepare reads and checks all files of a plugin. services are what the
// plugin would be granted if it asked for everything.
func (h *host) prepare(ctx context.Context, pl *loaded, services Services) (*prepared, error) {
	name, log := pl.name, pl.log
	pkg, err := h.source.Read(name)
	if err != nil {
		return nil, err
	}
	t := map[string]Transport{manifest.KindWASM: h.WASM, manifest.KindProcess: h.Process}[pkg.Kind]
	if t == nil {
		return nil, fmt.Errorf("%s: this broker runs no plugins of kind %s", pkg.Path, pkg.Kind)
	}
	p := &prepared{kind: pkg.Kind, vouched: pkg.Vouched, files: files(pkg), transport: t, hooks: pkg.Hooks, wants: wants{map[contract.Hook]*event.Wanted{}, &event.Wanted{}}}
	if err := p.check(); err != nil {
		return nil, err
	}
	m := pkg.Manifest
	p.parked = &parked{}
	if p.desk, err = newDesk(pl, pkg); err != nil {
		return nil, err
	}
	if m.Wants(durableKV) {
		if err := pl.keys.keep(ctx, h.Journal, name); err != nil {
			return nil, err
		}
	}
	if h.Schedules != nil && slices.Contains(m.Capabilities, "schedule") {
		if services.Later, err = pl.openLater(); err != nil {
			return nil, err
		}
	}
	for _, h := range pkg.Hooks {
		if k, ok := contract.ParseHook(h.Name); ok && h.Dynamic {
			p.wants.of[k] = &event.Wanted{}
		}
	}
	if k, ok := services.Publish.(Keeper); ok && len(m.SelfTests) > 0 {
		p.hush = &hush{Publisher: services.Publish, Keeper: k}
		services.Publish = p.hush
	}
	services.Cache, services.Wants = pl, p.wants
	services.Parked, services.Desk = p.parked, p.desk
	p.spec = &Spec{
		Name: name, Manifest: m, Hooks: specs(pkg.Hooks), Code: pkg.Code, SHA256: pkg.SHA256, Path: pkg.Path, Config: pkg.Config,
		ConfigDir: h.ConfigDir, Grants: pkg.Grants, Services: services.only(m.Capabilities), Node: h.Node, Version: h.Version,
		Log: log.With(zap.String("version", m.Version)),
	}
	if p.kind == manifest.KindProcess && h.DataDir != "" {
		p.spec.DataDir = filepath.Join(h.DataDir, name)
		if err := os.MkdirAll(p.spec.DataDir, 0o700); err != nil {
			return nil, fmt.Errorf("the plugin's directory: %w", err)
		}
	}
	return p, nil
}

// check refuses what does not go together.
func (p *prepared) check() error {
	for _, h := range p.hooks {
		if h.Name == contract.HookDeliver.String() && p.transport.Blocking() {
			return errors.New("the hook deliver is not for processes: a fan-out would wait for each subscriber")
		}
	}
	return nil
}

// specs are the registrations in the transports' form, defaults filled in.
func specs(hooks []manifest.Hook) []HookSpec {
	out := make([]HookSpec, 0, len(hooks))
	for _, h := range hooks {
		k, _ := contract.ParseHook(h.Name)
		fields, _ := k.Mask(h.Fields)
		out = append(out, HookSpec{
			Hook: k, Fields: fields, MaxPayload: h.MaxPayload,
			Timeout: cmp.Or(time.Duration(h.Timeout), manifest.DefaultsOf(k).Timeout),
			Park:    cmp.Or(time.Duration(h.Park), manifest.DefaultPark),
		})
	}
	return out
}

// only leaves the services that caps ask for.
func (s Services) only(caps []string) Services {
	if !slices.Contains(caps, "publish") {
		s.Publish = nil
	}
	if !slices.Contains(caps, "kv") && !slices.Contains(caps, durableKV) {
		s.KV = nil
	}
	if !slices.Contains(caps, "metric") {
		s.Metrics = nil
	}
	if !slices.Contains(caps, "session") {
		s.Sessions = nil
	}
	if !slices.Contains(caps, "schedule") {
		s.Later = nil
	}
	s.TopicStore = s.TopicStore && slices.Contains(caps, "topicstore")
	s.Timer, s.Hash = slices.Contains(caps, "timer"), slices.Contains(caps, "hash")
	s.HTTP = slices.ContainsFunc(caps, func(c string) bool { return c == "http" || strings.HasPrefix(c, "http:") })
	return s
}

// open opens the plugin and makes a version of it.
func (p *prepared) open(ctx context.Context) (*version, error) {
	inst, err := p.transport.Open(ctx, p.spec)
	if err != nil {
		p.desk.shut()
		return nil, err
	}
	p.spec.Code = nil // megabytes that nobody reads any more
	v := &version{
		spec: p.spec, config: p.spec.Config, inst: inst, kind: p.kind, vouched: p.vouched, files: p.files, parked: p.parked, desk: p.desk, blocking: p.transport.Blocking(),
		maxRecords: max(1, p.transport.MaxRecords()), drained: make(chan struct{}), replaced: make(chan struct{}),
	}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	has, known := inst.Hooks()
	for i, h := range p.hooks {
		s := p.spec.Hooks[i]
		if known && !has.Has(s.Hook) {
			return nil, errors.Join(fmt.Errorf("the manifest names the hook %q, which the plugin does not handle", h.Name), v.retire(drainPatience))
		}
		d := manifest.DefaultsOf(s.Hook)
		scope := event.NewScope(&h)
		scope.Wanted = p.wants.of[s.Hook]
		v.hooks[s.Hook] = &event.Binding{
			Hook: s.Hook, Fields: s.Fields, MaxPayload: s.MaxPayload,
			Scope: scope, Subject: h.Subject, OnError: cmp.Or(h.OnError, d.OnError), Reason: d.Reason,
		}
		v.set = v.set.With(s.Hook)
		if s.Hook == contract.HookMessage {
			v.hooks[s.Hook].Refused = p.wants.refused
			v.consumes = &p.hooks[i]
		}
	}
	if err := v.prove(); err != nil {
		return nil, errors.Join(err, v.retire(drainPatience))
	}
	if p.hush != nil {
		p.hush.passed.Store(true)
	}
	v.desk.open(v)
	return v, nil
}
