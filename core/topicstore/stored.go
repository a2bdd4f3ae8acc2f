package topicstore

import (
	"errors"
	"fmt"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/store"
)

// ReadStored calls fn for the retained messages that a store which no node uses has,
// in the order of their topics, until it returns an error. What cannot be understood
// is passed over; the error that tells of it comes at the end.
func ReadStored(r store.Reader, fn func(*message.Message) error) error {
	if err := room.Same(r); err != nil {
		return err
	}
	var broken store.Broken
	var stop error
	err := r.Scan(store.Prefix([]byte(keyPrefix)), func(key, value []byte) bool {
		m, err := readKept(key, value)
		if err != nil {
			broken.Add(key, err)
			return true
		}
		stop = fn(m)
		return stop == nil
	})
	return errors.Join(stop, err, broken.Err())
}

// readKept is the message of a key.
func readKept(key, value []byte) (*message.Message, error) {
	m, rest, err := message.CutForm(value)
	if err == nil && (len(rest) > 0 || m.Topic != string(key[len(keyPrefix):])) {
		err = fmt.Errorf("not the message of its topic")
	}
	return m, err
}
