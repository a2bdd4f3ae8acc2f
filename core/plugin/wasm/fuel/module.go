package fuel

import "slices"

// Section ids in the order that WASM 2.0 asks for (data count before code).
const (
	secCustom, secType, secImport, secFunction   = 0, 1, 2, 3
	secTable, secMemory, secGlobal, secExport    = 4, 5, 6, 7
	secStart, secElement, secCode, secData       = 8, 9, 10, 11
	secDataCount                                 = 12
	kindFunc, kindTable, kindMemory, kindGlobal  = 0, 1, 2, 3
	opI32Const, opI64Const, opF32Const           = 0x41, 0x42, 0x43
	opF64Const, opGlobalGet, opEnd, opPrefixSIMD = 0x44, 0x23, 0x0b, 0xfd
	opRefNull, opRefFunc                         = 0xd0, 0xd2
)

// rank is the place of each section; a module has each at most once, in order.
var rank = [13]int{
	secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secGlobal: 6,
	secExport: 7, secStart: 8, secElement: 9, secDataCount: 10, secCode: 11, secData: 12,
}

// functype is what the pass needs of a function type.
type functype struct {
	params, results int
	// block is the encoded type of a block that has these results and no
	// parameters.
	block []byte
}

// rewriter is one rewrite, used once by one goroutine.
type rewriter struct {
	r    reader
	cfg  Config
	info *Info
	out  []byte

	types       []functype
	importFuncs []uint32 // type of each imported function
	funcs       []uint32 // type of each defined function
	globals     uint32   // imported and defined: the counter's index; the depth is the next
	globalDone  bool     // the counter is in out
	exportDone  bool
	dataCount   int // data segments that were announced; -1: none were, or they have come

	body bodyRewriter
}

func (m *rewriter) module() {
	m.r.header()
	m.out = append(make([]byte, 0, len(m.r.b)+len(m.r.b)/4+64), m.r.b[:8]...)
	last := 0
	for m.r.more() {
		at := m.r.pos
		id := m.r.byte()
		s := m.r.sub(int(m.r.u32()))
		if id == secCustom {
			s.name()
			continue
		}
		if int(id) >= len(rank) {
			m.r.failf(at, "unknown section %d", id)
		}
		if rank[id] <= last {
			m.r.failf(at, "section %d is out of order or there twice", id)
		}
		last = rank[id]
		m.insertBefore(id)
		m.section(id, s)
	}
	m.insertBefore(0)
	if n := len(m.funcs); n != m.info.Functions {
		m.r.failf(m.r.pos, "%d functions declared, %d defined", n, m.info.Functions)
	}
	if m.dataCount > 0 {
		m.r.failf(m.r.pos, "%d data segments announced, none there", m.dataCount)
	}
}

// insertBefore writes a global and an export section if the module has none and
// section id (0: the end) comes behind their place.
func (m *rewriter) insertBefore(id byte) {
	place := len(rank)
	if id != 0 {
		place = rank[id]
	}
	if !m.globalDone && place > rank[secGlobal] {
		m.emit(secGlobal, m.counter([]byte{2}))
		m.globalDone = true
	}
	if !m.exportDone && place > rank[secExport] {
		m.emit(secExport, m.counterExport([]byte{1}))
		m.exportDone = true
	}
}

func (m *rewriter) section(id byte, s reader) {
	content := s.b
	switch id {
	case secType:
		content = m.typeSection(&s)
	case secImport:
		m.importSection(&s)
	case secFunction:
		m.functionSection(&s)
	case secTable:
		content = m.tableSection(&s)
	case secMemory:
		for n := s.count(2); n > 0; n-- {
			s.limits()
		}
	case secGlobal:
		content = m.globalSection(&s)
	case secExport:
		content = m.exportSection(&s)
	case secStart:
		s.u32()
	case secDataCount:
		m.dataCount = int(s.u32())
		s.end("section")
		return // codeSection writes it if it is needed
	case secElement:
		for n := s.count(2); n > 0; n-- {
			m.element(&s)
		}
	case secCode:
		content = m.codeSection(&s)
	case secData:
		content = m.dataSection(&s)
	}
	s.end("section")
	m.emit(id, content)
}

