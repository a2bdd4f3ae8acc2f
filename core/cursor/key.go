package cursor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/dunlinmq/dunlin/core/store"
)

// The room's keys begin with 'c'. A log's head is at "ch" and the name, a value of
// five uvarints. What was appended together is one value, a burst, at "cb", the name
// and the sequence number of its last record, eight bytes: so the store's work is by
// the burst and not by the record. The value is the log's bytes up to the burst's
// end, eight bytes, how many records there are, four, and each record behind its
// length, four. Format 1 had each record by itself, at "cr".
const (
	prefix = 'c'
	heads  = 'h'
	bursts = 'b'
	single = 'r'

	totalSize = 8
	burstHead = totalSize + 4
	lenSize   = 4
)

// Bounds of one burst; more records of one Append are more bursts.
const (
	burstRecords = 512
	burstBytes   = 128 << 10
)

func headKey(dst []byte, name string) []byte {
	return store.AppendString(append(dst, prefix, heads), name)
}

func recordsKey(dst []byte, name string) []byte {
	return store.AppendString(append(dst, prefix, bursts), name)
}

// burst is a value of some records.
type burst struct {
	last  uint64 // the number of the last record
	total uint64 // the log's bytes up to its end
	n     uint64 // records
	rest  []byte // the records, each behind its length
}

// readBurst reads the value at the number last. The records are still to be checked.
func readBurst(last uint64, value []byte) (b burst, ok bool) {
	if len(value) < burstHead {
		return b, false
	}
	b = burst{last: last, total: binary.BigEndian.Uint64(value), n: uint64(binary.BigEndian.Uint32(value[totalSize:])), rest: value[burstHead:]}
	size := uint64(len(b.rest)) + b.n*(Overhead-lenSize)
	return b, b.n > 0 && b.n <= last && b.n*lenSize <= uint64(len(b.rest)) && size <= b.total
}

// each calls fn with the records after seq until it returns false. ok: it has not.
// sound: the burst is what append writes.
func (b burst) each(seq uint64, fn func(seq, total uint64, record []byte) bool) (ok, sound bool) {
	at := b.last - b.n
	total := b.total - uint64(len(b.rest)) - b.n*(Overhead-lenSize)
	for rest := b.rest; at < b.last; {
		if len(rest) < lenSize || uint64(len(rest)-lenSize) < uint64(binary.BigEndian.Uint32(rest)) {
			return false, false
		}
		n := lenSize + int(binary.BigEndian.Uint32(rest))
		record := rest[lenSize:n:n]
		rest, at, total = rest[n:], at+1, total+uint64(len(record))+Overhead
		if at == b.last && len(rest) > 0 {
			return false, false
		}
		if at > seq && !fn(at, total, record) {
			return false, true
		}
	}
	return true, true
}

// appendBurst begins a burst that records are appended to with appendRecord.
func appendBurst(dst []byte) []byte { return append(dst, make([]byte, burstHead)...) }

func appendRecord(dst, record []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(record))), record...)
}

// endBurst writes what is known at the end of a burst.
func endBurst(b []byte, total uint64, n int) {
	binary.BigEndian.PutUint64(b, total)
	binary.BigEndian.PutUint32(b[totalSize:], uint32(n))
}

// toBursts makes bursts of the records of format 1.
func toBursts(ctx context.Context, s store.Store, _ *store.Batch) error {
	for {
		b, size := &store.Batch{}, 0
		var bad error
		var value []byte
		err := s.Scan(store.Prefix([]byte{prefix, single}), func(key, old []byte) bool {
			if len(old) < totalSize {
				bad = fmt.Errorf("cursor: record %x: %w", key, store.ErrCorrupt)
				return false
			}
			value = appendRecord(appendBurst(value[:0]), old[totalSize:])
			endBurst(value, binary.BigEndian.Uint64(old), 1)
			to := slices.Clone(key)
			to[1] = bursts
			b.Put(to, value)
			b.Delete(key)
			size += len(value)
			return size < 1<<20
		})
		if err = errors.Join(bad, err); err != nil || size == 0 {
			return err
		}
		b.Free()
		if err := store.Apply(ctx, s, b, store.Async); err != nil {
			return fmt.Errorf("cursor: %w", err)
		}
	}
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
