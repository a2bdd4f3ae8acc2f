package fuel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// section is one section of a hand-made module.
func section(id byte, content ...byte) []byte {
	return append(appendU32([]byte{id}, uint32(len(content))), content...)
}

func vec(items ...[]byte) []byte {
	return append(appendU32(nil, uint32(len(items))), bytes.Join(items, nil)...)
}

func module(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Join(sections, nil)...)
}

// function is a module with one function () -> () exported as "f", one mutable
// i64 global, one table and one memory.
func function(code ...byte) []byte {
	body := append([]byte{0}, code...)
	return module(
		section(secType, vec([]byte{0x60, 0, 0})...),
		section(secFunction, vec([]byte{0})...),
		section(secTable, vec([]byte{typeFuncref, 0, 1})...),
		section(secMemory, vec([]byte{0, 1})...),
		section(secGlobal, vec([]byte{typeI64, 1, opI64Const, 5, opEnd})...),
		section(secExport, vec([]byte{1, 'f', kindFunc, 0})...),
		section(secCode, vec(append(appendU32(nil, uint32(len(body))), body...))...),
	)
}

// A guest cannot name the counter or the depth, which get the indices behind
// its own globals.
func TestForgedFuel(t *testing.T) {
	for name, code := range map[string][]byte{
		"global.get of the counter":  function(opGlobalGet, 1, 0x1a, opEnd),
		"global.set of the counter":  function(opI64Const, 0, opGlobalSet, 1, opEnd),
		"global.set of the depth":    function(opI64Const, 0, opGlobalSet, 2, opEnd),
		"padded index":               function(opI64Const, 0, opGlobalSet, 0x81, 0x80, 0x00, opEnd),
		"index of 5 bytes":           function(opI64Const, 0, opGlobalSet, 0x81, 0x80, 0x80, 0x80, 0x10, opEnd),
		"in dead code":               function(opUnreachable, opI64Const, 0, opGlobalSet, 1, opEnd),
		"initial value of a global":  module(section(secGlobal, vec([]byte{typeI64, 0, opGlobalGet, 0, opEnd})...)),
		"offset of a data segment":   module(section(secMemory, vec([]byte{0, 1})...), section(secData, vec([]byte{0, opGlobalGet, 0, opEnd, 0})...)),
		"offset of an element":       module(section(secTable, vec([]byte{typeFuncref, 0, 1})...), section(secElement, vec([]byte{0, opGlobalGet, 1, opEnd, 0})...)),
		"element that is a constant": module(section(secElement, vec([]byte{5, typeFuncref, 1, opGlobalGet, 0, opEnd})...)),
		"export of the counter":      module(section(secGlobal, vec([]byte{typeI64, 1, opI64Const, 0, opEnd})...), section(secExport, vec([]byte{1, 'g', kindGlobal, 1})...)),
		"export of its name":         module(section(secExport, vec([]byte("\x06__fuel\x00\x00"))...)),
		"twice the global section": module(section(secGlobal, vec([]byte{typeI64, 1, opI64Const, 0, opEnd})...),
			section(secGlobal, vec([]byte{typeI64, 1, opI64Const, 0, opEnd})...)),
		"global section at the end": module(section(secCode, vec()...), section(secGlobal, vec([]byte{typeI64, 1, opI64Const, 0, opEnd})...)),
	} {
		if out, _, err := Rewrite(code, Config{}); err == nil {
			t.Errorf("%s was let through: %x", name, out)
		}
	}
}

