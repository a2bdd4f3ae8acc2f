package conn

import (
	"bytes"
	"testing"
	"unsafe"
)

func TestBuffersFitWithinAFactorOfFour(t *testing.T) {
	for n := 1; n <= 600<<10; n += 1 + n/7 {
		b := newBuffer(n)
		if len(b.b) != 0 || cap(b.b) < n || len(b.p) > max(smallestBuffer, 4*n) {
			t.Fatalf("%d bytes asked, %d given", n, cap(b.b))
		}
		b.free()
	}
}

func TestBufferKeepsWhatIsPending(t *testing.T) {
	b := newBuffer(1)
	var want []byte
	for i := range 5000 {
		p := bytes.Repeat([]byte{byte(i)}, i%700)
		b.write(p)
		want = append(want, p...)
		took := min(len(want), i%650)
		if !bytes.Equal(b.b[:took], want[:took]) {
			t.Fatalf("round %d: bytes changed", i)
		}
		b.b, want = b.b[took:], want[took:]
	}
	if !bytes.Equal(b.b, want) {
		t.Fatal("bytes changed")
	}
	b.free()
	(*buffer)(nil).free()
}

// An idle connection is this and a slot of its loop.
func TestConnIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 144 {
		t.Errorf("Conn has %d bytes", n)
	}
}
