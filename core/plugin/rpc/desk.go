package rpc

import (
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// desk carries out a call that is answered later, by a record.
func (i *Instance) desk(p *process, c contract.HostCall) int64 {
	s := &i.spec.Services
	span := time.Duration(c.Arg) * time.Millisecond
	if c.Arg < 0 || c.Arg > contract.MaxTimer {
		return int64(contract.ErrnoInvalid)
	}
	switch {
	case s.Desk == nil:
	case c.Call == contract.CallTimerSet && s.Timer:
		return errno(s.Desk.SetTimer(p.id, c.Record, span))
	case c.Call == contract.CallHTTPStart && s.HTTP:
		return errno(s.Desk.Request(p.id, c.Seq, c.Data, span))
	case c.Call == contract.CallHashVerify && s.Hash:
		if uint64(c.Record) > uint64(len(c.Data)) {
			return int64(contract.ErrnoInvalid)
		}
		return errno(s.Desk.Verify(p.id, c.Seq, string(c.Data[:c.Record]), c.Data[c.Record:]))
	}
	return denied
}

// sessionCall carries out a call about sessions.
func sessionCall(s plugin.SessionCalls, c contract.HostCall) (int64, []byte) {
	if s == nil {
		return denied, nil
	}
	if c.Call == contract.CallSessionKick {
		return errno(s.Kick(string(c.Data))), nil
	}
	record, err := s.Get(nil, string(c.Data))
	if err != nil {
		return errno(err), nil
	}
	return int64(len(record)), record
}
