package rpc

import (
	"encoding/binary"
	"fmt"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// cut takes the verdicts of the n records from record on out of the block of a
// frame of total records, as a block of its own: entries first, then each
// entry's extension at a new place. Only places are looked at; what they hold
// is for the block's validation.
func cut(block []byte, total, from, n int) ([]byte, error) {
	if len(block) == 0 || from == 0 && n == total {
		return block, nil
	}
	if len(block) < total*contract.VerdictSize {
		return nil, fmt.Errorf("%w: %d bytes for %d records", contract.ErrVerdict, len(block), total)
	}
	out := append([]byte(nil), block[from*contract.VerdictSize:(from+n)*contract.VerdictSize]...)
	for i := range n {
		e := out[i*contract.VerdictSize:]
		off, size := uint64(binary.LittleEndian.Uint32(e[4:])), uint64(binary.LittleEndian.Uint32(e[8:]))
		if size == 0 {
			continue
		}
		if off+size > uint64(len(block)) {
			return nil, fmt.Errorf("%w: extension at %d, %d bytes, in a block of %d", contract.ErrVerdict, off, size, len(block))
		}
		for len(out)%contract.Align != 0 {
			out = append(out, 0)
		}
		binary.LittleEndian.PutUint32(out[i*contract.VerdictSize+4:], uint32(len(out)))
		out = append(out, block[off:off+size]...)
	}
	return out, nil
}
