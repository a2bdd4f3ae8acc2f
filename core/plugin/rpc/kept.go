package rpc

import (
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

// publishKept publishes and answers when it is safe, to the process that asked.
func (i *Instance) publishKept(p *process, seq uint64, c contract.HostCall) {
	reply := func(result int64) {
		p.send(&pluginpb.Frame{Seq: seq, Kind: pluginpb.Kind_KIND_HOSTREPLY, Data: contract.AppendHostReply(nil, result, nil)})
	}
	k, ok := i.spec.Services.Publish.(plugin.Keeper)
	if !ok {
		reply(denied)
		return
	}
	if err := k.PublishKept(c.Data, 0, func(err error) { reply(errno(err)) }); err != nil {
		reply(errno(err))
	}
}