func (m *rewriter) emit(id byte, content []byte) {
	m.out = append(m.out, id)
	m.out = appendU32(m.out, uint32(len(content)))
	m.out = append(m.out, content...)
}

// typeSection adds to each type of several results one that a block in a
// function of this type can have.
func (m *rewriter) typeSection(s *reader) []byte {
	n := s.count(3)
	start := s.pos
	m.types = make([]functype, 0, n)
	var more []byte // types for blocks of several results
	blocks := 0
	for i := 0; i < n; i++ {
		if c := s.byte(); c != 0x60 {
			s.failf(s.pos-1, "type of form %#x, not a function", c)
		}
		t := functype{params: m.values(s)}
		at := s.pos
		switch t.results = m.values(s); t.results {
		case 0:
			t.block = []byte{blockVoid}
		case 1:
			t.block = s.b[s.pos-1 : s.pos]
		default:
			t.block = appendS64(nil, int64(n+blocks))
			more = append(append(more, 0x60, 0), s.b[at:s.pos]...)
			blocks++
		}
		m.types = append(m.types, t)
	}
	out := appendU32(nil, uint32(n+blocks))
	return append(append(out, s.b[start:s.pos]...), more...)
}

func (m *rewriter) values(s *reader) int {
	at, n := s.pos, s.count(1)
	if n > maxValues {
		s.failf(at, "%d values, at most %d", n, maxValues)
	}
	for i := 0; i < n; i++ {
		s.valtype()
	}
	return n
}

func (m *rewriter) typeIndex(s *reader) uint32 {
	at, i := s.pos, s.u32()
	if i >= uint32(len(m.types)) {
		s.failf(at, "type %d of %d", i, len(m.types))
	}
	return i
}

func (m *rewriter) importSection(s *reader) {
	for n := s.count(4); n > 0; n-- {
		im := Import{Module: s.name(), Name: s.name(), Kind: s.byte()}
		switch im.Kind {
		case kindFunc:
			m.importFuncs = append(m.importFuncs, m.typeIndex(s))
		case kindTable:
			s.reftype()
			s.limits()
		case kindMemory:
			s.limits()
		case kindGlobal:
			s.valtype()
			m.mutability(s)
			m.globals++
		default:
			s.failf(s.pos-1, "import of unknown kind %d", im.Kind)
		}
		m.info.Imports = append(m.info.Imports, im)
	}
}

// imports tells whether the module imports something of this kind.
func (m *rewriter) imports(kind byte) bool {
	return slices.ContainsFunc(m.info.Imports, func(i Import) bool { return i.Kind == kind })
}

func (m *rewriter) mutability(s *reader) {
	if c := s.byte(); c > 1 {
		s.failf(s.pos-1, "mutability %d", c)
	}
}

func (m *rewriter) functionSection(s *reader) {
	n := s.count(1)
	m.funcs = make([]uint32, 0, n)
	for ; n > 0; n-- {
		m.funcs = append(m.funcs, m.typeIndex(s))
	}
}

// tableSection copies the tables with a maximum that bounds what a guest can
// make the host allocate: an element costs eight bytes and a grow nothing.
func (m *rewriter) tableSection(s *reader) []byte {
	n := s.count(3)
	out := appendU32(nil, uint32(n))
	for ; n > 0; n-- {
		out = append(out, s.reftype(), 1)
		at := s.pos
		low, high, bounded := s.limits()
		if low > m.cfg.TableElems {
			s.failf(at, "table of %d elements, at most %d", low, m.cfg.TableElems)
		}
		if bounded && high < low {
			s.failf(at, "table of %d to %d elements", low, high)
		}
		if !bounded || high > m.cfg.TableElems {
			high = m.cfg.TableElems
		}
		out = appendU32(appendU32(out, low), high)
	}
	return out
}

