package rpc

import (
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// later carries out a call about messages that wait for their time.
func (i *Instance) later(c contract.HostCall) (int64, []byte) {
	l := i.spec.Services.Later
	switch c.Call {
	case contract.CallScheduleCancel:
		return errno(l.Cancel(c.Seq)), nil
	case contract.CallScheduleCount:
		return int64(l.Len()), nil
	case contract.CallScheduleFind:
		due, err := l.Due(c.Seq)
		if err != nil {
			return errno(err), nil
		}
		return due, nil
	case contract.CallScheduleList:
		page, err := l.Page(nil, c.Arg, c.Seq, contract.SchedulePage)
		if err != nil {
			return errno(err), nil
		}
		return int64(len(page)), page
	}
	r, record := i.behind(c)
	if r == nil {
		return denied, nil
	}
	if len(c.Data) == 0 {
		return int64(contract.ErrnoInvalid), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gaveUp {
		return denied, nil
	}
	seq, err := plugin.Schedule(r.call.Records, record, string(c.Data[1:]), plugin.Due{Kind: int32(c.Data[0]), MS: c.Arg})
	if err != nil {
		return errno(err), nil
	}
	return int64(seq), nil
}
