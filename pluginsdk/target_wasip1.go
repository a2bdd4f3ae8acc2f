//go:build wasip1

package sdk

import (
	"unsafe"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Main is for the native target; a WASM reactor is run through its exports.
func Main() {}

var (
	// buffer is what dunlin_buf hands out; kept so that it is not collected. Its
	// element type makes it aligned.
	buffer []uint64
	// reply keeps the bytes of the last result until the next call.
	reply []byte
)

// input is the first n bytes of the buffer.
func input(n uint32) []byte {
	if len(buffer) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&buffer[0])), len(buffer)*8)[:n:n]
}

// result packs the place of b for the host.
func result(b []byte) uint64 {
	reply = b
	if len(b) == 0 {
		return 0
	}
	return contract.Pack(uint32(uintptr(unsafe.Pointer(&b[0]))), uint32(len(b)))
}

func errorText(err error) uint64 {
	if err == nil {
		return 0
	}
	if err.Error() == "" {
		return result([]byte("refused without a reason"))
	}
	return result([]byte(err.Error()))
}

//go:wasmexport dunlin_abi_v1
func exportMarker() uint64 { return uint64(contract.AllFeatures()) }

//go:wasmexport dunlin_hooks
func exportHooks() uint64 { return uint64(plugged.hooks) }

//go:wasmexport dunlin_buf
func exportBuf(size uint32) uint32 {
	if words := (int(size) + 7) / 8; words > len(buffer) {
		buffer = make([]uint64, max(words, 4096/8))
	}
	if len(buffer) == 0 {
		buffer = make([]uint64, 4096/8)
	}
	return uint32(uintptr(unsafe.Pointer(&buffer[0])))
}

//go:wasmexport dunlin_init
func exportInit(n uint32) uint64 { return errorText(plugged.start(input(n))) }

//go:wasmexport dunlin_on
func exportOn(count, n uint32) uint64 { return result(plugged.frame(input(n), int(count))) }

//go:wasmexport dunlin_drain
func exportDrain() uint64 { return result(plugged.saveState()) }

//go:wasmexport dunlin_restore
func exportRestore(n uint32) uint64 { return errorText(plugged.restoreState(input(n))) }

//go:wasmexport dunlin_command
func exportCommand(name, n uint32) uint64 {
	in := input(n)
	if uint64(name) > uint64(len(in)) {
		return 0
	}
	return result(plugged.command(string(in[:name]), in[name:]))
}
