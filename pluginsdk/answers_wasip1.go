//go:build wasip1

package sdk

import "unsafe"

//go:wasmimport dunlin_timer set
func importTimer(id, ms int32) int32

//go:wasmimport dunlin_http start
func importFetch(id uint64, p unsafe.Pointer, n uint32, ms int32) int32

//go:wasmimport dunlin_hash verify
func importHash(id uint64, p unsafe.Pointer, n uint32, q unsafe.Pointer, m uint32) int32

//go:wasmimport dunlin_cache forget
func importForget(p unsafe.Pointer, n uint32) int32

//go:wasmimport dunlin_session get
func importSession(p unsafe.Pointer, n uint32, buf unsafe.Pointer, size uint32) int32

//go:wasmimport dunlin_session kick
func importKick(p unsafe.Pointer, n uint32) int32

//go:wasmimport dunlin_kv get
func importGet(p unsafe.Pointer, n uint32, buf unsafe.Pointer, size uint32) int32

//go:wasmimport dunlin_kv set
func importSet(p unsafe.Pointer, n uint32, q unsafe.Pointer, m uint32, ttl int64) int32

//go:wasmimport dunlin_kv del
func importDelete(p unsafe.Pointer, n uint32) int32

//go:wasmimport dunlin_kv incr
func importIncrement(p unsafe.Pointer, n uint32, delta int64) int64

//go:wasmimport dunlin_kv cas
func importSwap(p unsafe.Pointer, n uint32, q unsafe.Pointer, m int32, r unsafe.Pointer, o uint32) int32

func text(s string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(s)), uint32(len(s))
}

func data(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}

func hostTimer(id uint32, ms int32) int32 { return importTimer(int32(id), ms) }

func hostFetch(id uint64, request []byte, ms int32) int32 {
	p, n := data(request)
	return importFetch(id, p, n, ms)
}

func hostHash(id uint64, hash string, password []byte) int32 {
	p, n := text(hash)
	q, m := data(password)
	return importHash(id, p, n, q, m)
}

// read calls get with a buffer that is large enough.
func read(key string, get func(p unsafe.Pointer, n uint32, buf unsafe.Pointer, size uint32) int32) ([]byte, int64) {
	p, n := text(key)
	for buf := make([]byte, 512); ; buf = make([]byte, len(buf)*2) {
		q, m := data(buf)
		got := get(p, n, q, m)
		switch {
		case got < 0:
			return nil, int64(got)
		case int(got) <= len(buf):
			return buf[:got], int64(got)
		}
	}
}

func hostForget(prefix string) int32 {
	p, n := text(prefix)
	return importForget(p, n)
}

func hostSession(id string) ([]byte, int64) { return read(id, importSession) }

func hostKick(id string) int32 {
	p, n := text(id)
	return importKick(p, n)
}

func hostGet(key string) ([]byte, int64) { return read(key, importGet) }

func hostSet(key string, value []byte, ms int64) int32 {
	p, n := text(key)
	q, m := data(value)
	return importSet(p, n, q, m, ms)
}

func hostDelete(key string) int32 {
	p, n := text(key)
	return importDelete(p, n)
}

func hostIncrement(key string, delta int64) int64 {
	p, n := text(key)
	return importIncrement(p, n, delta)
}

func hostSwap(key string, old, value []byte) int32 {
	p, n := text(key)
	q, m := data(old)
	size := int32(m)
	if old == nil {
		size = -1
	}
	r, o := data(value)
	return importSwap(p, n, q, size, r, o)
}
