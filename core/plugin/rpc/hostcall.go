package rpc

import (
	"math"
	"strconv"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

// hostCall carries out a host call of process p and answers it. It runs on the
// receiver; no service waits.
func (i *Instance) hostCall(p *process, f *pluginpb.Frame) {
	c, err := contract.ParseHostCall(f.GetData())
	if err != nil {
		p.fail(err)
		return
	}
	i.host.count(c.Call)
	if c.Call == contract.CallPublishKept || c.Call == contract.CallPublishOnce {
		i.publishKept(p, f.GetSeq(), c)
		return
	}
	r, data := i.serve(p, c)
	if c.Call.Replies() {
		p.send(&pluginpb.Frame{Seq: f.GetSeq(), Kind: pluginpb.Kind_KIND_HOSTREPLY, Data: contract.AppendHostReply(nil, r, data)})
	}
}

// errno is the result of a call that yields nothing but an error.
func errno(err error) int64 { return int64(plugin.Errno(err)) }

const denied = int64(contract.ErrnoDenied)

// serve carries out one call.
func (i *Instance) serve(p *process, c contract.HostCall) (int64, []byte) {
	s := &i.spec.Services
	switch c.Call {
	case contract.CallLog:
		i.logLine(c)
		return 0, nil
	case contract.CallPublish:
		if s.Publish == nil {
			return denied, nil
		}
		i.mu.Lock()
		hops := i.win.hops()
		i.mu.Unlock()
		return errno(s.Publish.Publish(c.Data, hops)), nil
	case contract.CallSchedulePut, contract.CallScheduleCancel, contract.CallScheduleList, contract.CallScheduleCount, contract.CallScheduleFind:
		if s.Later == nil {
			return denied, nil
		}
		return i.later(c)
	case contract.CallStorePut, contract.CallStoreDel, contract.CallStoreDeliver, contract.CallStoreCount:
		if !s.TopicStore {
			return denied, nil
		}
		return i.store(c), nil
	case contract.CallResume:
		if s.Parked == nil {
			return denied, nil
		}
		return errno(s.Parked.Resume(p.id, c.Seq, c.Data)), nil
	case contract.CallCacheForget:
		if s.Cache == nil {
			return denied, nil
		}
		s.Cache.Forget(string(c.Data))
		return 0, nil
	case contract.CallWant, contract.CallRefuse:
		return i.want(c), nil
	case contract.CallTimerSet, contract.CallHTTPStart, contract.CallHashVerify:
		return i.desk(p, c), nil
	case contract.CallSessionGet, contract.CallSessionKick:
		return sessionCall(s.Sessions, c)
	case contract.CallMetricAdd, contract.CallMetricPut:
		return number(s.Metrics, c), nil
	case contract.CallKVGet, contract.CallKVSet, contract.CallKVDel, contract.CallKVIncr, contract.CallKVCas:
		if s.KV == nil {
			return denied, nil
		}
		return keyCall(s.KV, c)
	}
	return int64(contract.ErrnoInvalid), nil
}

// logLine writes a line of the plugin's log.
func (i *Instance) logLine(c contract.HostCall) {
	level := zapcore.Level(max(min(c.Arg, int64(contract.LogError)), int64(contract.LogDebug)))
	i.spec.Log.Log(level, string(c.Data[:min(len(c.Data), maxLine)]), zap.String("from", "plugin"))
}

// store carries out a topicstore call about a record of an open frame. The
// frame's caller cannot return while it runs.
func (i *Instance) store(c contract.HostCall) int64 {
	r, record := i.behind(c)
	if r == nil {
		return denied
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gaveUp || r.call.Records == nil {
		return denied
	}
	switch c.Call {
	case contract.CallStorePut:
		if c.Arg < 0 || c.Arg > math.MaxInt64/int64(time.Millisecond) {
			return int64(contract.ErrnoInvalid)
		}
		return errno(r.call.Records.Put(record, time.Duration(c.Arg)*time.Millisecond))
	case contract.CallStoreDel:
		return errno(r.call.Records.Delete(record))
	case contract.CallStoreDeliver:
		return errno(r.call.Records.Deliver(record))
	}
	return int64(r.call.Records.Count(string(c.Data)))
}

// behind finds the request that a topicstore call is about, and the record's
// index there. Counting is about the store: any call with its services will do.
func (i *Instance) behind(c contract.HostCall) (*request, int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if c.Call != contract.CallStoreCount {
		if p := i.win.find(c.Seq); p != nil {
			return p.record(int(c.Record))
		}
		return nil, 0
	}
	for _, p := range i.win.open {
		for _, r := range p.reqs {
			if r.stores {
				return r, 0
			}
		}
	}
	return nil, 0
}

// number carries out a call about one of the plugin's metrics, which has a number or
// a name. The plugin learns nothing of what became of a number.
func number(m plugin.Metrics, c contract.HostCall) int64 {
	name := string(c.Data)
	if c.Call == contract.CallMetricAdd {
		name = strconv.FormatUint(uint64(c.Record), 10)
	}
	switch {
	case m == nil:
		return denied
	case c.Seq > uint64(contract.MetricRemove), c.Call == contract.CallMetricAdd && c.Seq == uint64(contract.MetricRemove):
		return int64(contract.ErrnoInvalid)
	}
	return errno(m.Add(name, int32(c.Seq), math.Float64frombits(uint64(c.Arg))))
}

// keyCall carries out a call about the plugin's keys.
func keyCall(kv plugin.KV, c contract.HostCall) (int64, []byte) {
	n := uint64(c.Record)
	switch c.Call {
	case contract.CallKVGet:
		v, err := kv.Load(nil, string(c.Data))
		if err != nil {
			return errno(err), nil
		}
		return int64(len(v)), v
	case contract.CallKVDel:
		return errno(kv.Delete(string(c.Data))), nil
	case contract.CallKVIncr:
		v, err := kv.Add(string(c.Data), c.Arg)
		if err != nil {
			return errno(err), nil
		}
		return v, nil
	}
	if n > uint64(len(c.Data)) {
		return int64(contract.ErrnoInvalid), nil
	}
	key, rest := string(c.Data[:n]), c.Data[n:]
	if c.Call == contract.CallKVSet {
		if c.Arg < 0 || c.Arg > math.MaxInt64/int64(time.Millisecond) {
			return int64(contract.ErrnoInvalid), nil
		}
		return errno(kv.Store(key, rest, time.Duration(c.Arg)*time.Millisecond)), nil
	}
	if c.Arg < 0 {
		return errno(kv.Swap(key, nil, rest)), nil
	}
	if c.Arg > int64(len(rest)) {
		return int64(contract.ErrnoInvalid), nil
	}
	return errno(kv.Swap(key, rest[:c.Arg:c.Arg], rest[c.Arg:])), nil
}
