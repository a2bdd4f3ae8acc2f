package sdk

import (
	"encoding/binary"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// DelayFor has the broker keep the message and publish it under topic after d, with
// everything that it came with, as the client's and not the plugin's (capability
// "schedule"). It survives restarts; while the node runs, setting its clock changes
// nothing. The verdict about the message becomes Drop, so it is acknowledged when it
// is kept and published once. The number is for [Cancel]. In OnPublish and OnWill
// only. [ErrQuota]: the disk is full; [ErrInvalid]: the topic, or a time of more than
// [contract.MaxSchedule].
func (e *MessageEvent) DelayFor(topic string, d time.Duration) (number uint64, err error) {
	return number64(hostSchedulePut(e.index, topic, contract.ScheduleAfter, d.Milliseconds()))
}

// DelayUntil is [MessageEvent.DelayFor] with a time of the broker's wall clock, in
// whole milliseconds; what has passed is published at once.
func (e *MessageEvent) DelayUntil(topic string, at time.Time) (number uint64, err error) {
	return number64(hostSchedulePut(e.index, topic, contract.ScheduleAt, at.UnixMilli()))
}

func number64(n int64) (uint64, error) {
	if n < 0 {
		return 0, contract.Errno(n)
	}
	return uint64(n), nil
}

// Cancel forgets a message that waits. [ErrNotFound].
func Cancel(number uint64) error { return errnoOf(hostScheduleCancel(number)) }

// Delayed is how many messages of this plugin wait.
func Delayed() (int, error) {
	n, err := number64(hostScheduleCount())
	return int(n), err
}

// Waiting is a message that waits.
type Waiting struct {
	Number         uint64
	Due            time.Time
	Topic          string
	From, Username string // client identifier and user name of the publisher
	QoS            byte
	Retain         bool
	Size           int // bytes of the payload
}

// DelayedNumber is the message with a number, without its place among the others.
// [ErrNotFound]: it does not wait, or came a moment ago.
func DelayedNumber(number uint64) (Waiting, error) {
	due, err := number64(hostScheduleFind(number))
	if err != nil {
		return Waiting{}, err
	}
	page, err := DelayedAfter(Waiting{Number: number - 1, Due: time.Unix(0, int64(due))})
	if err == nil && (len(page) == 0 || page[0].Number != number) { // it was due meanwhile
		err = ErrNotFound
	}
	if err != nil {
		return Waiting{}, err
	}
	return page[0], nil
}

// DelayedAfter lists at most [contract.SchedulePage] messages that wait, in the order
// in which they are due, behind the one that is given; behind the zero Waiting are all.
// What came a moment ago may be missing.
func DelayedAfter(last Waiting) ([]Waiting, error) {
	due := int64(0)
	if !last.Due.IsZero() {
		due = last.Due.UnixNano()
	}
	page, n := hostScheduleList(due, last.Number)
	if n < 0 {
		return nil, contract.Errno(n)
	}
	var list []Waiting
	for len(page) > 0 {
		r, rest, err := contract.Split(page)
		if err != nil {
			return nil, err
		}
		page = rest
		w := Waiting{
			Due: time.Unix(0, int64(r.Time())), Topic: string(r.Slot(contract.SlotTopic)), From: string(r.Slot(contract.SlotFrom)),
			Username: string(r.Slot(contract.SlotUsername)), QoS: r.Flags().QoS(), Retain: r.Flags().Has(contract.FlagRetain), Size: int(r.Aux()),
		}
		if id := r.Slot(contract.SlotMessageID); len(id) == 16 {
			w.Number = binary.LittleEndian.Uint64(id[8:])
		}
		list = append(list, w)
	}
	return list, nil
}
