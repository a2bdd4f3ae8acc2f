package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
)

// Staged are plugins whose configuration has changed, ready to go on with it. Until
// Commit or Undo, one of which must be called, no other change of plugins is made. A
// nil Staged changes nothing.
type Staged struct {
	m     *Manager
	next  []successor // open beside those that run
	again []anew      // have taken it in their place
}

type successor struct {
	p *loaded
	v *version
}

// anew is a running version and the configuration that it had.
type anew struct {
	p   *loaded
	had []byte
}

// Stage looks at the files of all plugins and prepares those whose configuration is
// not the one they run with; code that alone has changed waits for [Manager.Reload].
// The error names every plugin at fault: then nothing has changed.
func (m *Manager) Stage() (*Staged, error) {
	m.change.Lock()
	s := &Staged{m: m}
	m.mu.Lock()
	plugins := slices.Clone(m.plugins)
	m.mu.Unlock()
	var errs []error
	var inPlace []*loaded
	for _, p := range plugins {
		pkg, err := m.host.source.Read(p.name)
		switch v := p.cur.Load(); {
		case err != nil:
			errs = append(errs, fmt.Errorf("plugin %s: %w", p.name, err))
		case bytes.Equal(pkg.Config, v.config) && reflect.DeepEqual(codeless(pkg), codeless(v.files)):
		case v.takes(pkg):
			inPlace = append(inPlace, p)
		default:
			errs = append(errs, s.open(p))
		}
	}
	if errors.Join(errs...) == nil {
		errs = append(errs, s.fits())
	}
	if errors.Join(errs...) == nil {
		errs = append(errs, s.reconfigure(inPlace))
	}
	if err := errors.Join(errs...); err != nil {
		s.Undo()
		return nil, err
	}
	return s, nil
}

// codeless is what of a version's files is not its code: its manifest, and what the
// operator says of it.
func codeless(f *manifest.Package) *manifest.Package {
	like := files(f)
	like.SHA256, like.Vouched = "", ""
	return like
}

// takes tells whether v can take the configuration of pkg in its place.
func (v *version) takes(pkg *manifest.Package) bool {
	_, can := v.inst.(Reconfigurer)
	return can && v.inst.Status().State == StateRunning && reflect.DeepEqual(files(pkg), v.files)
}

func (s *Staged) open(p *loaded) error {
	v, err := s.m.open(context.Background(), p)
	if err != nil {
		return err
	}
	s.next = append(s.next, successor{p, v})
	if v.kind != p.cur.Load().kind {
		return fmt.Errorf("plugin %s: a reload does not change its kind to %s: unload it first", p.name, v.kind)
	}
	return nil
}

// fits tells whether the versions to come go together with those that stay.
func (s *Staged) fits() error {
	vs := s.m.versions()
	for _, n := range s.next {
		vs[slices.Index(vs, n.p.cur.Load())] = n.v
	}
	return s.m.together(vs)
}

// reconfigure gives plugins their configuration in their place. It is the last step:
// what takes nothing back comes first.
func (s *Staged) reconfigure(plugins []*loaded) error {
	for _, p := range plugins {
		v := p.cur.Load()
		had := v.config
		done, err := s.m.reconfigure(p)
		switch {
		case err != nil:
			return err
		case done:
			s.again = append(s.again, anew{p, had})
		default:
			if err := errors.Join(s.open(p), s.fits()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Names are the plugins that change.
func (s *Staged) Names() (names []string) {
	if s == nil {
		return nil
	}
	for _, n := range s.next {
		names = append(names, n.p.name)
	}
	for _, a := range s.again {
		names = append(names, a.p.name)
	}
	slices.Sort(names)
	return names
}

// Commit puts the new versions to work. No client is disconnected and no event lost.
func (s *Staged) Commit() {
	if s == nil {
		return
	}
	defer s.m.change.Unlock()
	for _, n := range s.next {
		if err := s.m.succeed(n.p, n.v); err != nil {
			n.p.log.Warn("plugin goes on without the state of the version before", zap.Error(err))
		}
		n.p.log.Info("plugin reloaded", zap.String("version", n.v.spec.Manifest.Version),
			zap.String("sha256", n.v.spec.SHA256), zap.String("vouched_for_by", n.v.vouched))
	}
}

// Undo leaves everything as it was before Stage.
func (s *Staged) Undo() {
	if s == nil {
		return
	}
	defer s.m.change.Unlock()
	for _, n := range s.next {
		n.p.left(n.p.discard(n.v))
	}
	for _, a := range s.again {
		v := a.p.cur.Load()
		ctx, cancel := context.WithTimeout(context.Background(), s.m.host.OpenTimeout)
		err := v.inst.(Reconfigurer).Reconfigure(ctx, a.had)
		cancel()
		if err != nil {
			a.p.log.Error("plugin does not take its configuration back: reload it", zap.Error(err))
			continue
		}
		v.config = a.had
	}
}