func (m *rewriter) globalSection(s *reader) []byte {
	n := s.count(4)
	start := s.pos
	for i := 0; i < n; i++ {
		s.valtype()
		m.mutability(s)
		m.constExpr(s) // may name only globals before this one
		m.globals++
	}
	out := appendU32(nil, uint32(n)+2)
	m.globalDone = true
	return m.counter(append(out, s.b[start:s.pos]...))
}

// counter appends the definitions of the counter and of the depth that is left.
func (m *rewriter) counter(b []byte) []byte {
	b = append(b, typeI64, 1, opI64Const)
	b = append(appendS64(b, m.cfg.Start), opEnd, typeI64, 1, opI64Const)
	return append(appendS64(b, MaxDepth), opEnd)
}

func (m *rewriter) exportSection(s *reader) []byte {
	n := s.count(3)
	start := s.pos
	for i := 0; i < n; i++ {
		at := s.pos
		ex := Export{Name: s.name(), Kind: s.byte(), Index: s.u32()}
		switch {
		case ex.Name == Global:
			s.failf(at, "the module exports %q itself", Global)
		case ex.Kind > kindGlobal:
			s.failf(at, "export of unknown kind %d", ex.Kind)
		case ex.Kind == kindGlobal && ex.Index >= m.globals:
			s.failf(at, "export of global %d of %d", ex.Index, m.globals)
		}
		m.info.Exports = append(m.info.Exports, ex)
	}
	out := appendU32(nil, uint32(n)+1)
	m.exportDone = true
	return m.counterExport(append(out, s.b[start:s.pos]...))
}

func (m *rewriter) counterExport(b []byte) []byte {
	b = append(appendU32(b, uint32(len(Global))), Global...)
	return appendU32(append(b, kindGlobal), m.globals)
}

// constExpr reads a constant expression: one instruction and the end.
func (m *rewriter) constExpr(s *reader) {
	at := s.pos
	switch op := s.byte(); op {
	case opI32Const:
		s.signed(5)
	case opI64Const:
		s.signed(10)
	case opF32Const:
		s.bytes(4)
	case opF64Const:
		s.bytes(8)
	case opGlobalGet:
		if i := s.u32(); i >= m.globals {
			s.failf(at, "global %d of %d", i, m.globals)
		}
	case opRefNull:
		s.reftype()
	case opRefFunc:
		s.u32()
	case opPrefixSIMD:
		if c := s.byte(); c != 0x0c {
			s.failf(at, "vector instruction %#x in a constant", c)
		}
		s.bytes(16)
	default:
		s.failf(at, "opcode %#x in a constant", op)
	}
	if c := s.byte(); c != opEnd {
		s.failf(s.pos-1, "constant of more than one instruction")
	}
}

// element reads one element segment in any of its eight forms.
func (m *rewriter) element(s *reader) {
	at, flag := s.pos, s.u32()
	if flag > 7 {
		s.failf(at, "element segment of kind %d", flag)
	}
	passive, explicit, exprs := flag&1 != 0, flag&2 != 0, flag&4 != 0
	if !passive {
		if explicit {
			s.u32() // table
		}
		m.constExpr(s)
	}
	switch {
	case !passive && !explicit:
	case exprs:
		s.reftype()
	default:
		s.zero() // element kind: functions
	}
	for n := s.count(1); n > 0; n-- {
		if exprs {
			m.constExpr(s)
		} else {
			s.u32()
		}
	}
}

func (m *rewriter) codeSection(s *reader) []byte {
	at, n := s.pos, s.count(2)
	if n != len(m.funcs) {
		s.failf(at, "%d functions declared, %d defined", len(m.funcs), n)
	}
	out := make([]byte, 0, len(s.b)+len(s.b)/8+32)
	out = appendU32(out, uint32(n))
	for i := 0; i < n; i++ {
		f := s.sub(int(s.u32()))
		fn := m.body.function(m, f, m.types[m.funcs[i]])
		out = append(appendU32(out, uint32(len(fn))), fn...)
	}
	m.info.Functions, m.info.Charges = n, m.body.charges
	if m.body.segments && m.dataCount >= 0 { // only what names segments needs their number
		m.emit(secDataCount, appendU32(nil, uint32(m.dataCount)))
	}
	return out
}
