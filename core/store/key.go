package store

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// AppendString appends s to a key such that keys sort as their strings do and no
// string's form is the beginning of another's: whatever follows in the key sorts
// after it. A zero byte becomes 0x00 0xFF, the end is 0x00 0x01.
func AppendString(key []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		key = append(key, s[i])
		if s[i] == 0 {
			key = append(key, 0xFF)
		}
	}
	return append(key, 0, 1)
}

// CutString undoes AppendString; ok is false if key does not begin with one.
func CutString(key []byte) (s string, rest []byte, ok bool) {
	var out []byte
	for {
		i := bytes.IndexByte(key, 0)
		if i < 0 || i+1 == len(key) {
			return "", nil, false
		}
		out = append(out, key[:i]...)
		switch key[i+1] {
		case 1:
			return string(out), key[i+2:], true
		case 0xFF:
			out = append(out, 0)
		default:
			return "", nil, false
		}
		key = key[i+2:]
	}
}

// AppendUint64 appends v such that keys sort as their numbers do.
func AppendUint64(key []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(key, v) }

// CutUint64 undoes AppendUint64; ok is false if key is too short.
func CutUint64(key []byte) (v uint64, rest []byte, ok bool) {
	if len(key) < 8 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint64(key), key[8:], true
}

// Prefix is the range of the keys that begin with p. The slices are its own.
func Prefix(p []byte) Range {
	r := Range{From: slices.Clone(p)}
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] != 0xFF {
			r.To = slices.Clone(p[:i+1])
			r.To[i]++
			break
		}
	}
	return r
}
