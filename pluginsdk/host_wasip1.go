//go:build wasip1

package sdk

import (
	"unsafe"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// One import a function: those that a plugin does not use are left out of its
// module by the linker, and with them the request for the capability.

//go:wasmimport dunlin_log write
func importLog(level int32, p unsafe.Pointer, n uint32)

//go:wasmimport dunlin_pub publish
func importPublish(p unsafe.Pointer, n uint32) int32

//go:wasmimport dunlin_pending resume
func importResume(token uint64, p unsafe.Pointer, n uint32) int32

//go:wasmimport dunlin_topicstore put
func importPut(record int32, ttl int64) int32

//go:wasmimport dunlin_topicstore del
func importDel(record int32) int32

//go:wasmimport dunlin_topicstore deliver
func importDeliver(record, options int32) int32

//go:wasmimport dunlin_topicstore count
func importCount(p unsafe.Pointer, n uint32) int32

//go:wasmimport dunlin_metric add
func importMetric(id, kind int32, v float64)

//go:wasmimport dunlin_metric put
func importMetricNamed(p unsafe.Pointer, n uint32, kind int32, v float64) int32

func hostLog(level int32, text string) {
	importLog(level, unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

func hostPublish(rec []byte) int32 {
	return importPublish(unsafe.Pointer(unsafe.SliceData(rec)), uint32(len(rec)))
}

func hostResume(token uint64, block []byte) int32 {
	return importResume(token, unsafe.Pointer(unsafe.SliceData(block)), uint32(len(block)))
}

func hostPut(record int, ttl int64) int32 { return importPut(int32(record), ttl) }

func hostDel(record int) int32 { return importDel(int32(record)) }

func hostDeliver(record int) int32 { return importDeliver(int32(record), 0) }

func hostCount(filter string) int32 {
	return importCount(unsafe.Pointer(unsafe.StringData(filter)), uint32(len(filter)))
}

func hostMetric(id uint32, kind int32, v float64) { importMetric(int32(id), kind, v) }

func hostMetricNamed(name string, kind int32, v float64) int32 {
	return importMetricNamed(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), kind, v)
}

func hostRefuse(contract.Hook, []string) error { return ErrDenied }

//go:wasmimport dunlin_want set
func importWant(hook int32, p unsafe.Pointer, n uint32) int32

func hostWant(h contract.Hook, filters []string) error {
	list, err := filterList(filters)
	if err != nil {
		return err
	}
	return errnoOf(importWant(int32(h), unsafe.Pointer(unsafe.SliceData(list)), uint32(len(list))))
}
