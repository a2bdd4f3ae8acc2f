package schedule

import (
	"errors"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/store"
)

// Stored is a message that waits in a store which no node uses.
type Stored struct {
	Queue  string
	Number uint64
	Due    int64 // Unix nanoseconds
	Msg    *message.Message
}

var errNoMessage = errors.New("not a message that waits")

// ReadStored calls fn for the messages that wait in a store, by queue and time, until
// it returns an error. What cannot be understood is passed over; the error that tells
// of it comes at the end.
func ReadStored(r store.Reader, fn func(Stored) error) error {
	if err := room.Same(r); err != nil {
		return err
	}
	var broken store.Broken
	var stop error
	err := r.Scan(store.Prefix([]byte{prefix}), func(key, value []byte) bool {
		s, err := readStored(key, value)
		if err != nil {
			broken.Add(key, err)
			return true
		}
		stop = fn(s)
		return stop == nil
	})
	return errors.Join(stop, err, broken.Err())
}

func readStored(key, value []byte) (s Stored, err error) {
	name, rest, ok := store.CutString(key[1:])
	if ok {
		s.Due, s.Number, ok = cutKey(rest)
	}
	if !ok {
		return s, errNoMessage
	}
	s.Queue = name
	s.Msg, rest, err = message.CutForm(value)
	if err == nil && len(rest) > 0 {
		err = errNoMessage
	}
	return s, err
}
