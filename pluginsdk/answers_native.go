//go:build !wasip1

package sdk

import "github.com/dunlinmq/dunlin/pluginsdk/contract"

// hostData is a call whose reply has bytes.
func hostData(c contract.HostCall) ([]byte, int64) {
	h := host()
	if h == nil {
		return nil, int64(contract.ErrnoInternal)
	}
	n, data := h.Call(c)
	return data, n
}

func hostTimer(id uint32, ms int32) int32 {
	return int32(hostCall(contract.HostCall{Call: contract.CallTimerSet, Record: id, Arg: int64(ms)}))
}

func hostFetch(id uint64, request []byte, ms int32) int32 {
	return int32(hostCall(contract.HostCall{Call: contract.CallHTTPStart, Seq: id, Arg: int64(ms), Data: request}))
}

func hostHash(id uint64, hash string, password []byte) int32 {
	return int32(hostCall(contract.HostCall{Call: contract.CallHashVerify, Seq: id, Record: uint32(len(hash)), Data: append([]byte(hash), password...)}))
}

func hostForget(prefix string) int32 {
	return int32(hostCall(contract.HostCall{Call: contract.CallCacheForget, Data: []byte(prefix)}))
}

func hostSession(id string) ([]byte, int64) {
	return hostData(contract.HostCall{Call: contract.CallSessionGet, Data: []byte(id)})
}

func hostKick(id string) int32 {
	return int32(hostCall(contract.HostCall{Call: contract.CallSessionKick, Data: []byte(id)}))
}

func hostGet(key string) ([]byte, int64) {
	return hostData(contract.HostCall{Call: contract.CallKVGet, Data: []byte(key)})
}

func hostSet(key string, value []byte, ms int64) int32 {
	return int32(hostCall(contract.HostCall{Call: contract.CallKVSet, Record: uint32(len(key)), Arg: ms, Data: append([]byte(key), value...)}))
}

func hostDelete(key string) int32 {
	return int32(hostCall(contract.HostCall{Call: contract.CallKVDel, Data: []byte(key)}))
}

func hostIncrement(key string, delta int64) int64 {
	return hostCall(contract.HostCall{Call: contract.CallKVIncr, Arg: delta, Data: []byte(key)})
}

func hostSwap(key string, old, value []byte) int32 {
	c := contract.HostCall{Call: contract.CallKVCas, Record: uint32(len(key)), Arg: int64(len(old))}
	if old == nil {
		c.Arg = -1
	}
	c.Data = append(append([]byte(key), old...), value...)
	return int32(hostCall(c))
}
