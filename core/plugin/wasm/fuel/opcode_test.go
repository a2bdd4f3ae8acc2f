package fuel

import (
	"bytes"
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// rich is a module with one of everything that an instruction can name, and one
// function, () -> (), with a local of type i32.
func rich(code ...byte) []byte {
	body := append([]byte{1, 1, typeI32}, code...)
	return module(
		section(secType, vec([]byte{0x60, 0, 0})...),
		section(secFunction, vec([]byte{0})...),
		section(secTable, vec([]byte{typeFuncref, 0, 1})...),
		section(secMemory, vec([]byte{0, 1})...),
		section(secGlobal, vec([]byte{typeI64, 1, opI64Const, 5, opEnd})...),
		section(secExport, vec([]byte{1, 'f', kindFunc, 0})...),
		section(secElement, vec([]byte{1, 0, 1, 0})...),
		section(secDataCount, 1),
		section(secCode, vec(append(appendU32(nil, uint32(len(body))), body...))...),
		section(secData, vec([]byte{1, 1, 'x'})...),
	)
}

// operands are immediates for an opcode that make it valid in rich.
func operands(o opcode) []byte {
	switch o.imm & immKind {
	case immIndex, immSegment, immLocal, immGlobal, immMemory, immI32, immI64, immLane:
		return []byte{0}
	case immIndex2, immMemarg, immMemory2, immSegmentMem:
		return []byte{0, 0}
	case immMemLane:
		return []byte{0, 0, 0}
	case immByte4:
		return make([]byte, 4)
	case immByte8:
		return make([]byte, 8)
	case immByte16:
		return make([]byte, 16)
	case immRefType:
		return []byte{typeFuncref}
	case immSelect:
		return []byte{1, typeI32}
	}
	return nil
}

// engine compiles modules as the host's does, but for speed.
func engine(t testing.TB) func(code []byte) error {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { _ = r.Close(ctx) })
	return func(code []byte) error {
		m, err := r.CompileModule(ctx, code)
		if err == nil {
			_ = m.Close(ctx)
		}
		return err
	}
}

// The pass knows the opcodes that the engine knows, with the same immediates,
// and no others. In dead code every instruction finds its operands.
func TestOpcodesAreTheEngines(t *testing.T) {
	compile := engine(t)
	check := func(o opcode, op ...byte) {
		t.Helper()
		code := append([]byte{opUnreachable}, op...)
		code = append(append(code, operands(o)...), opUnreachable, opEnd)
		plain := rich(code...)
		_, _, err := Rewrite(plain, Config{})
		if engineErr := compile(plain); (err == nil) != (engineErr == nil) {
			t.Errorf("opcode %x: pass says %v, engine says %v", op, err, engineErr)
		}
		if err == nil {
			if err := compile(rewritten(t, plain)); err != nil {
				t.Errorf("opcode %x, charged: %v", op, err)
			}
		}
	}
	for op := range 256 {
		switch {
		case op == opMisc || op == opSIMD || plainOps[op].imm == immControl:
		default:
			check(plainOps[op], byte(op))
		}
	}
	for sub := range byte(64) {
		o := opcode{}
		if int(sub) < len(miscOps) {
			o = miscOps[sub]
		}
		check(o, opMisc, sub)
	}
	for sub := range 256 {
		if sub < 0x80 {
			check(simdOps[sub], opSIMD, byte(sub))
		} else {
			check(simdOps[sub], opSIMD, byte(sub), 1)
		}
	}
}

// pays is the code of a charge.
func pays(units byte) []byte {
	return []byte{opGlobalGet, 1, opI64Const, units, opI64Sub, opGlobalSet, 1,
		opGlobalGet, 1, opI64Const, 0, opI64LtS, opIf, blockVoid, opUnreachable, opEnd}
}

// enters is the charge at the entry of a function that calls others.
var enters = []byte{opGlobalGet, 1, opI64Const, 1, opI64Sub, opGlobalSet, 1,
	opGlobalGet, 2, opI64Const, 1, opI64Sub, opGlobalSet, 2, opGlobalGet, 2, opGlobalGet, 1, opI64Or,
	opI64Const, 0, opI64LtS, opIf, blockVoid, opUnreachable, opEnd, opBlock, blockVoid}

var leaves = []byte{opGlobalGet, 2, opI64Const, 1, opI64Add, opGlobalSet, 2, opEnd}

