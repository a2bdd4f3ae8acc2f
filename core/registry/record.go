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
//	q sid place     a message for the client: see the kinds
//	i sid id        an inbound QoS 2 identifier between PUBLISH and PUBREL
const (
	keySession = 's'
	keyFilter  = 'u'
	keyPlace   = 'q'
	keyInbound = 'i'

	placeKeyLen = 1 + 8 + 8
)

// The first byte of a q record.
const (
	kindMessage  = 0 // the delivery follows
	kindReceived = 1 // a QoS 2 message that the client has: PUBREL is owed
)

// formatVersion is that of keys and records.
const formatVersion = 1

// roomName is where the version stands in the store.
const roomName = "sessions"

// room is the form of what is in the store.
var room = store.Format{Room: roomName, Version: formatVersion}

func appendSession(k []byte, sid uint64) []byte {
	return store.AppendUint64(append(k, keySession), sid)
}

func appendFilter(k []byte, sid uint64, filter string) []byte {
	return append(store.AppendUint64(append(k, keyFilter), sid), filter...)
}

func appendPlace(k []byte, sid, seq uint64) []byte {
	return store.AppendUint64(store.AppendUint64(append(k, keyPlace), sid), seq)
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

func cutPlace(key []byte) (sid, seq uint64, ok bool) {
	sid, rest, ok := cutKey(key)
	if !ok {
		return 0, 0, false
	}
	seq, rest, ok = store.CutUint64(rest)
	return sid, seq, ok && len(rest) == 0
}

// rangesOf is all that a session has but for its record.
func rangesOf(sid uint64) []store.Range {
	var rs []store.Range
	for _, letter := range []byte{keyFilter, keyPlace, keyInbound} {
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
