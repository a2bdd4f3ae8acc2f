package fuel

// frame is one open block of a function.
type frame struct {
	op    byte // opBlock, opLoop, opIf, opElse
	arity int  // values that a branch to it carries
	// owed is the most work that a branch to the block's end has not paid for.
	owed int
	// elseOwed is what is owed when the condition of an if is false.
	elseOwed int
}

// bodyRewriter rewrites function bodies, one at a time. It walks the
// instructions once, keeping in owed an upper bound of the work on any path to
// this point that no charge has covered. Instructions are collected in
// stretches that are entered only at their start; when a stretch would lift
// owed above UnitWork, a charge for both goes in front of it.
type bodyRewriter struct {
	charges  int  // over all functions
	segments bool // an instruction names a data segment

	m       *rewriter
	f       reader
	code    []byte // output, reused; the head is added at the end
	frames  []frame
	start   int // of the stretch that is not in code yet
	work    int // of that stretch
	owed    int
	locals  uint32 // parameters and locals; also the index of the scratch local
	scratch bool   // the scratch local is in use
	calls   bool   // the function calls others
	out     []byte // output of function, reused
}

// function rewrites one body (locals and instructions). The result is valid
// until the next call.
func (b *bodyRewriter) function(m *rewriter, f reader, t functype) []byte {
	b.m, b.f = m, f
	b.code, b.frames, b.scratch, b.calls = b.code[:0], b.frames[:0], false, false
	groups, head := b.declarations(t)
	b.frames = append(b.frames, frame{op: opBlock, arity: t.results})
	b.start, b.work, b.owed = b.f.pos, 0, 0
	for len(b.frames) > 0 {
		b.instruction()
	}
	b.f.end("function body")
	if b.scratch {
		groups++
	}
	b.out = appendU32(b.out[:0], uint32(groups))
	b.out = append(b.out, head...)
	if b.scratch {
		b.out = append(b.out, 1, typeI32)
	}
	b.charges++
	units := 1 + int(b.locals)/UnitWork
	if !b.calls {
		b.out = b.settle(appendU32(append(b.out, opGlobalGet), b.m.globals), units, false)
		return append(b.out, b.code...)
	}
	// The body becomes a block, whose end all ways out lead to: there the depth
	// goes up again. A trap leaves it down, and nobody calls a trapped guest.
	depth := b.m.globals + 1
	b.out = b.settle(appendU32(append(b.out, opGlobalGet), b.m.globals), units, true)
	b.out = append(append(b.out, opBlock), t.block...)
	b.out = append(b.out, b.code...)
	b.out = appendU32(append(b.out, opGlobalGet), depth)
	b.out = append(b.out, opI64Const, 1, opI64Add, opGlobalSet)
	return append(appendU32(b.out, depth), opEnd)
}

// declarations reads the declarations of locals and returns them.
func (b *bodyRewriter) declarations(t functype) (groups int, head []byte) {
	groups = b.f.count(2)
	start, sum := b.f.pos, uint64(t.params)
	for i := 0; i < groups; i++ {
		at := b.f.pos
		sum += uint64(b.f.u32())
		if sum > maxLocals {
			b.f.failf(at, "more than %d locals", maxLocals)
		}
		b.f.valtype()
	}
	b.locals = uint32(sum)
	return groups, b.f.b[start:b.f.pos]
}

func (b *bodyRewriter) instruction() {
	at := b.f.pos
	op := b.f.byte()
	var o opcode
	switch op {
	case opMisc:
		// One byte only: encodings with padding could be read differently elsewhere.
		if sub := b.f.byte(); int(sub) < len(miscOps) {
			o = miscOps[sub]
		}
	case opSIMD:
		sub := b.f.byte()
		if o = simdOps[sub]; sub >= 0x80 && b.f.byte() != 1 {
			o = opcode{}
		}
	default:
		o = plainOps[op]
	}
	if o.imm == immControl {
		b.control(op)
		return
	}
	b.immediates(at, o)
	if o.imm&^immKind != 0 {
		b.bulk(at, o)
	}
	b.work += int(o.work)
}