// sized is the charge of a bulk instruction whose operand is on the stack.
func sized(local byte, how ...byte) []byte {
	c := append([]byte{opLocalTee, local, opGlobalGet, 1, opLocalGet, local, opI64ExtendI32U, opI64Const}, how...)
	return append(append(c, opI64Sub), pays(1)[2:]...)
}

// What stands where, byte for byte.
func TestGoldenCode(t *testing.T) {
	fill := []byte{opI32Const, 0, opI32Const, 0, opI32Const, 9}
	long := bytes.Repeat([]byte{opGlobalGet, 0, 0x1a}, 30) // weighs 90
	short := bytes.Repeat([]byte{opGlobalGet, 0, 0x1a}, 10)
	for _, c := range []struct {
		name     string
		in, want []byte
	}{
		{"nothing", []byte{opEnd}, join([]byte{0}, pays(1), []byte{opEnd})},
		{"loop", []byte{opLoop, 0x40, opBr, 0, opEnd, opEnd},
			join([]byte{0}, pays(1), []byte{opLoop, 0x40}, pays(1), []byte{opBr, 0, opEnd, opEnd})},
		{"call", []byte{opCall, 0, opEnd}, join([]byte{0}, enters, []byte{opCall, 0, opEnd}, leaves)},
		{"return", []byte{opBlock, 0x40, opReturn, opEnd, opEnd},
			join([]byte{0}, pays(1), []byte{opBlock, 0x40, opBr, 1, opEnd, opEnd})},
		{"fill", append(bytes.Clone(fill), 0xfc, 11, 0, opEnd),
			join([]byte{1, 1, typeI32}, pays(1), fill, sized(0, 6, opI64ShrU), []byte{0xfc, 11, 0, opEnd})},
		{"grow", []byte{opI32Const, 1, 0x40, 0, 0x1a, opEnd},
			join([]byte{1, 1, typeI32}, pays(1), []byte{opI32Const, 1}, sized(0, 0x80, 0x10, opI64Mul), []byte{0x40, 0, 0x1a, opEnd})},
		{"long", append(bytes.Clone(long), opEnd), join([]byte{0}, pays(1), pays(2), long, []byte{opEnd})},
		{"two branches, each short", join([]byte{opI32Const, 0, opIf, 0x40}, short, []byte{opElse}, short, []byte{opEnd, opEnd}),
			join([]byte{0}, pays(1), []byte{opI32Const, 0, opIf, 0x40}, short, []byte{opElse}, short, []byte{opEnd, opEnd})},
		{"a long branch", join([]byte{opI32Const, 0, opIf, 0x40}, long, []byte{opElse}, short, []byte{opEnd, opEnd}),
			join([]byte{0}, pays(1), []byte{opI32Const, 0, opIf, 0x40}, pays(2), long, []byte{opElse}, short, []byte{opEnd, opEnd})},
		{"short, one after the other", join([]byte{opBlock, 0x40}, short, []byte{opI32Const, 0, opBrIf, 0}, short, []byte{opEnd}, short, []byte{opEnd}),
			join([]byte{0}, pays(1), []byte{opBlock, 0x40}, short, []byte{opI32Const, 0, opBrIf, 0}, short, []byte{opEnd}, pays(2), short, []byte{opEnd})},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := rewritten(t, function(c.in...))
			want := section(secCode, vec(append(appendU32(nil, uint32(len(c.want))), c.want...))...)
			at := bytes.Index(out, []byte{secExport})
			if !bytes.HasSuffix(out, want) {
				t.Errorf("got\n%x\nwant at the end\n%x", out[at:], want)
			}
		})
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// Calls nest so deep and no deeper, and coming back makes room again.
func TestDepth(t *testing.T) {
	in := open(t, rewritten(t, read(t, "good.wasm")))
	for range 3 { // fib(20) calls itself some 20 000 times, 20 deep
		in.set(1 << 40)
		if o := call(in, "fib", 20); o.err != "" {
			t.Fatal(o.err)
		}
	}
	for range MaxDepth { // in all far more calls than the depth
		if o := call(in, "pick", 1); o.err != "" {
			t.Fatal(o.err)
		}
	}
	in = open(t, rewritten(t, read(t, "evil.wasm")))
	in.set(1 << 40)
	if o := call(in, "recurse"); o.err == "" {
		t.Error("endless recursion came back")
	}
	if used := 1<<40 - in.left(); used < MaxDepth || used > MaxDepth+2 {
		t.Errorf("it ended after %d calls, not %d", used, MaxDepth)
	}
}
