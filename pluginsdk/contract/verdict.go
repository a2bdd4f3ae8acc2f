package contract

import "encoding/binary"

// VerdictSize is the size of one entry of a verdict block:
// u8 action, u8 reason, u16 flags, u32 ext_off, u32 ext_len, u32 cache_ttl_ms.
// ext_off counts from the start of the block.
const VerdictSize = 16

// Action is what a plugin decided about one record.
type Action uint8

// The actions. A block of zero bytes stands for "Next" on every record.
const (
	Next     Action = 0 // not mine: ask the next plugin; publish: pass unchanged
	Allow    Action = 1 // accepted, the chain ends (publish: pass unchanged)
	Deny     Action = 2 // refused with the reason code
	Continue Action = 3 // authenticate: send ExtReply in an AUTH packet
	Drop     Action = 4 // messages: acknowledged as usual, routed to nobody
	Rewrite  Action = 5 // pass, changed by the extensions
	Pending  Action = 6 // decided later, by the host call resume; with ExtPending

	numActions = 7
)

// String is the action's name.
func (a Action) String() string {
	names := [numActions]string{"next", "allow", "deny", "continue", "drop", "rewrite", "pending"}
	if int(a) < len(names) {
		return names[a]
	}
	return "unknown"
}

// VerdictFlags is the u16 of a verdict.
type VerdictFlags uint16

// Verdict flag bits. The lowest two are the cache scope.
const (
	CacheTopic      VerdictFlags = 0 // the cached verdict holds for this topic
	CacheFilter     VerdictFlags = 1 // for every topic of ExtCacheFilter
	CacheConnection VerdictFlags = 2 // for every topic of this connection and action
	cacheScope      VerdictFlags = 3

	VerdictSuperuser VerdictFlags = 1 << 2 // authenticate: the client may do all
	CacheShared      VerdictFlags = 1 << 3 // acl: the cached verdict holds for all clients of this name
)

// CacheScope is the part of the flags that says what a cached verdict covers.
func (f VerdictFlags) CacheScope() VerdictFlags { return f & cacheScope }

// Ext is the number of an extension slot of a verdict. Numbers are append-only.
type Ext uint8

// The extension slots.
const (
	ExtText          Ext = 0  // reason string for a 5.0 client and for the log, UTF-8
	ExtPrincipal     Ext = 1  // who the client is, UTF-8
	ExtTenant        Ext = 2  // UTF-8
	ExtAttributes    Ext = 3  // pairs: u16 length, key, u16 length, value
	ExtPermissions   Ext = 4  // permission list, see [AppendPermission]
	ExtExpiresAt     Ext = 5  // u64 Unix nanoseconds: when the login ends
	ExtReply         Ext = 6  // Authentication Data for AUTH or CONNACK
	ExtState         Ext = 7  // comes back in SlotAuthState with the next auth_continue
	ExtTopic         Ext = 8  // the message's new topic name
	ExtPayload       Ext = 9  // the message's new payload
	ExtProps         Ext = 10 // the message's new properties, wire form without length
	ExtFlags         Ext = 11 // u32 mask, u32 value: which of QoS and RETAIN change, and to what
	ExtExpiry        Ext = 12 // u32 new Message Expiry Interval; 0xFFFFFFFF: never
	ExtPublishes     Ext = 13 // further messages: publish records, see [Record]
	ExtThrottle      Ext = 14 // u32 milliseconds for which the client is not read
	ExtCodes         Ext = 15 // one byte a filter: granted QoS, reason >= 0x80, or KeepCode
	ExtFilters       Ext = 16 // the filters, as in SlotFilters, same number
	ExtLimits        Ext = 17 // 4 x u32: receive maximum, packet size, keep alive, session expiry; KeepLimit: as is
	ExtClientID      Ext = 18 // the client identifier to assign
	ExtCacheFilter   Ext = 19 // topic filter that a cached verdict covers
	ExtPending       Ext = 20 // u64 token, u32 milliseconds: with Pending, see [AppendPending]
	ExtSubscriptions Ext = 21 // as SlotFilters of subscribe: subscriptions to make for the client; levels %c and %u are its names

	numExts = 22
)

// Values that leave something as it is.
const (
	KeepCode  byte   = 0xFF
	KeepLimit uint32 = 0xFFFFFFFF
	NoExpiry  uint32 = 0xFFFFFFFF
)

const extHeadSize = 8 // u32 number of slots, u32 zero

type (
	actionSet uint8
	extSet    uint32
)

func actions(as ...Action) (s actionSet) {
	for _, a := range as {
		s |= 1 << a
	}
	return s
}

