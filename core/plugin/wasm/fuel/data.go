package fuel

import (
	"cmp"
	"math"
	"slices"
)

// maxGap is how many zero bytes may be written into a module to make one data segment
// of two. Linkers leave zeros out; the engine keeps some 120 bytes for each segment, of
// which a Go module has 30,000.
const maxGap = 64

// segment is an active data segment at a constant place of the memory.
type segment struct {
	at   uint64
	data []byte
}

func (s *segment) end() uint64 { return s.at + uint64(len(s.data)) }

// dataSection joins data segments that lie side by side, unless an instruction names
// one by its index, the memory comes from another module, one is not active at a
// constant place, or two write to the same place and their order matters. What the
// memory holds afterwards is the same.
func (m *rewriter) dataSection(s *reader) []byte {
	at, n := s.pos, s.count(2)
	if m.dataCount >= 0 && n != m.dataCount {
		s.failf(at, "%d data segments announced, %d there", m.dataCount, n)
	}
	m.dataCount = -1
	join := !m.body.segments && !m.imports(kindMemory)
	all := make([]segment, 0, n)
	for ; n > 0; n-- {
		at, flag := s.pos, s.u32()
		if flag > 2 {
			s.failf(at, "data segment of kind %d", flag)
		}
		if flag == 2 {
			s.u32() // memory
		}
		seg := segment{}
		if flag != 1 {
			var constant bool
			seg.at, constant = m.place(s)
			join = join && constant
		}
		join = join && flag == 0
		seg.data = s.bytes(s.count(1))
		all = append(all, seg)
	}
	slices.SortStableFunc(all, func(a, b segment) int { return cmp.Compare(a.at, b.at) })
	for i := 1; join && i < len(all); i++ {
		join = all[i].at >= all[i-1].end()
	}
	if !join {
		return s.b
	}
	return joined(all, len(s.b))
}

// place reads where a data segment goes, if that is a constant.
func (m *rewriter) place(s *reader) (at uint64, constant bool) {
	start := s.pos
	m.constExpr(s)
	if s.b[start] != opI32Const {
		return 0, false
	}
	number := reader{b: s.b[start+1 : s.pos]}
	v := number.signed(5)
	return uint64(uint32(v)), v >= math.MinInt32 && v <= math.MaxInt32 // else the engine refuses it
}

// joined encodes segments, none of which writes where another does, with as few as
// there can be for up to room bytes of zeros between them.
func joined(all []segment, room int) []byte {
	var body []byte
	count := 0
	for i := 0; i < len(all); count++ {
		first, end := i, all[i].end()
		for i++; i < len(all); i++ {
			gap := all[i].at - end
			if gap > maxGap || int(gap) > room {
				break
			}
			room -= int(gap)
			end = all[i].end()
		}
		at := all[first].at
		body = append(appendS64(append(body, 0, opI32Const), int64(int32(at))), opEnd)
		body = appendU32(body, uint32(end-at))
		for _, seg := range all[first:i] {
			body = append(body, make([]byte, seg.at-at)...)
			body = append(body, seg.data...)
			at = seg.end()
		}
	}
	return append(appendU32(nil, uint32(count)), body...)
}
