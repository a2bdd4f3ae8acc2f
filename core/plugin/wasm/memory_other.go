//go:build !linux

package wasm

// reserve has no reservation to give: guests live in Go's heap here.
func reserve(uint64) []byte { return nil }

// commit is for reservations.
func commit([]byte) bool { return false }

// release is for reservations.
func release([]byte) {}
