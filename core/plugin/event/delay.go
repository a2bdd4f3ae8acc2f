package event

import (
	"errors"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/schedule"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Scheduler is what the Records of a publish or will call are too for a plugin
// with the capability "schedule".
type Scheduler interface {
	// Schedule keeps the message of a record, with another topic, until its time, and
	// returns its number. The verdict about it is Drop then. ErrnoQuota: the disk is
	// full; ErrnoInternal: it takes nothing.
	Schedule(record int, topic string, w schedule.When) (uint64, error)
}

// About is the topic that a PUBLISH to a topic is about: what is behind the levels of
// b.Subject, as often as they stand there.
func (b *Binding) About(topic string) string {
	if b == nil || b.Subject == "" {
		return topic
	}
	for {
		rest, ok := behind(b.Subject, topic)
		if !ok || rest == "" {
			return topic
		}
		topic = rest
	}
}

// behind cuts the levels of pattern off; a level + is any.
func behind(pattern, topic string) (string, bool) {
	for pattern != "" {
		want, more, _ := strings.Cut(pattern, "/")
		level, rest, found := strings.Cut(topic, "/")
		if !found || want != "+" && want != level {
			return "", false
		}
		pattern, topic = more, rest
	}
	return topic, true
}

// delaying are the services of one publish or will call.
type delaying struct {
	later *schedule.Queue
	es    []hook.PublishEvent
	at    []int
	put   map[int]uint64 // records that were put: a retried frame puts once
}

// Schedule implements [Scheduler].
func (d *delaying) Schedule(record int, topic string, w schedule.When) (uint64, error) {
	if record < 0 || record >= len(d.at) || !contract.ValidTopic([]byte(topic)) {
		return 0, contract.ErrnoInvalid
	}
	if seq, ok := d.put[record]; ok {
		return seq, nil
	}
	e := &d.es[d.at[record]]
	m := *e.Msg
	m.Topic = topic
	seq, err := d.later.Put(&m, w, store.Async)
	switch {
	case errors.Is(err, store.ErrFull):
		return 0, contract.ErrnoQuota
	case err != nil:
		return 0, contract.ErrnoInternal
	}
	if d.put == nil {
		d.put = map[int]uint64{}
	}
	d.put[record] = seq
	e.Delayed, e.Kept = true, true
	return seq, nil
}

// Put is not for these hooks.
func (d *delaying) Put(int, time.Duration) error { return contract.ErrnoDenied }

// Delete is not for these hooks.
func (d *delaying) Delete(int) error { return contract.ErrnoDenied }

// Deliver is not for these hooks.
func (d *delaying) Deliver(int) error { return contract.ErrnoDenied }

// Count is not for these hooks.
func (d *delaying) Count(string) int { return 0 }
