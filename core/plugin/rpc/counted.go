package rpc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// capabilities are the words under which host calls are counted, by call.
var capabilities = [...]string{
	contract.CallLog: "log", contract.CallPublish: "publish", contract.CallPublishKept: "publish", contract.CallPublishOnce: "publish",
	contract.CallStorePut: "topicstore", contract.CallStoreDel: "topicstore", contract.CallStoreDeliver: "topicstore", contract.CallStoreCount: "topicstore",
	contract.CallMetricAdd: "metric", contract.CallMetricPut: "metric",
	contract.CallKVGet: "kv", contract.CallKVSet: "kv", contract.CallKVDel: "kv", contract.CallKVIncr: "kv", contract.CallKVCas: "kv",
	contract.CallTimerSet: "timer", contract.CallResume: "pending", contract.CallHTTPStart: "http", contract.CallHashVerify: "hash",
	contract.CallSessionGet: "session", contract.CallSessionKick: "session", contract.CallCacheForget: "cache", contract.CallWant: "want", contract.CallRefuse: "want",
	contract.CallSchedulePut: "schedule", contract.CallScheduleCancel: "schedule", contract.CallScheduleList: "schedule", contract.CallScheduleCount: "schedule",
	contract.CallScheduleFind: "schedule",
}

// hostCounts are the host calls of all processes of an instance, by call.
type hostCounts [len(capabilities)]atomic.Uint64

// count counts one call. A call that the broker does not know is none.
func (h *hostCounts) count(c contract.Call) {
	if uint64(c) < uint64(len(h)) {
		h[c].Add(1)
	}
}

// list are the counts by capability; nil: there was no call.
func (h *hostCounts) list() map[string]uint64 {
	var list map[string]uint64
	for c := range h {
		n := h[c].Load()
		if n == 0 || capabilities[c] == "" {
			continue
		}
		if list == nil {
			list = map[string]uint64{}
		}
		list[capabilities[c]] += n
	}
	return list
}

// tick is the unit of times in /proc, which is the same on all Linux systems.
const tick = time.Second / 100

// cpuTime is what a process has used of the processors, where the system tells.
func cpuTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return cpuOf(string(text))
}

// cpuOf is the time in user and system mode that a line of /proc/PID/stat tells. The
// name, in parentheses, may hold anything.
func cpuOf(line string) time.Duration {
	const user = 14 - 3 // fields count from 1, and the third is the first behind the name
	f := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(f) <= user+1 {
		return 0
	}
	u, _ := strconv.ParseUint(f[user], 10, 63)
	s, _ := strconv.ParseUint(f[user+1], 10, 63)
	return time.Duration(u+s) * tick
}
