package conn

import (
	"math/bits"
	"sync"
)

// Buffers that connections hold for a while come in classes of 512 bytes times
// powers of four, so that what a connection keeps is at most four times what it
// needs. Larger ones are made to measure and left to the collector.
const (
	smallestBuffer = 512
	bufferClasses  = 6 // up to 512 KiB
)

var bufferPools [bufferClasses]sync.Pool

// buffer is a byte slice that outlives a turn.
type buffer struct {
	b []byte // what is pending
	p []byte // the whole storage; b shares it
}

// bufferClass is the class of buffers that hold n bytes; bufferClasses: none.
func bufferClass(n int) int {
	if n <= smallestBuffer {
		return 0
	}
	return min((bits.Len(uint((n-1)/smallestBuffer))+1)/2, bufferClasses)
}

// newBuffer returns an empty buffer with room for n bytes.
func newBuffer(n int) *buffer {
	class := bufferClass(n)
	if class == bufferClasses {
		p := make([]byte, n)
		return &buffer{b: p[:0], p: p}
	}
	if f, ok := bufferPools[class].Get().(*buffer); ok {
		f.b = f.p[:0]
		return f
	}
	p := make([]byte, smallestBuffer<<(2*class))
	return &buffer{b: p[:0], p: p}
}

// free gives the buffer back; nil is fine.
func (f *buffer) free() {
	if f == nil {
		return
	}
	f.b = nil
	if class := bufferClass(len(f.p)); class < bufferClasses {
		bufferPools[class].Put(f)
	}
}

// grow makes room for n bytes more, moving what is pending to the front of its
// storage or to a larger one.
func (f *buffer) grow(n int) {
	if cap(f.b)-len(f.b) >= n {
		return
	}
	need := len(f.b) + n
	if need <= len(f.p) && len(f.b) <= len(f.p)/2 {
		f.b = f.p[:copy(f.p, f.b)]
		return
	}
	g := newBuffer(max(need, min(2*len(f.p), need+maxSlack)))
	g.b = append(g.b, f.b...)
	f.b, g.b = g.b, nil
	f.p, g.p = g.p, f.p
	g.free()
}

// maxSlack bounds how much more than asked a growing buffer takes.
const maxSlack = 4 << 20

// write appends p.
func (f *buffer) write(p []byte) {
	f.grow(len(p))
	f.b = append(f.b, p...)
}
