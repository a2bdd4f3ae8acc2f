package contract

import (
	"encoding/binary"
	"errors"
)

// ErrVerdict is wrapped by every error about a verdict block: the plugin is at
// fault and the host treats it as crashed.
var ErrVerdict = errors.New("bad verdict block")

// Verdicts is a validated verdict block with its own copy of the bytes. The
// zero value is ready; Load may be called again and again and allocates only
// when a block is larger than all before.
type Verdicts struct {
	block []byte
	n     int
}

// Load copies and validates the block that a plugin returned for a frame of n
// records: bounds, actions, reason codes, extensions and their contents, each
// against the hook of its record. An empty block means Next for all. On an
// error the verdicts are all Next.
func (v *Verdicts) Load(frame []byte, n int, block []byte) error {
	v.block, v.n = append(v.block[:0], block...), n
	if err := CheckVerdicts(frame, n, v.block); err != nil {
		v.block = v.block[:0]
		return err
	}
	return nil
}

// Clear makes all of n verdicts Next.
func (v *Verdicts) Clear(n int) { v.block, v.n = v.block[:0], n }

// Len is the number of verdicts.
func (v *Verdicts) Len() int { return v.n }

// AnyPending tells whether one of the verdicts comes later.
func (v *Verdicts) AnyPending() bool {
	for i := 0; i < v.n && i*VerdictSize < len(v.block); i++ {
		if Action(v.block[i*VerdictSize]) == Pending {
			return true
		}
	}
	return false
}

// At is the verdict about record i; Next when there is none. It is a view,
// valid until the next Load.
func (v *Verdicts) At(i int) Verdict {
	var d Verdict
	v.Read(i, &d)
	return d
}

// Read is At into d, for those who read many.
func (v *Verdicts) Read(i int, d *Verdict) {
	if i >= v.n {
		*d = Verdict{}
		return
	}
	readVerdict(v.block, i, d)
}

// VerdictAt reads verdict i of a block; Next when the block does not reach that
// far. It is a view of the block.
func VerdictAt(block []byte, i int) Verdict {
	var d Verdict
	readVerdict(block, i, &d)
	return d
}

func readVerdict(block []byte, i int, d *Verdict) {
	if i < 0 || len(block) < (i+1)*VerdictSize {
		*d = Verdict{}
		return
	}
	e := block[i*VerdictSize : (i+1)*VerdictSize]
	d.Action, d.Reason = Action(e[0]), e[1]
	d.Flags, d.CacheTTL = VerdictFlags(binary.LittleEndian.Uint16(e[2:])), binary.LittleEndian.Uint32(e[12:])
	off, size := uint64(binary.LittleEndian.Uint32(e[4:])), uint64(binary.LittleEndian.Uint32(e[8:]))
	if size == 0 || off+size > uint64(len(block)) {
		d.ext = nil
		return
	}
	d.ext = block[off : off+size : off+size]
}

// Verdict is what a plugin decided about one record.
type Verdict struct {
	Action   Action
	Reason   byte // MQTT reason code; 0: the host's choice
	Flags    VerdictFlags
	CacheTTL uint32 // milliseconds; 0: not to be cached

	ext []byte
}

// Ext returns an extension's bytes and whether it is present.
func (d Verdict) Ext(x Ext) ([]byte, bool) {
	if len(d.ext) < extHeadSize || uint32(x) >= binary.LittleEndian.Uint32(d.ext) {
		return nil, false
	}
	n := uint64(binary.LittleEndian.Uint32(d.ext))
	head := extHeadSize + n*SlotSize
	if head > uint64(len(d.ext)) {
		return nil, false
	}
	e := d.ext[extHeadSize+int(x)*SlotSize:]
	return slotBytes(d.ext, head, binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:]))
}

// Text is ExtText; "" when absent.
func (d Verdict) Text() string {
	b, _ := d.Ext(ExtText)
	return string(b)
}

// Uint32 reads an extension of four bytes.
func (d Verdict) Uint32(x Ext) (v uint32, ok bool) {
	if b, _ := d.Ext(x); len(b) == 4 {
		return binary.LittleEndian.Uint32(b), true
	}
	return 0, false
}

// Uint64 reads an extension of eight bytes.
func (d Verdict) Uint64(x Ext) (v uint64, ok bool) {
	if b, _ := d.Ext(x); len(b) == 8 {
		return binary.LittleEndian.Uint64(b), true
	}
	return 0, false
}

// NewFlags applies ExtFlags to the flags of a message.
func (d Verdict) NewFlags(f Flags) Flags {
	v, ok := d.Uint64(ExtFlags)
	if !ok {
		return f
	}
	mask := Flags(v) & (FlagQoS | FlagRetain)
	return f&^mask | Flags(v>>32)&mask
}

// MaxPending is the longest that a verdict may be put off, in milliseconds.
const MaxPending = 60_000

// AppendPending appends the bytes of ExtPending: the token by which the plugin
// will name the event, unique among what it has put off, and for how long the
// client waits at most, 1 to [MaxPending] milliseconds.
func AppendPending(dst []byte, token uint64, ms uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(dst, token), ms)
}

