package rpc

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

var _ plugin.Reconfigurer = (*Instance)(nil)

// Reconfigure implements [plugin.Reconfigurer] by a second Configure.
func (i *Instance) Reconfigure(ctx context.Context, config []byte) error {
	i.mu.Lock()
	p := i.cur
	i.mu.Unlock()
	if p == nil || !p.features.Has(contract.FeatureReconfigure) {
		return plugin.ErrNotReconfigured
	}
	ctx, cancel := context.WithTimeout(ctx, i.t.cfg.StartTimeout)
	defer cancel()
	reply, err := p.api.Configure(ctx, &pluginpb.ConfigureReq{
		Config: config, Features: uint64(p.features), DataDir: i.spec.DataDir, ConfigDir: i.spec.ConfigDir,
	})
	switch {
	case status.Code(err) == codes.InvalidArgument:
		return fmt.Errorf("configuration refused: %w", plain(err))
	case err != nil:
		return errors.Join(plugin.ErrNotReconfigured, plain(err))
	}
	if err := i.wants(reply.GetFilters()); err != nil {
		return errors.Join(plugin.ErrNotReconfigured, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cur != p { // the next one may have been started with what was before
		return plugin.ErrNotReconfigured
	}
	i.config = config
	return nil
}

// configuration is that of the next process.
func (i *Instance) configuration() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.config
}
