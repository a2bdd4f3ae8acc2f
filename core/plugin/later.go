package plugin

import (
	"errors"
	"fmt"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/core/schedule"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// later is a plugin's [Later]. The queue is there from the first version on that
// may have it until the plugin is unloaded; what waits stays on the disk.
type later struct {
	queue *schedule.Queue
}

// openLater gives p its queue. It is called with the manager's change held.
func (p *loaded) openLater() (Later, error) {
	q := p.party.Later.Load()
	if q == nil {
		var err error
		if q, err = p.host.Schedules.Load("plugin/" + p.name); err != nil {
			return nil, err
		}
		p.party.Later.Store(q)
	}
	return &later{q}, nil
}

// closeLater stops publishing what waits.
func (p *loaded) closeLater() {
	if q := p.party.Later.Swap(nil); q != nil {
		q.Close()
	}
}

// Page implements [Later].
func (l *later) Page(dst []byte, due int64, seq uint64, limit int) ([]byte, error) {
	var w event.Encoder
	w.Fields = contract.AllSlots
	w.Reset(nil)
	err := l.queue.List(due, seq, func(e schedule.Waiting) bool {
		w.Waiting(e.Due, e.Seq, e.Message)
		return w.Count() < limit
	})
	if err != nil {
		return dst, fmt.Errorf("%w: %w", contract.ErrnoInternal, err)
	}
	return append(dst, w.Frame()...), nil
}

// Due implements [Later].
func (l *later) Due(seq uint64) (int64, error) {
	due, err := l.queue.Due(seq)
	if errors.Is(err, schedule.ErrNotFound) {
		err = contract.ErrnoNotFound
	}
	return due, err
}

// Cancel implements [Later].
func (l *later) Cancel(seq uint64) error {
	if err := l.queue.Cancel(seq); errors.Is(err, schedule.ErrNotFound) {
		return contract.ErrnoNotFound
	}
	return nil
}

// Len implements [Later].
func (l *later) Len() int { return l.queue.Len() }

// Due is a time as guests say it: contract.ScheduleAfter or ScheduleAt, and
// milliseconds.
type Due struct {
	Kind int32
	MS   int64
}

// Schedule keeps the message of a record of a publish or will call until it is due.
// The errors are contract.Errno values.
func Schedule(rs Records, record int, topic string, d Due) (uint64, error) {
	s, ok := rs.(event.Scheduler)
	if !ok {
		return 0, contract.ErrnoDenied
	}
	var w schedule.When
	switch {
	case d.Kind == contract.ScheduleAfter && d.MS >= 0 && d.MS <= contract.MaxSchedule:
		w.After = time.Duration(d.MS) * time.Millisecond
	case d.Kind == contract.ScheduleAt && d.MS > 0 && d.MS <= time.Now().UnixMilli()+contract.MaxSchedule:
		w.At = time.UnixMilli(d.MS)
	default:
		return 0, contract.ErrnoInvalid
	}
	return s.Schedule(record, topic, w)
}

// Delayed is how many messages wait for their time, for all plugins.
func (m *Manager) Delayed() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.plugins {
		if q := p.party.Later.Load(); q != nil {
			n += q.Len()
		}
	}
	return n
}
