package rpc

import (
	"fmt"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

// want replaces the filters of a dynamic hook, or of what it refuses.
func (i *Instance) want(c contract.HostCall) int64 {
	if i.spec.Services.Wants == nil {
		return denied
	}
	filters, ok := (contract.FilterList{Bytes: c.Data}).Texts()
	if !ok || c.Record > uint32(contract.MaxHook) {
		return int64(contract.ErrnoInvalid)
	}
	if c.Call == contract.CallRefuse {
		return errno(i.spec.Services.Wants.Refuse(contract.Hook(c.Record), filters))
	}
	return errno(i.spec.Services.Wants.Want(contract.Hook(c.Record), filters))
}

// wants are the filters that a process gives its hooks before the first frame.
func (i *Instance) wants(list []*pluginpb.HookFilters) error {
	for _, h := range list {
		k := contract.Hook(min(h.GetHook(), uint32(contract.MaxHook)+1))
		if i.spec.Services.Wants == nil {
			return contract.ErrnoDenied
		}
		if err := i.spec.Services.Wants.Want(k, h.GetFilters()); err != nil {
			return fmt.Errorf("filters of the hook %s: %w", k, err)
		}
	}
	return nil
}