// VerdictWriter builds a verdict block. It allocates only when its buffer has
// to grow. The zero writer is ready; it is owned by one goroutine.
type VerdictWriter struct {
	buf  []byte
	n    int
	open int // index+1 of the verdict whose extension is open; 0: none
	base int // start of the open extension

	sealed bool // the open extension takes no more
}

// Reset starts a block of n verdicts, all Next, in buf's memory (nil: the
// writer's own).
func (w *VerdictWriter) Reset(buf []byte, n int) {
	if buf == nil {
		buf = w.buf
	}
	size := n * VerdictSize
	if cap(buf) < size {
		buf = make([]byte, size, size+256)
	}
	buf = buf[:size]
	clear(buf)
	w.buf, w.n, w.open, w.sealed = buf, n, 0, false
}

// Set decides record i. The reason is used with Deny only; 0 leaves it to the
// host (not authorized).
func (w *VerdictWriter) Set(i int, a Action, reason byte) {
	if e := w.entry(i); e != nil {
		e[0], e[1] = byte(a), reason
	}
}

// SetFlags sets record i's verdict flags.
func (w *VerdictWriter) SetFlags(i int, f VerdictFlags) {
	if e := w.entry(i); e != nil {
		binary.LittleEndian.PutUint16(e[2:], uint16(f))
	}
}

// SetCacheTTL lets the host cache the verdict of record i for ms milliseconds.
func (w *VerdictWriter) SetCacheTTL(i int, ms uint32) {
	if e := w.entry(i); e != nil {
		binary.LittleEndian.PutUint32(e[12:], ms)
	}
}

// Put gives extension x of record i the value v. Extensions are written record
// by record in ascending order; Put for a record before the last one is refused
// with false.
func (w *VerdictWriter) Put(i int, x Ext, v []byte) bool {
	if x >= numExts || !w.openExt(i, numExts) {
		return false
	}
	return w.put(i, x, v)
}

// PutOnly gives record i the one extension x, with a table no longer than that
// needs. Put for the same record is refused behind it.
func (w *VerdictWriter) PutOnly(i int, x Ext, v []byte) bool {
	if x >= numExts || w.open == i+1 || !w.openExt(i, int(x)+1) {
		return false
	}
	w.sealed = true
	return w.put(i, x, v)
}

func (w *VerdictWriter) put(i int, x Ext, v []byte) bool {
	if x == ExtPublishes { // records are aligned
		w.buf = pad(w.buf, w.base)
	}
	at := w.base + extHeadSize + int(x)*SlotSize
	binary.LittleEndian.PutUint32(w.buf[at:], uint32(len(w.buf)-w.base))
	binary.LittleEndian.PutUint32(w.buf[at+4:], uint32(len(v)))
	w.buf = append(w.buf, v...)
	binary.LittleEndian.PutUint32(w.buf[i*VerdictSize+8:], uint32(len(w.buf)-w.base))
	return true
}

// PutUint32 gives extension x of record i the four bytes of v.
func (w *VerdictWriter) PutUint32(i int, x Ext, v uint32) bool {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], v)
	return w.Put(i, x, b[:])
}

// PutUint64 gives extension x of record i the eight bytes of v.
func (w *VerdictWriter) PutUint64(i int, x Ext, v uint64) bool {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return w.Put(i, x, b[:])
}

// PutFlags changes the QoS and RETAIN of a message: the bits of mask become
// those of value.
func (w *VerdictWriter) PutFlags(i int, mask, value Flags) bool {
	return w.PutUint64(i, ExtFlags, uint64(mask)|uint64(value)<<32)
}

// Block is the verdict block, valid until the writer's next call.
func (w *VerdictWriter) Block() []byte { return w.buf }

// openExt makes sure that record i's extension table, of so many slots, is the open
// one.
func (w *VerdictWriter) openExt(i, slots int) bool {
	if w.open == i+1 {
		return !w.sealed
	}
	if i < 0 || i >= w.n || i+1 < w.open {
		return false
	}
	w.buf = pad(w.buf, 0)
	w.base, w.open, w.sealed = len(w.buf), i+1, false
	var table [extHeadSize + numExts*SlotSize]byte
	table[0] = byte(slots)
	size := extHeadSize + slots*SlotSize
	w.buf = append(w.buf, table[:size]...)
	binary.LittleEndian.PutUint32(w.buf[i*VerdictSize+4:], uint32(w.base))
	binary.LittleEndian.PutUint32(w.buf[i*VerdictSize+8:], uint32(size))
	return true
}

func (w *VerdictWriter) entry(i int) []byte {
	if i < 0 || i >= w.n {
		return nil
	}
	return w.buf[i*VerdictSize : (i+1)*VerdictSize]
}
