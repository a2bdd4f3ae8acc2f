package contract

import (
	"encoding/binary"
	"errors"
)

// Sizes of the frame layout, in bytes.
const (
	HeaderSize = 32 // of a record
	SlotSize   = 8  // of one entry of a record's slot table
	Align      = 8  // records, verdict entries and extensions start at multiples
)

// Limits that hosts keep.
const (
	MaxRecords     = 512       // records in one frame to a process
	MaxRecordsWASM = 64        // records in one frame to a WASM guest
	MaxFrameBytes  = 256 << 10 // a frame with more than one record stays below
	MaxSlots       = 32        // slots of one record
	MaxOpenFrames  = 1024      // CALL and OBSERVE frames without an answer, to one process
)

// What both ends of a stream to a process make room for, in bytes: frames are to
// arrive without waiting for window updates, and leave in few writes. A plugin that
// chooses otherwise is slower and nothing else.
const (
	StreamWindow = 8 * MaxFrameBytes
	StreamBuffer = MaxFrameBytes / 2
)

// ErrFrame is what every error about the bytes of a frame is.
var ErrFrame = errors.New("bad frame")

// frameError is a fault of a frame in words.
type frameError string

func (e frameError) Error() string { return "bad frame: " + string(e) }

// Is makes every frameError an ErrFrame.
func (e frameError) Is(target error) bool { return target == ErrFrame }

const (
	errNoRecord = frameError("too short for a record")
	errRecord   = frameError("a record's length does not fit its slots or the frame")
)

// Header is the fixed part of a record.
type Header struct {
	Hook  Hook
	Conn  uint64 // the connection, unique in the broker's process; 0: none
	Time  uint64 // when it happened, Unix nanoseconds
	Flags Flags
	Aux   uint32 // meaning by hook, see the slot constants
}

// Writer appends records to a frame. It allocates only when its buffer has to
// grow. The zero Writer is ready and owned by one goroutine.
type Writer struct {
	// Fields drops the slots that nobody asked for: what is put into a slot
	// outside the mask is not copied. 0 means all.
	Fields SlotMask

	buf   []byte
	start int // of the open record
	slots int // of the open record
	n     int
}

// Reset starts a new frame in buf's memory (nil: the writer's own).
func (w *Writer) Reset(buf []byte) {
	if buf == nil {
		buf = w.buf
	}
	w.buf, w.n, w.start, w.slots = buf[:0], 0, 0, 0
}

// Begin opens a record with all slots of its hook absent. It must be closed
// with End before the next one.
func (w *Writer) Begin(h Header) { w.BeginShort(h, h.Hook.NumSlots()) }

// BeginShort is Begin for a record of which only the first slots will be used; the
// others need no room then.
func (w *Writer) BeginShort(h Header, slots int) {
	w.start = len(w.buf)
	w.slots = min(slots, h.Hook.NumSlots())
	w.buf = append(w.buf, blank[:HeaderSize+w.slots*SlotSize]...)
	head := w.buf[w.start : w.start+HeaderSize]
	binary.LittleEndian.PutUint16(head[4:], uint16(h.Hook))
	binary.LittleEndian.PutUint16(head[6:], uint16(w.slots))
	binary.LittleEndian.PutUint64(head[8:], h.Conn)
	binary.LittleEndian.PutUint64(head[16:], h.Time)
	binary.LittleEndian.PutUint32(head[24:], uint32(h.Flags))
	binary.LittleEndian.PutUint32(head[28:], h.Aux)
}

// blank is an empty head with an empty slot table, to be copied; never written.
var blank [HeaderSize + MaxSlots*SlotSize]byte

// Wants tells whether slot s would be copied, for callers that have to compute
// the value.
func (w *Writer) Wants(s Slot) bool {
	return int(s) < w.slots && (w.Fields == 0 || w.Fields.Has(s))
}

// Bytes puts v into slot s; an empty v makes the slot present and empty.
func (w *Writer) Bytes(s Slot, v []byte) {
	if !w.Wants(s) {
		return
	}
	w.entry(s, len(v))
	w.buf = append(w.buf, v...)
}

// String puts v into slot s.
func (w *Writer) String(s Slot, v string) {
	if !w.Wants(s) {
		return
	}
	w.entry(s, len(v))
	w.buf = append(w.buf, v...)
}

// Uint32 puts v into slot s as four bytes.
func (w *Writer) Uint32(s Slot, v uint32) {
	if w.Wants(s) {
		w.entry(s, 4)
		w.buf = binary.LittleEndian.AppendUint32(w.buf, v)
	}
}

// Uint64 puts v into slot s as eight bytes.
func (w *Writer) Uint64(s Slot, v uint64) {
	if w.Wants(s) {
		w.entry(s, 8)
		w.buf = binary.LittleEndian.AppendUint64(w.buf, v)
	}
}

// entry points slot s at the next n bytes.
func (w *Writer) entry(s Slot, n int) {
	at := w.start + HeaderSize + int(s)*SlotSize
	binary.LittleEndian.PutUint32(w.buf[at:], uint32(len(w.buf)-w.start))
	binary.LittleEndian.PutUint32(w.buf[at+4:], uint32(n))
}

// End closes the record: pads it to [Align] and writes its length.
func (w *Writer) End() {
	w.buf = pad(w.buf, w.start)
	binary.LittleEndian.PutUint32(w.buf[w.start:], uint32(len(w.buf)-w.start))
	w.slots = 0
	w.n++
}

// Frame is the frame so far. It is valid until the next call of the writer.
func (w *Writer) Frame() []byte { return w.buf }

// Len is the frame's size in bytes.
func (w *Writer) Len() int { return len(w.buf) }

// Count is the number of records.
func (w *Writer) Count() int { return w.n }

// Truncate takes back the records after the first n, which end at size bytes:
// for a caller that found one record too many for a limit.
func (w *Writer) Truncate(n, size int) { w.buf, w.n = w.buf[:size], n }

// pad appends zeroes until the distance from start is a multiple of Align.
func pad(b []byte, start int) []byte {
	var zero [Align]byte
	return append(b, zero[:-(len(b)-start)&(Align-1)]...)
}
