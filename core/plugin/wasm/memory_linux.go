package wasm

import (
	"math/bits"

	"golang.org/x/sys/unix"
)

// reserve takes n bytes of addresses, of which none is usable yet. It is nil if the
// system refuses, or if addresses are too few to set them aside.
func reserve(n uint64) []byte {
	if n == 0 || bits.UintSize < 64 {
		return nil
	}
	space, err := unix.Mmap(-1, 0, int(n), unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	// One byte of a guest is not worth 2 MB. A kernel that knows no such pages refuses.
	_ = unix.Madvise(space, unix.MADV_NOHUGEPAGE)
	return space
}

// commit makes part of a reservation usable; it reads as zeros. False: the system has
// no memory for it.
func commit(part []byte) bool {
	return unix.Mprotect(part, unix.PROT_READ|unix.PROT_WRITE) == nil
}

// release gives a reservation back.
func release(space []byte) { _ = unix.Munmap(space) } // it is what Mmap returned
