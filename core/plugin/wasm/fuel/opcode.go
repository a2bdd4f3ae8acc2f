package fuel

// Immediates of an instruction: what follows its opcode.
type immediates byte

const (
	immUnknown    immediates = iota // the opcode is refused
	immNone                         // nothing
	immIndex                        // one index
	immIndex2                       // two indices
	immLocal                        // an index of a local, checked
	immGlobal                       // an index of a global, checked
	immMemarg                       // alignment and offset
	immMemory                       // a memory index, which is 0
	immMemory2                      // two of them
	immSegment                      // the index of a data segment
	immSegmentMem                   // the same, then a memory index
	immI32                          // signed numbers
	immI64                          //
	immByte4                        // raw bytes
	immByte8                        //
	immByte16                       //
	immLane                         // one byte
	immMemLane                      // alignment, offset and one byte
	immRefType                      // a reference type
	immSelect                       // a vector of exactly one value type
	immControl                      // handled by name in bodyRewriter
	immKind       immediates = 0x1f // mask of the kind
	immSizeMem    immediates = 0x20 // charged per 64 bytes
	immSizeTable  immediates = 0x40 // charged per 8 elements
	immSizePage   immediates = 0x80 // charged per page
)

// opcode is what the pass knows of one instruction.
type opcode struct {
	imm  immediates
	work uint8
}

// Control instructions.
const (
	opUnreachable, opBlock, opLoop, opIf, opElse = 0x00, 0x02, 0x03, 0x04, 0x05
	opBr, opBrIf, opBrTable, opReturn            = 0x0c, 0x0d, 0x0e, 0x0f
	opCall, opCallIndirect                       = 0x10, 0x11
	opLocalGet, opLocalTee, opGlobalSet          = 0x20, 0x22, 0x24
	opMisc, opSIMD                               = 0xfc, 0xfd
	opI64LtS, opI64Sub, opI64Mul                 = 0x53, 0x7d, 0x7e
	opI64Add, opI64Or                            = 0x7c, 0x84
	opI64ShrU, opI64ExtendI32U                   = 0x88, 0xad
	blockVoid                                    = 0x40
)

// The tables of WASM 2.0: plain opcodes, those behind 0xfc and those behind
// 0xfd. They are built once and never written again.
var (
	plainOps = buildPlain()
	miscOps  = buildMisc()
	simdOps  = buildSIMD()
)

func span(t []opcode, from, to int, o opcode) {
	for i := from; i <= to; i++ {
		t[i] = o
	}
}

func buildPlain() *[256]opcode {
	var t [256]opcode
	span(t[:], 0x00, 0x05, opcode{immControl, 0})
	t[0x01] = opcode{immNone, 0} // nop
	span(t[:], 0x0b, 0x11, opcode{immControl, 0})
	span(t[:], 0x1a, 0x1b, opcode{immNone, 1})
	t[0x1c] = opcode{immSelect, 1}
	span(t[:], 0x20, 0x22, opcode{immLocal, 1})
	span(t[:], 0x23, 0x24, opcode{immGlobal, 2})
	span(t[:], 0x25, 0x26, opcode{immIndex, 4})
	span(t[:], 0x28, 0x3e, opcode{immMemarg, 2})
	t[0x3f] = opcode{immMemory, 2}
	t[0x40] = opcode{immMemory | immSizePage, 16}
	t[0x41] = opcode{immI32, 1}
	t[0x42] = opcode{immI64, 1}
	t[0x43] = opcode{immByte4, 1}
	t[0x44] = opcode{immByte8, 1}
	span(t[:], 0x45, 0xc4, opcode{immNone, 1})
	span(t[:], 0x6d, 0x70, opcode{immNone, 12}) // i32 div, rem
	span(t[:], 0x7f, 0x82, opcode{immNone, 12}) // i64 div, rem
	for _, op := range []int{0x91, 0x95, 0x9f, 0xa3} {
		t[op] = opcode{immNone, 12} // float sqrt, div
	}
	span(t[:], 0xa8, 0xb1, opcode{immNone, 4}) // trunc
	t[0xd0] = opcode{immRefType, 1}
	t[0xd1] = opcode{immNone, 1}
	t[0xd2] = opcode{immIndex, 2}
	return &t
}

func buildMisc() *[18]opcode {
	var t [18]opcode
	span(t[:], 0, 7, opcode{immNone, 4}) // trunc_sat
	t[8] = opcode{immSegmentMem | immSizeMem, 8}
	t[9] = opcode{immSegment, 2}
	t[10] = opcode{immMemory2 | immSizeMem, 8}
	t[11] = opcode{immMemory | immSizeMem, 8}
	t[12] = opcode{immIndex2 | immSizeTable, 8}
	t[13] = opcode{immIndex, 2}
	t[14] = opcode{immIndex2 | immSizeTable, 8}
	t[15] = opcode{immIndex | immSizeTable, 16}
	t[16] = opcode{immIndex, 2}
	t[17] = opcode{immIndex | immSizeTable, 8}
	return &t
}

func buildSIMD() *[256]opcode {
	var t [256]opcode
	span(t[:], 0x00, 0xff, opcode{immNone, 2})
	span(t[:], 0x00, 0x0b, opcode{immMemarg, 3})
	t[0x0c] = opcode{immByte16, 2}
	t[0x0d] = opcode{immByte16, 6} // shuffle
	span(t[:], 0x15, 0x22, opcode{immLane, 2})
	span(t[:], 0x54, 0x5b, opcode{immMemLane, 3})
	span(t[:], 0x5c, 0x5d, opcode{immMemarg, 3})
	for _, op := range []int{0xe3, 0xe7, 0xef, 0xf3} {
		t[op] = opcode{immNone, 16} // sqrt, div
	}
	for _, op := range []int{0x62, 0x6b, 0x6c, 0x6d, 0xcc, 0xd5} {
		t[op] = opcode{immNone, 8} // without a single machine instruction
	}
	for _, op := range []int{
		0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb,
		0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee,
	} {
		t[op] = opcode{} // not assigned
	}
	return &t
}