// immediates steps over what follows an opcode.
func (b *bodyRewriter) immediates(at int, o opcode) {
	f := &b.f
	switch o.imm & immKind {
	case immNone:
	case immIndex:
		f.u32()
	case immIndex2, immMemarg:
		f.u32()
		f.u32()
	case immLocal:
		if i := f.u32(); i >= b.locals {
			f.failf(at, "local %d of %d", i, b.locals)
		}
	case immGlobal:
		if i := f.u32(); i >= b.m.globals {
			f.failf(at, "global %d of %d", i, b.m.globals)
		}
	case immMemory:
		f.zero()
	case immMemory2:
		f.zero()
		f.zero()
	case immSegment:
		f.u32()
		b.segments = true
	case immSegmentMem:
		f.u32()
		f.zero()
		b.segments = true
	case immI32:
		f.signed(5)
	case immI64:
		f.signed(10)
	case immByte4:
		f.bytes(4)
	case immByte8:
		f.bytes(8)
	case immByte16:
		f.bytes(16)
	case immLane:
		f.byte()
	case immMemLane:
		f.u32()
		f.u32()
		f.byte()
	case immRefType:
		f.reftype()
	case immSelect:
		if n := f.u32(); n != 1 {
			f.failf(at, "select of %d types", n)
		}
		f.valtype()
	default:
		f.failf(at, "unknown opcode %#x", f.b[at:f.pos])
	}
}

// bulk puts the charge of an instruction that works by its last operand before
// it. The operand stays on the stack and is kept in the scratch local for a
// moment.
func (b *bodyRewriter) bulk(at int, o opcode) {
	end := b.f.pos
	b.f.pos = at
	b.flush()
	b.f.pos = end
	b.scratch = true
	c := appendU32(append(b.code, opLocalTee), b.locals)
	c = appendU32(append(c, opGlobalGet), b.m.globals)
	c = appendU32(append(c, opLocalGet), b.locals)
	c = append(c, opI64ExtendI32U, opI64Const)
	switch o.imm &^ immKind {
	case immSizeMem:
		c = append(c, bytesShift, opI64ShrU)
	case immSizeTable:
		c = append(c, elemsShift, opI64ShrU)
	default:
		c = append(appendS64(c, pageUnits), opI64Mul)
	}
	b.code = append(c, opI64Sub)
	b.pay(1)
	b.owed = 0
}

// charge takes units from the counter, and traps below zero.
func (b *bodyRewriter) charge(units int) {
	b.code = appendU32(append(b.code, opGlobalGet), b.m.globals)
	b.pay(units)
}

// pay takes units from the value on the stack, which becomes the counter.
func (b *bodyRewriter) pay(units int) {
	b.code = b.settle(b.code, units, false)
	b.charges++
}

// settle appends what takes units from the value on the stack, makes it the
// counter and traps below zero; with deeper, the depth goes down by one and
// traps as well.
func (b *bodyRewriter) settle(c []byte, units int, deeper bool) []byte {
	g := b.m.globals
	c = appendS64(append(c, opI64Const), int64(units))
	c = appendU32(append(c, opI64Sub, opGlobalSet), g)
	if deeper {
		c = appendU32(append(c, opGlobalGet), g+1)
		c = append(c, opI64Const, 1, opI64Sub, opGlobalSet)
		c = appendU32(append(appendU32(c, g+1), opGlobalGet), g+1)
	}
	c = appendU32(append(c, opGlobalGet), g)
	if deeper {
		c = append(c, opI64Or)
	}
	return append(c, opI64Const, 0, opI64LtS, opIf, blockVoid, opUnreachable, opEnd)
}

// flush writes the stretch that ends here, behind a charge if it is due.
func (b *bodyRewriter) flush() {
	b.owed += b.work
	if b.owed > UnitWork {
		b.charge((b.owed + UnitWork - 1) / UnitWork)
		b.owed = 0
	}
	b.code = append(b.code, b.f.b[b.start:b.f.pos]...)
	b.start, b.work = b.f.pos, 0
}
