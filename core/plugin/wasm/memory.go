package wasm

import "github.com/tetratelabs/wazero/experimental"

// memory is the linear memory of one guest. It lies outside of Go's heap where the
// system lets it: the limit's worth of addresses is reserved at once and pages are made
// usable as the guest grows, so that growth moves and copies nothing, what is not
// touched is not resident, and the collector neither counts it nor paces itself by it.
// It goes back to the system when the guest is closed. Elsewhere, and if the system
// refuses the reservation, it is a slice that is copied as it grows.
//
// It is used by the guest's goroutine only. No view of it may outlive the guest: a read
// of one ends the process.
type memory struct {
	limit uint64 // bytes
	space []byte // the reservation; nil: none
	size  uint64 // bytes of space that are usable
	heap  []byte // instead of space
}

// Allocate implements [experimental.MemoryAllocator]. A module has one memory at most.
func (m *memory) Allocate(_, limit uint64) experimental.LinearMemory {
	m.limit = limit
	m.space = reserve(limit) // nil: it cannot be had
	return m
}

// Reallocate implements [experimental.LinearMemory]; nil: there is no more.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		return nil
	}
	if m.space != nil && size > m.size {
		if commit(m.space[m.size:size]) {
			m.size = size
		} else if m.size > 0 {
			return nil
		} else { // the engine takes no refusal of a first page
			release(m.space)
			m.space = nil
		}
	}
	if m.space == nil {
		m.heap = append(m.heap, make([]byte, size-uint64(len(m.heap)))...)
		return m.heap
	}
	return m.space[:size:size]
}

// Free implements [experimental.LinearMemory]; it may be called again.
func (m *memory) Free() {
	if m.space != nil {
		release(m.space)
	}
	m.space, m.heap, m.size, m.limit = nil, nil, 0, 0
}
