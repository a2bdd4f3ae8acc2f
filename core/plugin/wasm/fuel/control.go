package fuel

// control handles the instructions at which paths part or meet. Each ends the
// stretch before it.
func (b *bodyRewriter) control(op byte) {
	switch op {
	case opBlock, opLoop, opIf:
		b.open(op)
	case opElse:
		b.otherwise()
	case opEnd:
		b.close()
	case opBr, opBrIf:
		b.branch(op)
	case opBrTable:
		b.table()
	case opCall, opCallIndirect:
		b.call(op)
	case opReturn:
		b.leave()
	case opUnreachable:
		b.work++
		b.flush()
		b.owed = 0 // nothing comes here
	}
}

// leave rewrites a return into a branch to the function's outermost block, so
// that all ways out meet at its end.
func (b *bodyRewriter) leave() {
	b.work += 1 + b.frames[0].arity
	b.flush()
	b.code[len(b.code)-1] = opBr // in place of the return
	b.code = appendU32(b.code, uint32(len(b.frames)-1))
	b.arrive(&b.frames[0])
	b.owed = 0 // nothing comes here
}

// open enters a block. Only the head of a loop is a place where paths meet, and
// it is always charged: that pays for what the way round still owes.
func (b *bodyRewriter) open(op byte) {
	at := b.f.pos
	if len(b.frames) >= maxDepth {
		b.f.failf(at, "blocks nested deeper than %d", maxDepth)
	}
	t := b.blocktype()
	fr := frame{op: op, arity: t.results}
	switch op {
	case opLoop:
		fr.arity = t.params
		b.flush()
		b.charge(1 + t.params/UnitWork)
		b.owed = 0
	case opIf:
		b.work++
		b.flush()
		fr.elseOwed = b.owed
	}
	b.frames = append(b.frames, fr)
}

func (b *bodyRewriter) blocktype() functype {
	at := b.f.pos
	v := b.f.signed(5)
	switch {
	case v >= 0 && v < int64(len(b.m.types)):
		return b.m.types[v]
	case v == -0x40 && b.f.pos == at+1:
		return functype{}
	case v < 0 && b.f.pos == at+1:
		b.f.pos = at
		b.f.valtype()
		return functype{results: 1}
	}
	b.f.failf(at, "unknown block type %d", v)
	return functype{}
}

func (b *bodyRewriter) otherwise() {
	b.flush()
	fr := &b.frames[len(b.frames)-1]
	if fr.op != opIf {
		b.f.failf(b.f.pos-1, "else outside an if")
	}
	fr.op = opElse
	fr.owed = max(fr.owed, b.owed)
	b.owed = fr.elseOwed
}

func (b *bodyRewriter) close() {
	b.flush()
	fr := b.frames[len(b.frames)-1]
	b.frames = b.frames[:len(b.frames)-1]
	switch fr.op {
	case opIf: // without else
		b.owed = max(b.owed, fr.owed, fr.elseOwed)
	case opBlock, opElse:
		b.owed = max(b.owed, fr.owed)
	}
}

// label reads a label and returns its frame.
func (b *bodyRewriter) label() *frame {
	at, depth := b.f.pos, b.f.u32()
	if uint64(depth) >= uint64(len(b.frames)) {
		b.f.failf(at, "label %d of %d", depth, len(b.frames))
	}
	return &b.frames[len(b.frames)-1-int(depth)]
}

// arrive notes at a label what a branch to it owes.
func (b *bodyRewriter) arrive(fr *frame) {
	if fr.op != opLoop {
		fr.owed = max(fr.owed, b.owed)
	}
}

func (b *bodyRewriter) branch(op byte) {
	fr := b.label()
	b.work += 1 + fr.arity
	b.flush()
	b.arrive(fr)
	if op == opBr {
		b.owed = 0 // nothing comes here
	}
}

func (b *bodyRewriter) table() {
	n := b.f.count(1)
	first := b.f.pos
	for i := 0; i <= n; i++ {
		if fr := b.label(); i == n {
			b.work += 4 + fr.arity
		}
	}
	end := b.f.pos
	b.flush()
	b.f.pos = first
	for i := 0; i <= n; i++ {
		b.arrive(b.label())
	}
	b.f.pos = end
	b.owed = 0 // nothing comes here
}

func (b *bodyRewriter) call(op byte) {
	at := b.f.pos
	b.calls = true
	var t uint32
	if op == opCallIndirect {
		t = b.m.typeIndex(&b.f)
		b.f.u32() // table
		b.work += 4
	} else {
		t = b.callee(at)
	}
	ft := b.m.types[t]
	b.work += 4 + ft.params + ft.results
}

// callee reads the index of a function and returns its type.
func (b *bodyRewriter) callee(at int) uint32 {
	i := uint64(b.f.u32())
	imported := uint64(len(b.m.importFuncs))
	switch {
	case i < imported:
		return b.m.importFuncs[i]
	case i-imported < uint64(len(b.m.funcs)):
		return b.m.funcs[i-imported]
	}
	b.f.failf(at, "function %d of %d", i, imported+uint64(len(b.m.funcs)))
	return 0
}
