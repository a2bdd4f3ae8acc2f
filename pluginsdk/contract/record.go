package contract

import (
	"encoding/binary"
)

// Record is one record of a frame: a view of the frame's bytes. Its methods
// never fail; what is not there reads as zero, absent or empty.
type Record struct{ b []byte }

// Split takes the first record off a frame.
func Split(frame []byte) (r Record, rest []byte, err error) {
	if len(frame) < HeaderSize {
		return Record{}, nil, errNoRecord
	}
	n := uint64(binary.LittleEndian.Uint32(frame))
	slots := uint64(binary.LittleEndian.Uint16(frame[6:]))
	if n > uint64(len(frame)) || n%Align != 0 || n < HeaderSize+slots*SlotSize {
		return Record{}, nil, errRecord
	}
	return Record{frame[:n:n]}, frame[n:], nil
}

// Check validates a frame of n records wholly: lengths, slot offsets, and
// nothing left over.
func Check(frame []byte, n int) error {
	for i := range n {
		r, rest, err := Split(frame)
		if err != nil {
			return fault("record ", i, ": ", err)
		}
		if err := r.Check(); err != nil {
			return fault("record ", i, ": ", err)
		}
		frame = rest
	}
	if len(frame) != 0 {
		return fault(ErrFrame, ": ", len(frame), " bytes after record ", n)
	}
	return nil
}

// Check tells whether all slots lie inside the record.
func (r Record) Check() error {
	for s := range r.NumSlots() {
		off, n := r.entry(s)
		if off == 0 && n == 0 {
			continue
		}
		if _, ok := slotBytes(r.b, r.head(), off, n); !ok {
			return fault(ErrFrame, ": slot ", s, " at ", off, ", ", n, " bytes, in a record of ", len(r.b))
		}
	}
	return nil
}

// Raw is the whole record.
func (r Record) Raw() []byte { return r.b }

// Hook is the record's hook.
func (r Record) Hook() Hook { return Hook(r.u16(4)) }

// NumSlots is how many slots the record's table has.
func (r Record) NumSlots() int { return int(r.u16(6)) }

// Conn is the connection the record is about; 0: none.
func (r Record) Conn() uint64 { return r.u64(8) }

// Time is when it happened, Unix nanoseconds.
func (r Record) Time() uint64 { return r.u64(16) }

// Flags are the record's flags.
func (r Record) Flags() Flags { return Flags(r.u32(24)) }

// Aux is the record's number whose meaning depends on the hook.
func (r Record) Aux() uint32 { return r.u32(28) }

// Header is the record's fixed part.
func (r Record) Header() Header {
	return Header{Hook: r.Hook(), Conn: r.Conn(), Time: r.Time(), Flags: r.Flags(), Aux: r.Aux()}
}

// Slot returns the slot's bytes, a view of the frame; nil when absent.
func (r Record) Slot(s Slot) []byte {
	b, _ := r.Lookup(s)
	return b
}

// Lookup returns the slot's bytes and whether it is present.
func (r Record) Lookup(s Slot) ([]byte, bool) {
	if len(r.b) < HeaderSize {
		return nil, false
	}
	slots := int(binary.LittleEndian.Uint16(r.b[6:]))
	at := HeaderSize + int(s)*SlotSize
	if int(s) >= slots || at+SlotSize > len(r.b) {
		return nil, false
	}
	entry := r.b[at : at+SlotSize]
	off, n := binary.LittleEndian.Uint32(entry), binary.LittleEndian.Uint32(entry[4:])
	return slotBytes(r.b, uint64(HeaderSize+slots*SlotSize), off, n)
}

// Uint32 reads a slot of four bytes; ok is false when it is absent.
func (r Record) Uint32(s Slot) (v uint32, ok bool) {
	if b := r.Slot(s); len(b) == 4 {
		return binary.LittleEndian.Uint32(b), true
	}
	return 0, false
}

// Uint64 reads a slot of eight bytes; ok is false when it is absent.
func (r Record) Uint64(s Slot) (v uint64, ok bool) {
	if b := r.Slot(s); len(b) == 8 {
		return binary.LittleEndian.Uint64(b), true
	}
	return 0, false
}

// head is where the record's bytes begin.
func (r Record) head() uint64 { return HeaderSize + uint64(r.NumSlots())*SlotSize }

func (r Record) entry(s int) (off, n uint32) {
	at := HeaderSize + s*SlotSize
	return r.u32(at), r.u32(at + 4)
}

func (r Record) u16(at int) uint16 {
	if at+2 > len(r.b) {
		return 0
	}
	return binary.LittleEndian.Uint16(r.b[at:])
}

func (r Record) u32(at int) uint32 {
	if at+4 > len(r.b) {
		return 0
	}
	return binary.LittleEndian.Uint32(r.b[at:])
}

func (r Record) u64(at int) uint64 {
	if at+8 > len(r.b) {
		return 0
	}
	return binary.LittleEndian.Uint64(r.b[at:])
}

// slotBytes is the slot coding that records and extensions share: an offset
// from the start of b, behind the table that ends at head; offset 0 is absent.
func slotBytes(b []byte, head uint64, off, n uint32) ([]byte, bool) {
	end := uint64(off) + uint64(n)
	if off == 0 || uint64(off) < head || end > uint64(len(b)) {
		return nil, false
	}
	return b[off:end:end], true
}
