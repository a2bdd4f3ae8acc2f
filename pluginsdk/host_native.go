//go:build !wasip1

package sdk

import (
	"fmt"
	"math"
	"os"
	"slices"
	"sync/atomic"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Host carries out the host calls of a plugin that runs natively. Result and
// data are those of the HOSTREPLY; calls without a reply return at once.
type Host interface {
	Call(c contract.HostCall) (result int64, data []byte)
}

// link is the plugin's way to its host.
var link struct {
	to  atomic.Pointer[Host] // nil before there is a stream
	seq uint64               // of the frame that is being handled; its goroutine owns it
}

// host is the plugin's host; nil: there is none yet.
func host() Host {
	if p := link.to.Load(); p != nil {
		return *p
	}
	return nil
}

// attach makes h the plugin's host.
func attach(h Host) {
	if h == nil {
		link.to.Store(nil)
		return
	}
	link.to.Store(&h)
}

// wanted are the filters that Configure asks for, before there is a host.
var wanted map[contract.Hook][]string

func hostWant(h contract.Hook, filters []string) error {
	if host() == nil {
		if wanted == nil {
			wanted = map[contract.Hook][]string{}
		}
		wanted[h] = slices.Clone(filters)
		return nil
	}
	return hostFilters(contract.CallWant, h, filters)
}

func hostRefuse(h contract.Hook, filters []string) error {
	return hostFilters(contract.CallRefuse, h, filters)
}

// hostFilters makes a call whose data is a list of filters.
func hostFilters(call contract.Call, h contract.Hook, filters []string) error {
	list, err := filterList(filters)
	if err != nil {
		return err
	}
	return errnoOf(int32(hostCall(contract.HostCall{Call: call, Record: uint32(h), Data: list})))
}

func hostCall(c contract.HostCall) int64 {
	h := host()
	if h == nil {
		return int64(contract.ErrnoInternal)
	}
	r, _ := h.Call(c)
	return r
}

func hostLog(level int32, text string) {
	if host() == nil { // while it is configured: the broker logs the standard error
		fmt.Fprintln(os.Stderr, text)
		return
	}
	hostCall(contract.HostCall{Call: contract.CallLog, Arg: int64(level), Data: []byte(text)})
}

// hostPublish checks the record here, so that a bad one is refused at once;
// what only the host can know may come with a later call.
func hostPublish(rec []byte) int32 {
	if r, _, err := contract.Split(rec); err != nil || contract.CheckPublish(r) != nil {
		return int32(contract.ErrnoInvalid)
	}
	return int32(hostCall(contract.HostCall{Call: contract.CallPublish, Data: rec}))
}

func hostResume(token uint64, block []byte) int32 {
	return int32(hostCall(contract.HostCall{Call: contract.CallResume, Seq: token, Data: block}))
}

func hostPut(record int, ttl int64) int32 {
	return int32(hostCall(contract.HostCall{
		Call: contract.CallStorePut, Record: uint32(record), Seq: link.seq, Arg: ttl}))
}

func hostDel(record int) int32 {
	return int32(hostCall(contract.HostCall{Call: contract.CallStoreDel, Record: uint32(record), Seq: link.seq}))
}

func hostDeliver(record int) int32 {
	return int32(hostCall(contract.HostCall{Call: contract.CallStoreDeliver, Record: uint32(record), Seq: link.seq}))
}

func hostCount(filter string) int32 {
	return int32(hostCall(contract.HostCall{Call: contract.CallStoreCount, Seq: link.seq, Data: []byte(filter)}))
}

func hostMetric(id uint32, kind int32, v float64) {
	hostCall(contract.HostCall{
		Call: contract.CallMetricAdd, Record: id, Seq: uint64(kind), Arg: int64(math.Float64bits(v))})
}

func hostMetricNamed(name string, kind int32, v float64) int32 {
	return int32(hostCall(contract.HostCall{
		Call: contract.CallMetricPut, Seq: uint64(kind), Arg: int64(math.Float64bits(v)), Data: []byte(name)}))
}

func hostSchedulePut(record int, topic string, kind int32, ms int64) int64 {
	return hostCall(contract.HostCall{
		Call: contract.CallSchedulePut, Record: uint32(record), Seq: link.seq, Arg: ms, Data: append([]byte{byte(kind)}, topic...)})
}

func hostScheduleCancel(number uint64) int32 {
	return int32(hostCall(contract.HostCall{Call: contract.CallScheduleCancel, Seq: number}))
}

func hostScheduleFind(number uint64) int64 {
	return hostCall(contract.HostCall{Call: contract.CallScheduleFind, Seq: number})
}

func hostScheduleCount() int64 { return hostCall(contract.HostCall{Call: contract.CallScheduleCount}) }

func hostScheduleList(due int64, number uint64) ([]byte, int64) {
	return hostData(contract.HostCall{Call: contract.CallScheduleList, Seq: number, Arg: due})
}
