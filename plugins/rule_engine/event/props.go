package event

import (
	"encoding/binary"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
)

// form is how a property is coded [MQTT-2.2.2.2].
type form byte

const (
	formByte form = iota
	formTwo
	formFour
	formText
	formVar
	formPair
)

// property is one of MQTT 5 by EMQ X's name.
type property struct {
	name string
	form form
}

var propertyOf = map[byte]property{
	0x01: {"Payload-Format-Indicator", formByte}, 0x02: {"Message-Expiry-Interval", formFour}, 0x03: {"Content-Type", formText},
	0x08: {"Response-Topic", formText}, 0x09: {"Correlation-Data", formText}, 0x0B: {"Subscription-Identifier", formVar},
	0x11: {"Session-Expiry-Interval", formFour}, 0x15: {"Authentication-Method", formText}, 0x16: {"Authentication-Data", formText},
	0x17: {"Request-Problem-Information", formByte}, 0x19: {"Request-Response-Information", formByte}, 0x21: {"Receive-Maximum", formTwo},
	0x22: {"Topic-Alias-Maximum", formTwo}, 0x26: {"User-Property", formPair}, 0x27: {"Maximum-Packet-Size", formFour},
}

// properties is a property block as a map; user properties are in User-Property by
// key (the last of a key counts) and in User-Property-Pairs in their order.
func properties(b []byte) sql.Value {
	m, users := &sql.Map{}, &sql.Map{}
	var pairs []sql.Value
	for len(b) > 0 {
		p, ok := propertyOf[b[0]]
		if !ok {
			break
		}
		if p.form == formPair {
			k, rest, ok := cut(b[1:])
			v, rest, ok2 := cut(rest)
			if !ok || !ok2 {
				break
			}
			pair := &sql.Map{}
			pair.Set("key", sql.StringOf(k))
			pair.Set("value", sql.StringOf(v))
			users.Set(k, sql.StringOf(v))
			pairs = append(pairs, sql.ObjectOf(pair))
			b = rest
			continue
		}
		v, rest, ok := p.value(b[1:])
		if !ok {
			break
		}
		m.Set(p.name, v)
		b = rest
	}
	if pairs != nil {
		m.Set("User-Property", sql.ObjectOf(users))
		m.Set("User-Property-Pairs", sql.ArrayOf(pairs))
	}
	return sql.ObjectOf(m)
}

// value takes the property's value off b.
func (p property) value(b []byte) (v sql.Value, rest []byte, ok bool) {
	switch p.form {
	case formByte:
		if len(b) >= 1 {
			return sql.IntOf(int64(b[0])), b[1:], true
		}
	case formTwo:
		if len(b) >= 2 {
			return sql.IntOf(int64(binary.BigEndian.Uint16(b))), b[2:], true
		}
	case formFour:
		if len(b) >= 4 {
			return sql.IntOf(int64(binary.BigEndian.Uint32(b))), b[4:], true
		}
	case formVar:
		n, shift := 0, 0
		for i, c := range b[:min(4, len(b))] {
			n |= int(c&0x7F) << shift
			shift += 7
			if c < 0x80 {
				return sql.IntOf(int64(n)), b[i+1:], true
			}
		}
	case formText:
		s, rest, ok := cut(b)
		return sql.StringOf(s), rest, ok
	}
	return v, nil, false
}

func cut(b []byte) (s string, rest []byte, ok bool) {
	if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
		return "", nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	return string(b[2:n]), b[n:], true
}
