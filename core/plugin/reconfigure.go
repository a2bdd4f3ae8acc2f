package plugin

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
)

// files are what a version was made of, without its code and its configuration.
func files(pkg *manifest.Package) *manifest.Package {
	like := *pkg
	like.Code, like.Config = nil, nil
	return &like
}

// reconfigure gives the running version of p the configuration of its files, if that
// is all that may have changed and the plugin can do it. done is false when a new
// version is needed: that is also what brings one back that does not run. The error
// is the plugin's refusal, or that of the files.
func (m *Manager) reconfigure(p *loaded) (done bool, err error) {
	v := p.cur.Load()
	r, ok := v.inst.(Reconfigurer)
	if !ok || v.inst.Status().State != StateRunning {
		return false, nil
	}
	pkg, err := m.host.source.Read(p.name)
	if err != nil {
		return true, fmt.Errorf("plugin %s: %w", p.name, err)
	}
	if !reflect.DeepEqual(files(pkg), v.files) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), m.host.OpenTimeout)
	defer cancel()
	err = r.Reconfigure(ctx, pkg.Config)
	if errors.Is(err, ErrNotReconfigured) {
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("plugin %s: %w", p.name, err)
	}
	v.config = pkg.Config
	p.log.Info("plugin has taken its configuration anew", zap.String("version", v.spec.Manifest.Version))
	return true, nil
}
