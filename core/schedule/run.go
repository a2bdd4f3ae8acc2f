package schedule

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store"
)

// Bounds of publishing what is due.
const (
	burst      = 256              // messages at once
	burstBytes = 4 << 20          // and their bytes, unless one has more
	look       = time.Second      // how often the wall clock is looked at: it may be set
	again      = time.Second      // after a message found no room; doubled up to
	againMost  = time.Minute      //
	giveUp     = 64               // tries, about an hour
	busyPause  = time.Millisecond // while the disk does not keep up
)

// run publishes what is due until Close.
func (q *Queue) run() {
	defer close(q.done)
	select {
	case <-q.cfg.Ready:
	case <-q.stop:
		return
	}
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		for q.round() {
			select {
			case <-q.stop:
				return
			default:
			}
		}
		t.Reset(q.pause())
		select {
		case <-t.C:
		case <-q.poke:
		case <-q.stop:
			return
		}
	}
}

// pause is how long nothing is due.
func (q *Queue) pause() time.Duration {
	if q.cfg.Journal.Busy() {
		return busyPause
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	d := time.Hour
	if len(q.wall) > 0 {
		d = min(look, time.Duration(q.wall[0].when-q.cfg.Now().UnixNano()))
	}
	if len(q.span) > 0 {
		d = min(d, time.Duration(q.span[0].when)-q.cfg.Elapsed())
	}
	return max(d, 0)
}

// pending is a message whose time has come.
type pending struct {
	entry
	m *message.Message
}

// round publishes the next messages that are due; false: there are none, or the
// disk does not keep up.
func (q *Queue) round() bool {
	if q.cfg.Journal.Busy() {
		return false
	}
	ps, over := q.take()
	if len(ps)+len(over) == 0 {
		return false
	}
	ms := make([]*message.Message, len(ps))
	for i := range ps {
		ms[i] = ps[i].m
	}
	var codes []packet.ReasonCode
	if len(ms) > 0 {
		codes = q.cfg.Publish(ms)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range ps {
		if !q.retry(&ps[i], codes[i]) {
			over = append(over, ps[i].entry)
		}
	}
	if len(over) > 0 {
		q.forget(over...)
	}
	return true
}

// take takes the next messages out of the heaps. over are those that need not be
// published any more: cancelled ones are off the disk, others are to be taken off.
func (q *Queue) take() (ps []pending, over []entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now, elapsed := q.cfg.Now().UnixNano(), int64(q.cfg.Elapsed())
	for size := 0; len(ps) < burst && size < burstBytes && len(over) < burst; {
		h := &q.wall
		if len(q.wall) == 0 || q.wall[0].when > now {
			h = &q.span
			if len(q.span) == 0 || q.span[0].when > elapsed {
				break
			}
		}
		e := h.pop()
		if _, gone := q.gone[e.seq]; gone {
			delete(q.gone, e.seq)
			continue
		}
		m, err := q.read(e)
		switch {
		case errors.Is(err, store.ErrNotFound): // its publisher was never told that it was taken
		case errors.Is(err, store.ErrCorrupt), errors.Is(err, message.ErrForm):
			q.cfg.Log.Error("delayed message lost", zap.String("queue", q.name), zap.Uint64("number", e.seq), zap.Error(err))
			over = append(over, e)
		case err != nil:
			q.cfg.Log.Error("delayed messages not read", zap.String("queue", q.name), zap.Error(err))
			e.when = elapsed + int64(againMost)
			q.span.push(e)
			return ps, over
		case m.Expired(now):
			over = append(over, e)
		default:
			size += m.Size()
			ps = append(ps, pending{e, m})
		}
	}
	return ps, over
}

// read returns a message that waits. mu is held.
func (q *Queue) read(e entry) (*message.Message, error) {
	if m := q.young.get(e.seq); m != nil {
		return m, nil
	}
	var err error
	q.key = appendKey(append(q.key[:0], prefixOf(q.name)...), e.due, e.seq)
	if q.val, err = q.cfg.Journal.Store().Get(q.key, q.val[:0]); err != nil {
		return nil, err
	}
	m, rest, err := message.CutForm(q.val)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes behind it", store.ErrCorrupt, len(rest))
	}
	return m, err
}

// retry puts a message that found no room back for later. mu is held.
func (q *Queue) retry(p *pending, code packet.ReasonCode) bool {
	n := q.tries[p.seq]
	if code != packet.QuotaExceeded && code != packet.ImplementationSpecificError || p.m.QoS == 0 || n >= giveUp {
		delete(q.tries, p.seq)
		if code.Failed() {
			q.cfg.Log.Warn("delayed message not published", zap.String("queue", q.name), zap.String("topic", p.m.Topic),
				zap.String("from", p.m.From), zap.Uint8("reason_code", byte(code)))
		}
		return false
	}
	q.tries[p.seq] = n + 1
	p.when = int64(q.cfg.Elapsed() + min(again<<min(n, 10), againMost))
	q.span.push(p.entry)
	return true
}
