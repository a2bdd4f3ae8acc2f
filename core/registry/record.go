package registry

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store"
)

// Keys are a letter, the session's number and what it is about, so that all of
// one kind of one session is one range:
//
//	s sid           the session's record
//	u sid filter    a subscription: its options
//	i sid id        an inbound QoS 2 identifier between PUBLISH and PUBREL
//	f sid           the floor: places up to it are over
//	x sid place     a mark: what became of a place above the floor
//
// but for the messages, which are in the order of their coming and once for all
// sessions, see [eachPlace]:
//
//	m number        a block of messages and their places
const (
	keySession = 's'
	keyFilter  = 'u'
	keyInbound = 'i'
	keyFloor   = 'f'
	keyMark    = 'x'
	keyBlock   = 'm'

	placeKeyLen = 1 + 8 + 8
)

// The byte of a mark.
const (
	markReceived = 1 // a QoS 2 message that the client has: PUBREL is owed
	markOver     = 2
)

// roomName is where the version stands in the store.
const roomName = "sessions"

func appendSession(k []byte, sid uint64) []byte {
	return store.AppendUint64(append(k, keySession), sid)
}

func appendFilter(k []byte, sid uint64, filter string) []byte {
	return append(store.AppendUint64(append(k, keyFilter), sid), filter...)
}

func appendBlock(k []byte, no uint64) []byte { return store.AppendUint64(append(k, keyBlock), no) }

func appendFloor(k []byte, sid uint64) []byte { return store.AppendUint64(append(k, keyFloor), sid) }

func appendMark(k []byte, sid, seq uint64) []byte {
	return store.AppendUint64(store.AppendUint64(append(k, keyMark), sid), seq)
}

func appendInbound(k []byte, sid uint64, id uint16) []byte {
	return binary.BigEndian.AppendUint16(store.AppendUint64(append(k, keyInbound), sid), id)
}

// cutKey splits off the letter and the session.
func cutKey(key []byte) (sid uint64, rest []byte, ok bool) {
	if len(key) == 0 {
		return 0, nil, false
	}
	return store.CutUint64(key[1:])
}

// rangesOf is all that a session has but for its record and its messages.
func rangesOf(sid uint64) []store.Range {
	var rs []store.Range
	for _, letter := range []byte{keyFilter, keyInbound, keyFloor, keyMark} {
		rs = append(rs, store.Prefix(store.AppendUint64([]byte{letter}, sid)))
	}
	return rs
}

// record is what the store has of a session itself: who it is, and what becomes
// of it without a connection. Times are absolute, Unix nanoseconds.
type record struct {
	ClientID  string
	Created   int64
	Zone      string
	Level     store.Durability
	Expiry    uint32       // seconds that it outlives its connection
	Left      int64        `json:",omitempty"` // when the connection ended; 0: it has one
	ExpiresAt int64        `json:",omitempty"` // 0: never, or connected
	Will      *packet.Will `json:",omitempty"`
	Delay     uint32       `json:",omitempty"` // of the will, while connected
	WillAt    int64        `json:",omitempty"` // when it is due, without a connection
	Facts     *hook.Client `json:",omitempty"` // of the latest connection
}

// append appends the record's form.
func (r *record) append(dst []byte) []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("registry: a session's record cannot be written: %v", err)) // it has no type that could fail
	}
	return append(dst, b...)
}

func readRecord(b []byte) (r record, err error) {
	if err = json.Unmarshal(b, &r); err == nil && r.ClientID == "" {
		err = fmt.Errorf("it has no client id")
	}
	return r, err
}
