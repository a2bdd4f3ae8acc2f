package load

import (
	"encoding/binary"
	"time"
)

// Stamp is how many bytes of a payload tell whose message it is and when it was
// sent. Shorter payloads are counted only.
const Stamp = 28

// magic begins every payload of Stamp bytes or more.
const magic = 0x646c6231 // "dlb1"

// stamp is the start of a payload.
type stamp struct {
	run, publisher uint32
	seq            uint64 // from 0, of this publisher
	at             int64  // when it was, or should have been, sent: Unix nanoseconds
}

func (s stamp) put(p []byte) {
	binary.LittleEndian.PutUint32(p, magic)
	binary.LittleEndian.PutUint32(p[4:], s.run)
	binary.LittleEndian.PutUint32(p[8:], s.publisher)
	binary.LittleEndian.PutUint64(p[12:], s.seq)
	binary.LittleEndian.PutUint64(p[20:], uint64(s.at))
}

func readStamp(p []byte) (s stamp, ok bool) {
	if len(p) < Stamp || binary.LittleEndian.Uint32(p) != magic {
		return s, false
	}
	return stamp{
		run: binary.LittleEndian.Uint32(p[4:]), publisher: binary.LittleEndian.Uint32(p[8:]),
		seq: binary.LittleEndian.Uint64(p[12:]), at: int64(binary.LittleEndian.Uint64(p[20:])),
	}, true
}

// clock tells Unix nanoseconds that never step back in this process.
type clock struct{ began time.Time }

func (c clock) now() int64 { return c.began.UnixNano() + int64(time.Since(c.began)) }

// track follows the messages of one publisher at one subscriber.
type track struct {
	begun   bool
	next    uint64              // the first that is still to come
	missing map[uint64]struct{} // passed over, at most maxMissing
	lost    uint64              // passed over beyond that
}

// maxMissing bounds what a track remembers of one publisher.
const maxMissing = 1 << 16

// see takes a sequence number: it is new, and behind a later one, or a duplicate.
func (t *track) see(seq uint64) (fresh, late bool) {
	if !t.begun {
		t.begun, t.next = true, seq
	}
	switch {
	case seq == t.next:
		t.next++
		return true, false
	case seq > t.next:
		for ; t.next < seq; t.next++ {
			if len(t.missing) >= maxMissing {
				t.lost += seq - t.next
				break
			}
			if t.missing == nil {
				t.missing = map[uint64]struct{}{}
			}
			t.missing[t.next] = struct{}{}
		}
		t.next = seq + 1
		return true, false
	}
	if _, ok := t.missing[seq]; !ok {
		return false, false
	}
	delete(t.missing, seq)
	return true, true
}

// gaps is how many messages were passed over and have not come.
func (t *track) gaps() uint64 { return t.lost + uint64(len(t.missing)) }
