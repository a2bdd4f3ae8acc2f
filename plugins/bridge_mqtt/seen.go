//go:build !wasip1

package main

import (
	"encoding/binary"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
)

// seenQueue is the queue whose notes are those of seen; no bridge has such a name.
const seenQueue = "/seen"

// seenFrames is how many frames are remembered. The broker has one or two frames
// without an answer, and after a crash of its own those that it had not noted yet.
const seenFrames = 256

// messageID is what makes a message of this broker unique.
type messageID [16]byte

// seen remembers the messages with QoS 2 of the last frames, on the disk with the
// messages themselves: a frame that comes again after a crash of the plugin, or of the
// broker, does not put them into the queues again. Owned by the handlers.
type seen struct {
	queue *buffer.Queue
	slots [seenFrames][]messageID
	ids   map[messageID]struct{}
	next  uint64

	present []messageID // of the present frame
}

// load reads what an earlier process has left.
func (s *seen) load(buf *buffer.Buffer) (err error) {
	s.ids = map[messageID]struct{}{}
	if s.queue, err = buf.Queue(seenQueue, 0); err != nil {
		return err
	}
	return s.queue.Notes([]byte{noteSeen}, func(key, value []byte) {
		if len(key) != 2 || len(value) < 8 {
			return
		}
		s.next = max(s.next, binary.BigEndian.Uint64(value)+1)
		for value = value[8:]; len(value) >= len(messageID{}); value = value[len(messageID{}):] {
			id := messageID(value)
			s.slots[key[1]] = append(s.slots[key[1]], id)
			s.ids[id] = struct{}{}
		}
	})
}

// again tells whether a message was in an earlier frame.
func (s *seen) again(id []byte) bool {
	if len(id) != len(messageID{}) {
		return false
	}
	_, have := s.ids[messageID(id)]
	return have
}

// add remembers a message of the present frame.
func (s *seen) add(id []byte) {
	if len(id) == len(messageID{}) {
		s.present = append(s.present, messageID(id))
	}
}

// note puts the present frame into its transaction.
func (s *seen) note(tx *buffer.Tx) {
	if len(s.present) == 0 {
		return
	}
	value := binary.BigEndian.AppendUint64(nil, s.next)
	for _, id := range s.present {
		value = append(value, id[:]...)
	}
	tx.Note(s.queue, []byte{noteSeen, byte(s.next % seenFrames)}, value)
}

// done ends the present frame; kept tells whether its transaction is on the disk.
func (s *seen) done(kept bool) {
	if kept && len(s.present) > 0 {
		slot := &s.slots[s.next%seenFrames]
		for _, id := range *slot {
			delete(s.ids, id)
		}
		*slot = append((*slot)[:0], s.present...)
		for _, id := range s.present {
			s.ids[id] = struct{}{}
		}
		s.next++
	}
	s.present = s.present[:0]
}