// Pending reads ExtPending.
func (d Verdict) Pending() (token uint64, ms uint32, ok bool) {
	b, _ := d.Ext(ExtPending)
	if len(b) != 12 {
		return 0, 0, false
	}
	return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:]), true
}

// Limits are the numbers of ExtLimits, KeepLimit where nothing changes.
type Limits struct{ ReceiveMax, PacketSize, KeepAlive, SessionExpiry uint32 }

// Limits reads ExtLimits.
func (d Verdict) Limits() (l Limits, ok bool) {
	b, _ := d.Ext(ExtLimits)
	if len(b) != 16 {
		return Limits{KeepLimit, KeepLimit, KeepLimit, KeepLimit}, false
	}
	return Limits{
		binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]),
		binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:]),
	}, true
}

// AppendLimits appends the bytes of ExtLimits.
func AppendLimits(dst []byte, l Limits) []byte {
	for _, v := range [...]uint32{l.ReceiveMax, l.PacketSize, l.KeepAlive, l.SessionExpiry} {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	return dst
}

// CheckVerdicts validates the block that a plugin returned for the n records at
// the start of frame, as [Verdicts.Load] does, without a copy. An empty block is
// valid.
func CheckVerdicts(frame []byte, n int, block []byte) error {
	if len(block) == 0 {
		return nil
	}
	if n > len(block)/VerdictSize {
		return fault(ErrVerdict, ": ", len(block), " bytes for ", n, " records")
	}
	for i := range n {
		r, rest, err := Split(frame)
		if err != nil {
			return err
		}
		frame = rest
		e := block[i*VerdictSize : (i+1)*VerdictSize]
		if a := binary.LittleEndian.Uint64(e); binary.LittleEndian.Uint64(e[8:]) == 0 && a < uint64(numActions) {
			if info := r.Hook().info(); info != nil && (a == uint64(Next) || a != uint64(Pending) && info.actions&(1<<a) != 0) {
				continue // an action and nothing else, as usual
			}
		}
		if err := checkOne(block, n, i, r); err != nil {
			return fault(ErrVerdict, ": record ", i, " (", r.Hook().String(), "): ", err)
		}
	}
	return nil
}

func checkOne(block []byte, n, i int, r Record) error {
	e := block[i*VerdictSize:]
	off, size := uint64(binary.LittleEndian.Uint32(e[4:])), uint64(binary.LittleEndian.Uint32(e[8:]))
	if size > 0 && (off < uint64(n*VerdictSize) || off%Align != 0 || off+size > uint64(len(block)) || size < extHeadSize) {
		return fault("extension at ", int(off), ", ", int(size), " bytes, in a block of ", len(block))
	}
	d := VerdictAt(block, i)
	info := r.Hook().info()
	switch {
	case info == nil:
		return fault("no hook ", uint32(r.Hook()))
	case d.Action != Next && (d.Action >= numActions || info.actions&(1<<d.Action) == 0):
		return fault("action ", d.Action.String(), " is not allowed")
	case d.Action == Deny && d.Reason != 0 && !info.reasons.has(d.Reason):
		return fault("reason code ", d.Reason, " is not allowed")
	case d.Action != Deny && d.Reason != 0:
		return fault("reason code ", d.Reason, " with action ", d.Action.String())
	case d.Flags.CacheScope() > CacheConnection:
		return fault("cache scope ", int(d.Flags.CacheScope()))
	}
	if d.Action != Pending && len(d.ext) == 0 {
		return nil
	}
	if _, _, ok := d.Pending(); ok != (d.Action == Pending) {
		return fault("action ", d.Action.String(), ", extension ", int(ExtPending), " is missing or out of place")
	}
	return d.checkExts(r, info)
}

// CheckResume validates the block by which a plugin decides later about one
// record, of which only the header is known.
func CheckResume(h Header, block []byte) error {
	if len(block) < VerdictSize {
		return fault(ErrVerdict, ": ", len(block), " bytes for a verdict")
	}
	var w Writer
	w.Begin(h)
	w.End()
	if Action(block[0]) == Pending {
		return fault(ErrVerdict, ": a verdict that comes later cannot be put off again")
	}
	return CheckVerdicts(w.Frame(), 1, block)
}

// checkExts validates the extension table and what is in it.
func (d Verdict) checkExts(r Record, info *hookInfo) error {
	if len(d.ext) == 0 {
		return nil
	}
	n := uint64(binary.LittleEndian.Uint32(d.ext))
	head := extHeadSize + n*SlotSize
	if head > uint64(len(d.ext)) {
		return fault(int(n), " extension slots in ", len(d.ext), " bytes")
	}
	for x := range n {
		e := d.ext[extHeadSize+x*SlotSize:]
		off, size := binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:])
		if off == 0 && size == 0 {
			continue
		}
		b, ok := slotBytes(d.ext, head, off, size)
		if !ok {
			return fault("extension ", int(x), " at ", off, ", ", size, " bytes")
		}
		if x >= numExts {
			continue // of a later version: not known, not used
		}
		if info.exts&(1<<x) == 0 {
			return fault("extension ", int(x), " is not allowed")
		}
		if err := checkExt(Ext(x), b, r); err != nil {
			return fault("extension ", int(x), ": ", err)
		}
	}
	return nil
}
