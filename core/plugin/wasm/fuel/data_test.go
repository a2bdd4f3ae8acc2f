package fuel

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// withData is a module of one page with these segments, whose function "f" has this
// code; announced: the number of segments that the module says it has, -1: it does not.
func withData(announced int, code []byte, segments ...[]byte) []byte {
	body := append([]byte{0}, code...)
	sections := [][]byte{
		section(secType, vec([]byte{0x60, 0, 0})...), section(secFunction, vec([]byte{0})...),
		section(secMemory, vec([]byte{0, 1})...), section(secExport, vec([]byte{1, 'm', kindMemory, 0}, []byte{1, 'f', kindFunc, 0})...),
	}
	if announced >= 0 {
		sections = append(sections, section(secDataCount, appendU32(nil, uint32(announced))...))
	}
	sections = append(sections, section(secCode, vec(append(appendU32(nil, uint32(len(body))), body...))...))
	return module(append(sections, section(secData, vec(segments...)...))...)
}

// at is an active data segment.
func at(offset int, data string) []byte {
	b := append(appendS64([]byte{0, opI32Const}, int64(int32(offset))), opEnd)
	return append(appendU32(b, uint32(len(data))), data...)
}

// memory is what a module's memory holds when it is made, or why it cannot be made.
func memory(t *testing.T, r wazero.Runtime, code []byte) (content []byte, err error) {
	t.Helper()
	ctx := context.Background()
	c, err := r.CompileModule(ctx, code)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close(ctx) }()
	mod, err := r.InstantiateModule(ctx, c, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return nil, err
	}
	defer func() { _ = mod.Close(ctx) }()
	b, _ := mod.Memory().Read(0, mod.Memory().Size())
	return bytes.Clone(b), nil
}

// number is how many data segments a module has.
func number(t *testing.T, code []byte) int {
	t.Helper()
	r := reader{b: code}
	r.header()
	for r.more() {
		id := r.byte()
		s := r.sub(int(r.u32()))
		if id == secData {
			return int(s.u32())
		}
	}
	t.Fatal("no data section")
	return 0
}

func TestDataSegmentsAreJoined(t *testing.T) {
	far := strings.Repeat("x", 200)
	drop := []byte{opMisc, 9, 0, opEnd}
	initialise := []byte{opI32Const, 0, opI32Const, 0, opI32Const, 1, opMisc, 8, 0, 0, opEnd}
	r := wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigInterpreter())
	defer func() { _ = r.Close(context.Background()) }()
	for _, c := range []struct {
		name string
		code []byte
		want int
	}{
		{"none", withData(-1, []byte{opEnd}), 0},
		{"adjacent", withData(-1, []byte{opEnd}, at(8, "abc"), at(11, "d"), at(12, "")), 1},
		{"announced", withData(2, []byte{opEnd}, at(8, "abc"), at(11, "d")), 1},
		{"a small gap", withData(-1, []byte{opEnd}, at(8, far), at(212, "d")), 1},
		{"a large gap", withData(-1, []byte{opEnd}, at(8, far), at(208+maxGap+1, "d")), 2},
		{"more zeros than there is", withData(-1, []byte{opEnd}, at(0, "a"), at(60, "b"), at(120, "c")), 3},
		{"overlapping", withData(-1, []byte{opEnd}, at(8, far), at(10, "dd"), at(12, "e")), 3},
		{"a gap that was written", withData(-1, []byte{opEnd}, at(0, far), at(10, "dd"), at(14, "e")), 3},
		{"backwards", withData(-1, []byte{opEnd}, at(11, "d"), at(8, "abc")), 1},
		{"nothing twice in one place", withData(-1, []byte{opEnd}, at(11, ""), at(8, "abc"), at(11, ""), at(11, "d")), 1},
		{"at the end of the memory", withData(-1, []byte{opEnd}, at(65534, "a"), at(65535, "b"), at(65536, "")), 1},
		{"beyond the memory", withData(-1, []byte{opEnd}, at(65534, "a"), at(65535, "bc")), 1},
		{"nothing beyond the memory", withData(-1, []byte{opEnd}, at(65535, "a"), at(65540, "")), 1},
		{"at 4 GiB", withData(-1, []byte{opEnd}, at(-2, "a"), at(-1, "bc")), 1},
		{"dropped by index", withData(2, drop, at(8, "abc"), at(11, "d")), 2},
		{"used by index", withData(2, initialise, at(8, "abc"), at(11, "d")), 2},
		{"passive", withData(-1, []byte{opEnd}, at(8, "abc"), []byte{1, 1, 'p'}, at(11, "d")), 3},
		{"of a named memory", withData(-1, []byte{opEnd}, at(8, "abc"), []byte{2, 0, opI32Const, 11, opEnd, 1, 'd'}), 2},
	} {
		out := rewritten(t, c.code)
		if n := number(t, out); n != c.want {
			t.Errorf("%s: %d segments, want %d", c.name, n, c.want)
		}
		a, errA := memory(t, r, c.code)
		b, errB := memory(t, r, out)
		if (errA == nil) != (errB == nil) || !bytes.Equal(a, b) {
			t.Errorf("%s: the memory is another one (%v, %v)", c.name, errA, errB)
		}
	}
}

// Whatever the segments are, the memory starts as it did.
func TestJoinedMemoryIsTheSame(t *testing.T) {
	r := wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigInterpreter())
	defer func() { _ = r.Close(context.Background()) }()
	rnd := rand.New(rand.NewPCG(1, 2))
	joinedAny := false
	for range 300 {
		var segments [][]byte
		place := rnd.IntN(100)
		for range rnd.IntN(30) {
			data := make([]byte, rnd.IntN(60))
			for i := range data {
				data[i] = byte(1 + rnd.IntN(255))
			}
			segments = append(segments, at(place, string(data)))
			place = max(0, place+len(data)+[]int{0, 0, 1, 9, maxGap, maxGap + 1, -5, -200}[rnd.IntN(8)])
		}
		code := withData(-1, []byte{opEnd}, segments...)
		out := rewritten(t, code)
		joinedAny = joinedAny || number(t, out) < len(segments)
		a, errA := memory(t, r, code)
		b, errB := memory(t, r, out)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Fatalf("%x: the memory is another one (%v, %v)", code, errA, errB)
		}
	}
	if !joinedAny {
		t.Error("nothing was joined")
	}
}

func TestDataCountIsChecked(t *testing.T) {
	for name, code := range map[string][]byte{
		"too many": withData(3, []byte{opEnd}, at(8, "abc"), at(11, "d")),
		"too few":  withData(1, []byte{opEnd}, at(8, "abc"), at(11, "d")),
		"no data":  module(section(secDataCount, 1)),
	} {
		if _, _, err := Rewrite(code, Config{}); err == nil || !strings.Contains(err.Error(), "data segments announced") {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}
