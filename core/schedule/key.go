package schedule

import (
	"github.com/dunlinmq/dunlin/core/store"
)

// The room's keys begin with 'd', then come the queue's name, when the message is
// due (Unix nanoseconds, eight bytes) and its number (eight bytes). The value is
// the message's byte form.
const prefix = 'd'

func prefixOf(name string) []byte { return store.AppendString([]byte{prefix}, name) }

// appendKey appends what comes behind the prefix. Nothing is due before 1970.
func appendKey(dst []byte, due int64, seq uint64) []byte {
	return store.AppendUint64(store.AppendUint64(dst, uint64(max(due, 0))), seq)
}

// cutKey undoes appendKey.
func cutKey(key []byte) (due int64, seq uint64, ok bool) {
	d, rest, ok := store.CutUint64(key)
	if !ok || d > 1<<63-1 {
		return 0, 0, false
	}
	seq, rest, ok = store.CutUint64(rest)
	return int64(d), seq, ok && len(rest) == 0
}
