package contract

import "encoding/binary"

// Properties that a plugin may give a PUBLISH [MQTT-3.3.2.3]. Topic Alias,
// Message Expiry Interval and Subscription Identifier are the broker's.
const (
	propPayloadFormat   = 0x01
	propContentType     = 0x03
	propResponseTopic   = 0x08
	propCorrelationData = 0x09
	propUser            = 0x26
)

// validPublishProps tells whether b is a well-formed property block of a
// PUBLISH, in wire form and without its length, with properties that a plugin
// may set, none of them twice but User Property.
func validPublishProps(b []byte) bool {
	var seen uint64
	for len(b) > 0 {
		id := b[0]
		if id >= 64 || id != propUser && seen&(1<<id) != 0 {
			return false
		}
		seen |= 1 << id
		rest, ok := cutProp(id, b[1:])
		if !ok {
			return false
		}
		b = rest
	}
	return true
}

// cutProp takes the value of property id off b.
func cutProp(id byte, b []byte) (rest []byte, ok bool) {
	switch id {
	case propPayloadFormat:
		return b[min(1, len(b)):], len(b) > 0 && b[0] <= 1
	case propContentType:
		v, rest, ok := cutBE(b)
		return rest, ok && validText(v)
	case propResponseTopic:
		v, rest, ok := cutBE(b)
		return rest, ok && ValidTopic(v)
	case propCorrelationData:
		_, rest, ok := cutBE(b)
		return rest, ok
	case propUser:
		k, rest, ok := cutBE(b)
		v, rest, ok2 := cutBE(rest)
		return rest, ok && ok2 && validText(k) && validText(v)
	}
	return nil, false
}

func cutBE(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if n > len(b) {
		return nil, nil, false
	}
	return b[2:n], b[n:], true
}
