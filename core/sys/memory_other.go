//go:build !linux

package sys

// MemoryUsed is what the Go runtime holds, in bytes.
func MemoryUsed() int64 { return runtimeMemory() }

// MemoryTotal is the memory that the process may use; 0: unknown, so that only
// levels in bytes have a meaning.
func MemoryTotal() int64 { return 0 }
