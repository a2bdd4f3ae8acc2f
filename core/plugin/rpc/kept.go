package rpc

import (
	"math"
	"time"

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
	done := func(err error) { reply(errno(err)) }
	err := error(contract.ErrnoInvalid)
	switch n := uint64(c.Record); {
	case c.Call == contract.CallPublishKept:
		err = k.PublishKept(c.Data, 0, done)
	case i.spec.Services.KV == nil:
		err = contract.ErrnoDenied
	case n <= uint64(len(c.Data)) && c.Arg >= 0 && c.Arg <= math.MaxInt64/int64(time.Millisecond):
		err = k.PublishOnce(string(c.Data[:n]), time.Duration(c.Arg)*time.Millisecond, c.Data[n:], done)
	}
	if err != nil {
		reply(errno(err))
	}
}
