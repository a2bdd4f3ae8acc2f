package packet

import "encoding/binary"

// Props is a property block in wire form without its length prefix. What the
// Decoder returns is validated for its packet; nil means no properties. The
// order of properties is kept, so user properties are forwarded in order
// [MQTT-3.3.2-18].
type Props []byte

// PropID names a property (5.0 §2.2.2.2).
type PropID byte

// The properties of MQTT 5.0.
const (
	PropPayloadFormat           PropID = 1
	PropMessageExpiry           PropID = 2
	PropContentType             PropID = 3
	PropResponseTopic           PropID = 8
	PropCorrelationData         PropID = 9
	PropSubscriptionID          PropID = 11
	PropSessionExpiry           PropID = 17
	PropAssignedClientID        PropID = 18
	PropServerKeepAlive         PropID = 19
	PropAuthMethod              PropID = 21
	PropAuthData                PropID = 22
	PropRequestProblemInfo      PropID = 23
	PropWillDelay               PropID = 24
	PropRequestResponseInfo     PropID = 25
	PropResponseInfo            PropID = 26
	PropServerReference         PropID = 28
	PropReasonString            PropID = 31
	PropReceiveMaximum          PropID = 33
	PropTopicAliasMaximum       PropID = 34
	PropTopicAlias              PropID = 35
	PropMaximumQoS              PropID = 36
	PropRetainAvailable         PropID = 37
	PropUserProperty            PropID = 38
	PropMaximumPacketSize       PropID = 39
	PropWildcardAvailable       PropID = 40
	PropSubscriptionIDAvailable PropID = 41
	PropSharedAvailable         PropID = 42
)

// propKind is the data type of a property's value.
type propKind byte

const (
	kindNone propKind = iota
	kindByte
	kindUint16
	kindUint32
	kindVarint
	kindString
	kindBinary
	kindPair
)

// valueSize is how many bytes of b the value of the given kind takes; ok is
// false when b ends before.
func valueSize(kind propKind, b []byte) (n int, ok bool) {
	switch kind {
	case kindByte:
		n = 1
	case kindUint16:
		n = 2
	case kindUint32:
		n = 4
	case kindVarint:
		_, n, ok = varint(b)
		return n, ok
	case kindString, kindBinary:
		return sizedBytes(b)
	case kindPair:
		k, ok := sizedBytes(b)
		if !ok {
			return 0, false
		}
		v, ok := sizedBytes(b[k:])
		return k + v, ok
	default:
		return 0, false
	}
	return n, n <= len(b)
}

// sizedBytes is the size of a length-prefixed field at the start of b.
func sizedBytes(b []byte) (n int, ok bool) {
	if len(b) < 2 {
		return 0, false
	}
	n = 2 + int(binary.BigEndian.Uint16(b))
	return n, n <= len(b)
}

// next splits off the first property. ok is false at the end, and where the
// bytes are no property.
func (p Props) next() (id PropID, value, rest []byte, ok bool) {
	if len(p) == 0 || int(p[0]) >= len(properties) {
		return 0, nil, nil, false
	}
	id = PropID(p[0])
	n, ok := valueSize(properties[id].kind, p[1:])
	if !ok {
		return 0, nil, nil, false
	}
	return id, p[1 : 1+n : 1+n], p[1+n:], true
}

// Each calls fn for each property in order until fn returns false. value is the
// value's wire form (a string with its length) and borrows from p.
func (p Props) Each(fn func(id PropID, value []byte) bool) {
	for {
		id, value, rest, ok := p.next()
		if !ok || !fn(id, value) {
			return
		}
		p = rest
	}
}

// find returns the wire form of the first property id.
func (p Props) find(id PropID) ([]byte, bool) {
	for {
		at, value, rest, ok := p.next()
		if !ok || at == id {
			return value, ok
		}
		p = rest
	}
}

// Has tells whether p contains the property id.
func (p Props) Has(id PropID) bool {
	_, ok := p.find(id)
	return ok
}

// Byte returns the value of a Byte property; ok is false if it is not there.
func (p Props) Byte(id PropID) (v byte, ok bool) {
	b, ok := p.find(id)
	if !ok || len(b) != 1 {
		return 0, false
	}
	return b[0], true
}

// Uint16 returns the value of a Two Byte Integer property.
func (p Props) Uint16(id PropID) (v uint16, ok bool) {
	b, ok := p.find(id)
	if !ok || len(b) != 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(b), true
}

// Uint32 returns the value of a Four Byte Integer property.
func (p Props) Uint32(id PropID) (v uint32, ok bool) {
	b, ok := p.find(id)
	if !ok || len(b) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b), true
}

// Varint returns the value of a Variable Byte Integer property, the first if
// there are several.
func (p Props) Varint(id PropID) (v uint32, ok bool) {
	b, ok := p.find(id)
	if !ok {
		return 0, false
	}
	v, _, ok = varint(b)
	return v, ok
}

// String returns a copy of the value of a UTF-8 Encoded String property.
func (p Props) String(id PropID) (v string, ok bool) {
	b, ok := p.Bytes(id)
	return string(b), ok
}

// Bytes returns the value of a Binary Data or string property; it borrows from p.
func (p Props) Bytes(id PropID) (v []byte, ok bool) {
	b, ok := p.find(id)
	if !ok {
		return nil, false
	}
	if k := properties[id].kind; k != kindString && k != kindBinary {
		return nil, false
	}
	return b[2:], true
}

// UserProperties returns copies of all user properties in order.
func (p Props) UserProperties() [][2]string {
	var all [][2]string
	p.Each(func(id PropID, b []byte) bool {
		if id == PropUserProperty {
			k, _ := sizedBytes(b)
			all = append(all, [2]string{string(b[2:k]), string(b[k+2:])})
		}
		return true
	})
	return all
}

// AppendByteProp appends a Byte property.
func AppendByteProp(dst Props, id PropID, v byte) Props { return append(dst, byte(id), v) }

// AppendUint16Prop appends a Two Byte Integer property.
func AppendUint16Prop(dst Props, id PropID, v uint16) Props {
	return append(dst, byte(id), byte(v>>8), byte(v))
}

// AppendUint32Prop appends a Four Byte Integer property.
func AppendUint32Prop(dst Props, id PropID, v uint32) Props {
	return binary.BigEndian.AppendUint32(append(dst, byte(id)), v)
}

// AppendVarintProp appends a Variable Byte Integer property; v is at most
// 268,435,455, a larger one panics.
func AppendVarintProp(dst Props, id PropID, v uint32) Props {
	return appendVarint(append(dst, byte(id)), int(v))
}

// AppendStringProp appends a UTF-8 Encoded String property; a string of more
// than 65,535 bytes panics.
func AppendStringProp(dst Props, id PropID, v string) Props {
	return appendString(append(dst, byte(id)), v)
}

// AppendBytesProp appends a Binary Data property; more than 65,535 bytes panic.
func AppendBytesProp(dst Props, id PropID, v []byte) Props {
	return appendString(append(dst, byte(id)), v)
}

// AppendUserProp appends a user property.
func AppendUserProp(dst Props, key, value string) Props {
	return appendString(appendString(append(dst, byte(PropUserProperty)), key), value)
}
