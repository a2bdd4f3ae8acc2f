// A guest in Go on the bare contract, for tests and measurements: it denies
// what is under "deny/" and counts its records.
package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"unsafe"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

var (
	buf     []byte
	w       contract.VerdictWriter
	out     []byte
	denied  = []byte("deny/")
	garbage [][]byte
)

func main() {}

//go:wasmexport dunlin_abi_v1
func abi() uint64 { return 0 }

//go:wasmexport dunlin_buf
func buffer(n uint32) uint32 {
	words := make([]uint64, (n+7)/8)
	buf = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n)
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(buf))))
}

func pack(b []byte) uint64 {
	return contract.Pack(uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), uint32(len(b)))
}

//go:wasmexport dunlin_init
func configure(n uint32) uint64 {
	var msg contract.InitMessage
	if err := json.Unmarshal(buf[:n], &msg); err != nil {
		out = []byte(err.Error())
		return pack(out)
	}
	if strings.Contains(string(msg.Config), "nothing") {
		out = []byte("nothing is configured")
		return pack(out)
	}
	return 0
}

//go:wasmexport dunlin_on
func on(count, n uint32) uint64 {
	w.Reset(out, int(count))
	rest := buf[:n]
	for i := 0; i < int(count); i++ {
		var r contract.Record
		var err error
		if r, rest, err = contract.Split(rest); err != nil {
			panic(err)
		}
		switch topic := r.Slot(contract.SlotTopic); {
		case bytes.HasPrefix(topic, denied):
			w.Set(i, contract.Deny, 0x87)
		case string(topic) == "panic":
			panic("the topic says so")
		case string(topic) == "exit":
			os.Exit(7)
		case string(topic) == "garbage":
			for range 1000 {
				garbage = append(garbage, make([]byte, 1<<10))
			}
			garbage = nil
		case string(topic) == "hoard":
			for {
				garbage = append(garbage, make([]byte, 1<<20))
			}
		case string(topic) == "wait":
			<-make(chan int)
		default:
			w.Set(i, contract.Allow, 0)
		}
	}
	out = w.Block()
	return pack(out)
}
