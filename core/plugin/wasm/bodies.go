package wasm

import (
	"reflect"
	"unsafe"

	"github.com/tetratelabs/wazero"
)

// dropBodies lets go of the bytes of a module's functions, which the engine keeps for
// ever and reads no more once it has compiled them: 2 MB of each plugin in Go. It has
// no function for this, so its fields are looked up by name and type, and nothing
// happens if they are not as expected. It tells how many bytes that were.
func dropBodies(compiled wazero.CompiledModule) (bytes int) {
	v := reflect.ValueOf(compiled)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return 0
	}
	module := v.Elem().FieldByName("module")
	if module.Kind() != reflect.Pointer || module.IsNil() || module.Elem().Kind() != reflect.Struct {
		return 0
	}
	functions := module.Elem().FieldByName("CodeSection")
	if functions.Kind() != reflect.Slice || functions.Type().Elem().Kind() != reflect.Struct {
		return 0
	}
	for i := range functions.Len() {
		body := functions.Index(i).FieldByName("Body")
		if !body.IsValid() || body.Type() != reflect.TypeFor[[]byte]() || !body.CanAddr() {
			return bytes
		}
		bytes += body.Len()
		*(*[]byte)(unsafe.Pointer(body.UnsafeAddr())) = nil
	}
	return bytes
}
