//go:build wasip1

package sdk

import "unsafe"

//go:wasmimport dunlin_schedule put
func importSchedulePut(record int32, p unsafe.Pointer, n uint32, kind int32, ms int64) int64

//go:wasmimport dunlin_schedule cancel
func importScheduleCancel(number uint64) int32

//go:wasmimport dunlin_schedule list
func importScheduleList(due int64, number uint64, buf unsafe.Pointer, size uint32) int32

//go:wasmimport dunlin_schedule count
func importScheduleCount() int64

//go:wasmimport dunlin_schedule find
func importScheduleFind(number uint64) int64

func hostScheduleFind(number uint64) int64 { return importScheduleFind(number) }

func hostSchedulePut(record int, topic string, kind int32, ms int64) int64 {
	p, n := text(topic)
	return importSchedulePut(int32(record), p, n, kind, ms)
}

func hostScheduleCancel(number uint64) int32 { return importScheduleCancel(number) }

func hostScheduleCount() int64 { return importScheduleCount() }

func hostScheduleList(due int64, number uint64) ([]byte, int64) {
	return read("", func(_ unsafe.Pointer, _ uint32, buf unsafe.Pointer, size uint32) int32 {
		return importScheduleList(due, number, buf, size)
	})
}
