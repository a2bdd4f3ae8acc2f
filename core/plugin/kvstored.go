package plugin

import (
	"errors"
	"time"

	"github.com/dunlinmq/dunlin/core/store"
)

// StoredKey is a key of a plugin's durable key space in a store which no node uses.
type StoredKey struct {
	Plugin, Key string
	Value       []byte    // for the call only
	Until       time.Time // when it ends; zero: never
}

// ReadStoredKeys calls fn for the keys of all plugins, in order, until it returns an
// error. What cannot be understood is passed over; the error that tells of it comes at
// the end.
func ReadStoredKeys(r store.Reader, fn func(StoredKey) error) error {
	if err := keptRoom.Same(r); err != nil {
		return err
	}
	var broken store.Broken
	var stop error
	err := r.Scan(store.Prefix([]byte{keptPrefix}), func(key, value []byte) bool {
		name, rest, ok := store.CutString(key[1:])
		v, whole := readKept(value)
		if !ok || len(rest) == 0 || !whole {
			broken.Add(key, errNoKey)
			return true
		}
		stop = fn(StoredKey{Plugin: name, Key: string(rest), Value: v.value, Until: v.until})
		return stop == nil
	})
	return errors.Join(stop, err, broken.Err())
}

var errNoKey = errors.New("not a key of a plugin")

// readKept takes a value of the disk apart. It is borrowed.
func readKept(p []byte) (v keyed, ok bool) {
	until, rest, ok := store.CutUint64(p)
	if !ok {
		return v, false
	}
	if v.value = rest; until != 0 {
		v.until = time.Unix(0, int64(until))
	}
	return v, true
}