// What could be read in two ways is refused: opcodes that are not known, and
// known ones in another encoding.
func TestUnknownOpcodes(t *testing.T) {
	for name, code := range map[string][]byte{
		"legacy try":              {0x06, 0x40, opEnd, opEnd},
		"throw":                   {0x08, 0, opEnd},
		"tail call":               {0x12, 0, opEnd},
		"try_table":               {0x1f, 0x40, 0, opEnd, opEnd},
		"call_ref":                {0x14, 0, opEnd},
		"ref.as_non_null":         {0xd4, opEnd},
		"atomic":                  {0xfe, 0, opEnd},
		"garbage collection":      {0xfb, 0, opEnd},
		"misc 18":                 {0xfc, 18, opEnd},
		"misc, padded":            {0xfc, 0x8b, 0x00, 0, opEnd},
		"SIMD, padded":            {0xfd, 0x8c, 0x00, opEnd},
		"SIMD 0x9a":               {0xfd, 0x9a, 0x01, opEnd},
		"relaxed SIMD":            {0xfd, 0x80, 0x02, opEnd},
		"memory 1":                {0x3f, 1, 0x1a, opEnd},
		"memory 0, padded":        {0x3f, 0x80, 0x00, 0x1a, opEnd},
		"memory.fill of memory 1": {0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 11, 1, opEnd},
		"select of two types":     {0x1c, 2, typeI32, typeI32, opEnd},
		"ref.null of a type":      {0xd0, 0, 0x1a, opEnd},
		"else without if":         {opElse, opEnd},
		"else of a block":         {opBlock, 0x40, opElse, opEnd, opEnd},
		"two elses":               {0x41, 0, opIf, 0x40, opElse, opElse, opEnd, opEnd},
		"label too far":           {opBr, 1, opEnd},
		"block type 9":            {opBlock, 9, opEnd, opEnd},
		"block type v128ish":      {opBlock, 0x7a, opEnd, opEnd},
		"block type, padded":      {opBlock, 0xc0, 0x7f, opEnd, opEnd},
		"local 0 of 0":            {opLocalGet, 0, 0x1a, opEnd},
		"call of function 1":      {opCall, 1, opEnd},
		"no end":                  {0x01},
		"code behind the end":     {opEnd, 0x01},
		"two ends":                {opEnd, opEnd},
	} {
		_, _, err := Rewrite(function(code...), Config{})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s was let through", name)
		} else if e.Offset < 8 || !strings.Contains(e.Error(), "offset 0x") {
			t.Errorf("%s: %v", name, e)
		}
	}
}

// Small modules that make an engine allocate much, or that lie about lengths.
func TestBombs(t *testing.T) {
	many := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	with := func(id byte, content ...[]byte) []byte { return module(section(id, bytes.Join(content, nil)...)) }
	typed := section(secType, vec([]byte{0x60, 0, 0})...)
	for name, code := range map[string][]byte{
		"types":          with(secType, many),
		"parameters":     with(secType, []byte{1, 0x60}, many),
		"1001 results":   with(secType, []byte{1, 0x60, 0}, appendU32(nil, 1001), bytes.Repeat([]byte{typeI32}, 1001)),
		"functions":      module(typed, section(secFunction, many...)),
		"tables":         with(secTable, many),
		"table elements": with(secTable, []byte{1, typeFuncref, 0}, many),
		"memory flags":   with(secMemory, []byte{1, 3, 1, 1}),
		"elements":       with(secElement, []byte{1, 1, 0}, many),
		"data":           with(secData, []byte{1, 1}, many),
		"section length": append(module(), append([]byte{secType}, many...)...),
		"name":           with(secImport, []byte{1}, many),
		"locals": module(typed, section(secFunction, 1, 0),
			section(secCode, append([]byte{1, 8, 1}, append(many, typeI64, opEnd)...)...)),
		"many locals": module(typed, section(secFunction, 1, 0),
			section(secCode, 1, 10, 2, 0x80, 0xf1, 0x04, typeI64, 0x80, 0xf1, 0x04, typeI64, opEnd)),
		"no bodies":      module(typed, section(secFunction, 1, 0)),
		"section 13":     with(13, []byte{0}),
		"section 99":     with(99),
		"rest":           with(secStart, []byte{0, 0}),
		"out of order":   module(section(secFunction, 0), section(secType, 0)),
		"table init":     with(secTable, []byte{1, 0x40, 0, typeFuncref, 0, 1, 0xd0, typeFuncref, opEnd}),
		"typed ref":      with(secType, []byte{1, 0x60, 1, 0x63, 0x70, 0}),
		"struct":         with(secType, []byte{1, 0x5f, 0, 0}),
		"extended const": with(secGlobal, []byte{1, typeI32, 0, opI32Const, 1, opI32Const, 1, 0x6a, opEnd}),
		"component":      []byte("\x00asm\x0d\x00\x01\x00"),
		"nothing":        nil,
	} {
		if _, _, err := Rewrite(code, Config{}); err == nil {
			t.Errorf("%s was let through", name)
		}
	}
}

// Every truncation and many damaged forms of real modules are refused or valid,
// and never more.
func TestTruncations(t *testing.T) {
	for _, name := range []string{"good.wasm", "evil.wasm"} {
		code := read(t, name)
		for i := range code {
			_, _, err := Rewrite(code[:i], Config{})
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Offset > i) {
				t.Fatalf("cut at %d: %v", i, err)
			}
		}
	}
}

