package contract

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// Permission is one line of a permission list, first match wins. Its bytes:
// u16 filter length, u8 bits, u8 zero, the filter.
type Permission struct {
	Filter    string // topic filter
	Publish   bool
	Subscribe bool
	Allow     bool // else deny
	MaxQoS    byte // 0..2; 2: any
	Retain    bool // retained publishes are covered too
	// Exact compares Filter as text: wildcards in it are not special.
	Exact bool
	// Any covers every topic and filter, also those that begin with $. Filter
	// must be "#".
	Any bool
}

const (
	permPublish   = 1 << 0
	permSubscribe = 1 << 1
	permAllow     = 1 << 2
	permRetain    = 1 << 3
	permQoSShift  = 4
	permExact     = 1 << 6
	permAny       = 1 << 7
	permHead      = 4
)

// AppendPermission appends p to the bytes of ExtPermissions. A filter longer
// than 65,535 bytes is left out, since no topic can match it.
func AppendPermission(dst []byte, p Permission) []byte {
	if len(p.Filter) > maxString {
		return dst
	}
	bits := min(p.MaxQoS, 2) << permQoSShift
	for _, b := range []struct {
		on  bool
		bit byte
	}{{p.Publish, permPublish}, {p.Subscribe, permSubscribe}, {p.Allow, permAllow}, {p.Retain, permRetain}, {p.Exact, permExact}, {p.Any, permAny}} {
		if b.on {
			bits |= b.bit
		}
	}
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(p.Filter)))
	return append(append(dst, bits, 0), p.Filter...)
}

// Permissions decodes the permission list of a validated verdict. ok is false
// when the plugin gave none, which differs from an empty list (deny all).
func (d Verdict) Permissions() (ps []Permission, ok bool) {
	b, ok := d.Ext(ExtPermissions)
	if !ok {
		return nil, false
	}
	ps = []Permission{}
	for len(b) >= permHead {
		n := permHead + int(binary.LittleEndian.Uint16(b))
		if n > len(b) {
			break
		}
		bits := b[2]
		ps = append(ps, Permission{
			Filter: string(b[permHead:n]), MaxQoS: bits >> permQoSShift & 3,
			Publish: bits&permPublish != 0, Subscribe: bits&permSubscribe != 0,
			Allow: bits&permAllow != 0, Retain: bits&permRetain != 0, Exact: bits&permExact != 0, Any: bits&permAny != 0,
		})
		b = b[n:]
	}
	return ps, true
}

func checkPermissions(b []byte) error {
	for len(b) > 0 {
		if len(b) < permHead {
			return errLength
		}
		n := permHead + int(binary.LittleEndian.Uint16(b))
		if n > len(b) {
			return errLength
		}
		filter := b[permHead:n]
		if b[2]>>permQoSShift&3 == 3 || !ValidFilter(filter) || b[2]&permAny != 0 && string(filter) != "#" {
			return fault("permission ", strconv.Quote(string(b[permHead:n])), ": ", errFilter)
		}
		b = b[n:]
	}
	return nil
}

// AppendPair appends one attribute to the bytes of ExtAttributes. Keys and
// values longer than 65,535 bytes are cut.
func AppendPair(dst []byte, key, value string) []byte {
	for _, s := range [...]string{key, value} {
		s = s[:min(len(s), maxString)]
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

// Attributes decodes ExtAttributes of a validated verdict; nil when absent.
func (d Verdict) Attributes() map[string]string {
	b, ok := d.Ext(ExtAttributes)
	if !ok {
		return nil
	}
	m := map[string]string{}
	for {
		k, rest, ok := cut16(b)
		v, rest, ok2 := cut16(rest)
		if !ok || !ok2 {
			return m
		}
		m[string(k)] = string(v)
		b = rest
	}
}

func checkPairs(b []byte) error {
	for len(b) > 0 {
		k, rest, ok := cut16(b)
		v, rest, ok2 := cut16(rest)
		if !ok || !ok2 || !validText(k) || !validText(v) {
			return errors.New("malformed pair")
		}
		b = rest
	}
	return nil
}

func cut16(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := 2 + int(binary.LittleEndian.Uint16(b))
	if n > len(b) {
		return nil, nil, false
	}
	return b[2:n], b[n:], true
}

// FilterEntry is one filter of a SUBSCRIBE or UNSUBSCRIBE.
type FilterEntry struct {
	Filter  []byte // a view
	Options byte   // subscription options [MQTT-3.8.3.1]; 0 in an UNSUBSCRIBE

	rest []byte
}

// FilterList reads SlotFilters (or ExtFilters): the packet's payload in wire form.
type FilterList struct {
	Bytes   []byte
	Options bool // each filter is followed by its options: SUBSCRIBE
}

// All yields the filters in order; it ends at the first malformed byte.
func (l FilterList) All(yield func(FilterEntry) bool) {
	tail := 0
	if l.Options {
		tail = 1
	}
	for b := l.Bytes; len(b) >= 2; {
		n := 2 + int(binary.BigEndian.Uint16(b))
		if n+tail > len(b) {
			return
		}
		f := FilterEntry{Filter: b[2:n:n], rest: b[n+tail:]}
		if l.Options {
			f.Options = b[n]
		}
		if !yield(f) {
			return
		}
		b = f.rest
	}
}

// Texts are the filters; ok is false if there is anything else in the list.
func (l FilterList) Texts() (filters []string, ok bool) {
	read, tail := 0, 0
	if l.Options {
		tail = 1
	}
	for f := range l.All {
		filters = append(filters, string(f.Filter))
		read += 2 + len(f.Filter) + tail
	}
	return filters, read == len(l.Bytes)
}

// AppendFilter appends one filter in wire form. A filter longer than 65,535
// bytes is left out.
func AppendFilter(dst []byte, filter string) []byte {
	if len(filter) > maxString {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(filter)))
	return append(dst, filter...)
}

// AppendSubscription appends one filter and its options byte in wire form.
func AppendSubscription(dst []byte, filter string, options byte) []byte {
	if len(filter) > maxString {
		return dst
	}
	return append(AppendFilter(dst, filter), options)
}
