package wasm

import (
	"bytes"
	"context"
	"math"
	"strconv"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"go.uber.org/zap/zapcore"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// hostFunc is one function that guests may import. fn finds the arguments in
// stack and leaves the result in stack[0]. Arguments of type i32 must be
// truncated: the upper half of their stack slot holds garbage.
type hostFunc struct {
	sig signature
	fn  func(g *guest, stack []uint64)
}

// hostFunctions are the imports of the ABI by module and name; contract C.4.
var hostFunctions = map[string]map[string]hostFunc{
	contract.ModuleLog:     {contract.ImportLogWrite: {sig(i32, i32, i32), logWrite}},
	contract.ModuleTime:    {contract.ImportTimeNow: {sig().returns(i64), timeNow}},
	contract.ModulePub:     {contract.ImportPubPublish: {sig(i32, i32).returns(i32), publish}},
	contract.ModulePending: {contract.ImportPendingResume: {sig(i64, i32, i32).returns(i32), resume}},
	contract.ModuleCache:   {contract.ImportCacheForget: {sig(i32, i32).returns(i32), cacheForget}},
	contract.ModuleWant:    {contract.ImportWantSet: {sig(i32, i32, i32).returns(i32), want}},
	contract.ModuleTimer:   {contract.ImportTimerSet: {sig(i32, i32).returns(i32), timerSet}},
	contract.ModuleHTTP:    {contract.ImportHTTPStart: {sig(i64, i32, i32, i32).returns(i32), httpStart}},
	contract.ModuleHash:    {contract.ImportHashVerify: {sig(i64, i32, i32, i32, i32).returns(i32), hashVerify}},
	contract.ModuleSession: {
		contract.ImportSessionGet:  {sig(i32, i32, i32, i32).returns(i32), sessionGet},
		contract.ImportSessionKick: {sig(i32, i32).returns(i32), sessionKick},
	},
	contract.ModuleTopicStore: {
		contract.ImportStorePut:     {sig(i32, i64).returns(i32), storePut},
		contract.ImportStoreDel:     {sig(i32).returns(i32), storeDel},
		contract.ImportStoreDeliver: {sig(i32, i32).returns(i32), storeDeliver},
		contract.ImportStoreCount:   {sig(i32, i32).returns(i32), storeCount},
	},
	contract.ModuleMetric: {
		contract.ImportMetricAdd: {sig(i32, i32, f64), metricAdd},
		contract.ImportMetricPut: {sig(i32, i32, i32, f64).returns(i32), metricPut},
	},
	contract.ModuleSchedule: {
		contract.ImportSchedulePut:    {sig(i32, i32, i32, i32, i64).returns(i64), schedulePut},
		contract.ImportScheduleCancel: {sig(i64).returns(i32), scheduleCancel},
		contract.ImportScheduleList:   {sig(i64, i64, i32, i32).returns(i32), scheduleList},
		contract.ImportScheduleCount:  {sig().returns(i64), scheduleCount},
		contract.ImportScheduleFind:   {sig(i64).returns(i64), scheduleFind},
	},
	contract.ModuleKV: {
		contract.ImportKVGet:  {sig(i32, i32, i32, i32).returns(i32), kvGet},
		contract.ImportKVSet:  {sig(i32, i32, i32, i32, i64).returns(i32), kvSet},
		contract.ImportKVDel:  {sig(i32, i32).returns(i32), kvDel},
		contract.ImportKVIncr: {sig(i32, i32, i64).returns(i64), kvIncr},
		contract.ImportKVCas:  {sig(i32, i32, i32, i32, i32, i32).returns(i32), kvCas},
	},
}

// hostModules instantiates the host modules that m imports, whole.
func (p *Plugin) hostModules(ctx context.Context, m wazero.CompiledModule) error {
	done := map[string]bool{}
	for _, d := range m.ImportedFunctions() {
		module, _, _ := d.Import()
		if done[module] {
			continue
		}
		done[module] = true
		functions := hostFunctions[module]
		if module == wasiModule {
			functions = wasi
		}
		without := !granted(capability[module], &p.spec.Services)
		b := p.rt.NewHostModuleBuilder(module)
		for name, f := range functions {
			if without {
				f.fn = f.sig.deny
			}
			b.NewFunctionBuilder().WithGoModuleFunction(counted{f.fn, tallyAt(module)}, f.sig.params, f.sig.results).Export(name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// counted is a function as guests call it.
type counted struct {
	fn func(g *guest, stack []uint64)
	at int // its capability's place in a hostTally
}

// Call implements [api.GoModuleFunction]: every host call costs fuel and is counted.
func (f counted) Call(ctx context.Context, mod api.Module, stack []uint64) {
	g, _ := ctx.Value(guestKey{}).(*guest)
	g.bind(mod)
	g.pay(hostUnits)
	g.p.shards[g.number].asked[f.at]++
	f.fn(g, stack)
}

// deny is a function of a capability that the plugin can do without and was not
// granted.
func (sg signature) deny(_ *guest, s []uint64) {
	if denied := int64(contract.ErrnoDenied); len(sg.results) > 0 {
		s[0] = uint64(denied)
		if sg.results[0] == i32 {
			s[0] = uint64(uint32(denied))
		}
	}
}

// bytes is a view of the guest's memory, charged for by its size.
func (g *guest) bytes(ptr, n uint64) ([]byte, bool) {
	b, ok := g.mem.Read(uint32(ptr), uint32(n))
	if ok {
		g.pay(int64(len(b) >> 6))
	}
	return b, ok
}

// result is an errno on the stack.
func result(err error) uint64 { return uint64(uint32(plugin.Errno(err))) }

// logUnits is what a line costs beside its size: as much time as it takes, whether the
// rate lets it through or not.
const logUnits = 2000

func logWrite(g *guest, s []uint64) {
	g.pay(logUnits - hostUnits)
	level := zapcore.InfoLevel
	switch int32(uint32(s[0])) {
	case contract.LogDebug:
		level = zapcore.DebugLevel
	case contract.LogWarn:
		level = zapcore.WarnLevel
	case contract.LogError:
		level = zapcore.ErrorLevel
	}
	b, ok := g.bytes(s[1], s[2])
	if ok && g.p.log.Core().Enabled(level) {
		g.p.log.Log(level, clean(b, maxText))
	}
}

func timeNow(g *guest, s []uint64) { s[0] = uint64(g.now().UnixNano()) }

func (g *guest) now() time.Time {
	if now := g.p.spec.Services.Now; now != nil {
		return now()
	}
	return time.Now()
}

func publish(g *guest, s []uint64) {
	b, ok := g.bytes(s[0], s[1])
	if !ok {
		s[0] = result(contract.ErrnoInvalid)
		return
	}
	s[0] = result(g.call.publish(b))
}

// resume decides an event that this guest has put off.
func resume(g *guest, s []uint64) {
	b, ok := g.bytes(s[1], s[2])
	parked := g.p.spec.Services.Parked
	if !ok || len(b) > maxBlock || parked == nil {
		s[0] = result(contract.ErrnoInvalid)
		return
	}
	s[0] = result(parked.Resume(g.id, s[0], b))
}

// millis is a duration in milliseconds as a guest says it.
func millis(ms uint64) (time.Duration, bool) {
	const most = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(ms) * time.Millisecond, ms <= uint64(most)
}

func storePut(g *guest, s []uint64) {
	i, err := g.call.record(s[0])
	ttl, ok := millis(s[1])
	if err == nil && !ok {
		err = contract.ErrnoInvalid
	}
	if err == nil {
		err = g.call.records.Put(i, ttl)
	}
	s[0] = result(err)
}

func storeDel(g *guest, s []uint64) {
	i, err := g.call.record(s[0])
	if err == nil {
		err = g.call.records.Delete(i)
	}
	s[0] = result(err)
}

func storeDeliver(g *guest, s []uint64) { s[0] = result(g.call.deliver(s[0])) }

// storeCount costs as much as the store has to walk: with a wildcard, all it keeps.
func storeCount(g *guest, s []uint64) {
	filter, ok := g.bytes(s[0], s[1])
	switch {
	case g.call.records == nil:
		s[0] = result(contract.ErrnoDenied)
		return
	case !ok || (len(filter) > 0 && !contract.ValidFilter(filter)):
		s[0] = result(contract.ErrnoInvalid)
		return
	}
	if bytes.ContainsAny(filter, "+#") {
		g.pay(int64(g.call.records.Count("")))
	}
	s[0] = uint64(min(g.call.records.Count(string(filter)), math.MaxInt32))
}

// metricAdd names a metric by its id.
func metricAdd(g *guest, s []uint64) {
	kind := int32(uint32(s[1]))
	if kind == contract.MetricRemove {
		return
	}
	// A kind or value that is none, too many names: the guest is not told.
	_ = g.p.spec.Services.Metrics.Add(strconv.Itoa(int(uint32(s[0]))), kind, math.Float64frombits(s[2]))
}

// metricPut names a metric by a text.
func metricPut(g *guest, s []uint64) {
	name, ok := g.bytes(s[0], s[1])
	if !ok || len(name) > contract.MaxMetricName {
		s[0] = result(contract.ErrnoInvalid)
		return
	}
	s[0] = result(g.p.spec.Services.Metrics.Add(string(name), int32(uint32(s[2])), math.Float64frombits(s[3])))
}