// Code without loops and calls is paid for by its length, in whatever blocks it
// is cut: a unit buys at most UnitWork of it.
func TestLongPathsAreCharged(t *testing.T) {
	const nops = 6400
	work := bytes.Repeat([]byte{opGlobalGet, 0, 0x1a}, nops) // weighs 3
	var cut []byte                                           // in blocks shorter than a unit's work, each with a way out
	for range nops / 16 {
		cut = append(cut, opBlock, 0x40)
		cut = append(cut, work[:3*16]...)
		cut = append(cut, opI32Const, 0, opBrIf, 0, opEnd)
	}
	var dodge []byte // branches over the places where charges would stand in a count of bytes
	for range nops / 16 {
		dodge = append(dodge, opBlock, 0x40)
		dodge = append(dodge, work[:3*16]...)
		dodge = append(dodge, opBr, 0)
		dodge = append(dodge, work[:3*40]...) // dead
		dodge = append(dodge, opEnd)
	}
	for name, code := range map[string][]byte{"straight": work, "cut": cut, "dodge": dodge} {
		in := open(t, rewritten(t, function(append(bytes.Clone(code), opEnd)...)))
		in.set(1 << 40)
		if o := call(in, "f"); o.err != "" {
			t.Fatal(o.err)
		}
		if used := 1<<40 - in.left(); used < 3*nops/UnitWork || used > 3*3*nops/UnitWork+2 {
			t.Errorf("%s: %d instructions cost %d", name, 2*nops, used)
		}
	}
}

// An endless loop around much code ends as soon as one around little.
func TestLongLoopStops(t *testing.T) {
	code := append([]byte{opLoop, 0x40}, bytes.Repeat([]byte{opGlobalGet, 0, 0x1a}, 100_000)...)
	in := open(t, rewritten(t, function(append(code, opBr, 0, opEnd, opEnd)...)))
	in.set(1_000_000)
	start := time.Now()
	if o := call(in, "f"); o.err == "" || time.Since(start) > 10*time.Second {
		t.Errorf("%q after %v", o.err, time.Since(start))
	}
	t.Logf("stopped after %v", time.Since(start))
}

// A table may not grow beyond what the host allows, whatever the module says.
func TestTableMaximum(t *testing.T) {
	grow := []byte{0xd0, typeFuncref, opI32Const, 0x80, 0x80, 0x80, 0x01, 0xfc, 15, 0, opI32Const, 0x7f, 0x47, opIf, 0x40, opUnreachable, opEnd, opEnd}
	in := open(t, rewritten(t, function(grow...))) // traps unless table.grow of 2 Mi says -1
	in.set(1 << 40)
	if o := call(in, "f"); o.err != "" {
		t.Error(o.err)
	}
}

// FuzzRewrite: nothing makes the pass panic, and what it lets through the engine
// takes if and only if it took the original.
func FuzzRewrite(f *testing.F) {
	f.Add(read(f, "good.wasm"))
	f.Add(read(f, "evil.wasm"))
	f.Add(function(opEnd))
	ctx := context.Background()
	cfg := wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2).WithMemoryLimitPages(64)
	r := wazero.NewRuntimeWithConfig(ctx, cfg)
	valid := func(code []byte) error {
		m, err := r.CompileModule(ctx, code)
		if err == nil {
			_ = m.Close(ctx)
		}
		return err
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		out, info, err := Rewrite(code, Config{Start: 7})
		if err != nil {
			return
		}
		if len(out) > 64*len(code)+1024 || info == nil {
			t.Fatalf("%d bytes became %d", len(code), len(out))
		}
		before, after := valid(code), valid(out)
		if before != nil && after == nil && !strings.Contains(before.Error(), "name") {
			t.Fatalf("invalid before (%v) and valid after", before)
		}
		if before == nil && after != nil {
			t.Fatalf("valid before and invalid after: %v", after)
		}
	})
}

func TestNumbers(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, 1 << 31, -1 << 31, 1<<63 - 1, -1 << 63} {
		r := reader{b: appendS64(nil, v)}
		if got := r.signed(10); got != v || r.more() {
			t.Errorf("%d was read as %d", v, got)
		}
	}
	for _, v := range []uint32{0, 127, 128, 1<<32 - 1} {
		r := reader{b: appendU32(nil, v)}
		if got := r.u32(); got != v || r.more() {
			t.Errorf("%d was read as %d", v, got)
		}
		std := binary.AppendUvarint(nil, uint64(v))
		if !bytes.Equal(std, appendU32(nil, v)) {
			t.Errorf("%d is written as %x", v, appendU32(nil, v))
		}
	}
}
