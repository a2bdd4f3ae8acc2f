package cursor

import (
	"errors"

	"github.com/dunlinmq/dunlin/core/store"
)

// Stored is who is told what a store which no node uses has of logs. A nil function
// is told nothing. What one returns ends the reading, if it is an error.
type Stored struct {
	Log    func(State) error // Max is 0: the store does not know it
	Record func(log string, seq uint64, record []byte) error
}

var (
	errNoHead   = errors.New("not the head of a log")
	errNoRecord = errors.New("not records of a log")
)

// ReadStored reads the logs, then their records that are not done. What cannot be
// understood is passed over; the error that tells of it comes at the end.
func ReadStored(r store.Reader, to Stored) error {
	if err := room.Same(r); err != nil {
		return err
	}
	var broken store.Broken
	var stop error
	done := map[string]uint64{}
	err := r.Scan(store.Prefix([]byte{prefix, heads}), func(key, value []byte) bool {
		name, rest, ok := store.CutString(key[2:])
		h, err := readHead(value)
		if err == nil && (!ok || len(rest) > 0) {
			err = errNoHead
		}
		if err != nil {
			broken.Add(key, err)
			return true
		}
		done[name] = h.done
		if to.Log != nil {
			stop = to.Log(State{Name: name, First: h.done + 1, Last: h.last, Bytes: int64(h.lastBytes - h.doneBytes), Dropped: h.dropped})
		}
		return stop == nil
	})
	if to.Record == nil || stop != nil || err != nil {
		return errors.Join(stop, err, broken.Err())
	}
	err = r.Scan(store.Prefix([]byte{prefix, bursts}), func(key, value []byte) bool {
		name, rest, ok := store.CutString(key[2:])
		last, rest, whole := store.CutUint64(rest)
		b, sound := readBurst(last, value)
		if sound = sound && ok && whole && len(rest) == 0; sound {
			_, sound = b.each(done[name], func(seq, _ uint64, record []byte) bool {
				stop = to.Record(name, seq, record)
				return stop == nil
			})
		}
		if !sound {
			broken.Add(key, errNoRecord)
		}
		return stop == nil
	})
	return errors.Join(stop, err, broken.Err())
}
