package cursor

import (
	"encoding/binary"
	"fmt"

	"github.com/dunlinmq/dunlin/core/store"
)

// The room's keys begin with 'c'. A log's head is at "ch" and the name, its
// records are at "cr", the name and the sequence number, eight bytes. The value
// of a record is the log's bytes up to its end, eight bytes, and what was
// appended; that of a head five uvarints.
const (
	prefix  = 'c'
	heads   = 'h'
	records = 'r'

	totalSize = 8
)

func headKey(dst []byte, name string) []byte {
	return store.AppendString(append(dst, prefix, heads), name)
}

func recordsKey(dst []byte, name string) []byte {
	return store.AppendString(append(dst, prefix, records), name)
}

// head is what a log knows without reading its records.
type head struct {
	done      uint64 // the last record that is acknowledged or dropped
	doneBytes uint64 // the log's bytes up to its end
	last      uint64 // the last record
	lastBytes uint64
	dropped   uint64
}

func (h *head) append(dst []byte) []byte {
	for _, v := range []uint64{h.done, h.doneBytes, h.last, h.lastBytes, h.dropped} {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst
}

func readHead(p []byte) (h head, err error) {
	for _, v := range []*uint64{&h.done, &h.doneBytes, &h.last, &h.lastBytes, &h.dropped} {
		x, n := binary.Uvarint(p)
		if n <= 0 {
			return head{}, fmt.Errorf("cursor: a head of %d bytes", len(p))
		}
		*v, p = x, p[n:]
	}
	if len(p) > 0 || h.done > h.last || h.doneBytes > h.lastBytes {
		return head{}, fmt.Errorf("cursor: head %+v", h)
	}
	return h, nil
}
