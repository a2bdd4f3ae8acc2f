package plugin

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// lot is records of a log on their way through the plugin: one frame. It belongs to
// run, but for the time between begin and over, when hand has it.
type lot struct {
	frame []byte
	seqs  []uint64
	call  Call
	over  chan struct{} // capacity 1: hand has ended

	publishes bool  // the plugin may publish
	lastTry   bool  // a record that fails now is given up
	done      int   // records from the front that the plugin has done
	err       error // why not all
}

// reset empties l.
func (l *lot) reset() {
	l.frame, l.seqs, l.done, l.err = l.frame[:0], l.seqs[:0], 0, nil
}

// last is the number of the last record; 0: there is none.
func (l *lot) last() uint64 {
	if len(l.seqs) == 0 {
		return 0
	}
	return l.seqs[len(l.seqs)-1]
}

// cut leaves at most the first n records.
func (l *lot) cut(n int) {
	if len(l.seqs) <= n {
		return
	}
	rest := l.frame
	for range n {
		if _, r, err := contract.Split(rest); err == nil { // it was made here
			rest = r
		}
	}
	l.frame, l.seqs = l.frame[:len(l.frame)-len(rest)], l.seqs[:n]
}

// fill appends the records after the number after, as far as a frame has room; one
// alone after several failures. 0 begins with the first that is not done.
func (c *consumer) fill(l *lot, after uint64) error {
	limit := consumeBatch
	if c.failed >= consumeAlone {
		limit = 1
	}
	if len(l.seqs) >= limit {
		return nil
	}
	return c.log.Read(after, func(seq uint64, record []byte) bool {
		if len(l.seqs) > 0 && len(l.frame)+len(record) > contract.MaxFrameBytes {
			return false
		}
		l.frame, l.seqs = append(l.frame, record...), append(l.seqs, seq)
		return len(l.seqs) < limit
	})
}

// begin hands l over. False: there is no version that takes it. The version is not
// held longer than the call: it may wait for its end to let the next one come.
func (c *consumer) begin(l *lot) bool {
	v := c.plugin.acquire()
	if v == nil {
		return false
	}
	h := v.hooks[contract.HookMessage]
	if h == nil {
		v.release()
		return false
	}
	l.cut(v.maxRecords)
	for _, seq := range l.seqs {
		if seq <= c.seen {
			c.again.Add(1)
		} else {
			c.seen = seq
		}
	}
	l.call.Reset()
	l.call.Hook, l.call.Frame, l.call.N = contract.HookMessage, l.frame, len(l.seqs)
	l.publishes = v.spec.Services.Publish != nil
	l.lastTry = h.OnError == manifest.OnErrorDrop && l.call.N == 1 && c.failed >= consumeAlone+consumeGive-1
	go c.hand(l, v)
	return true
}

// hand calls the plugin and notes what it has done.
func (c *consumer) hand(l *lot, v *version) {
	defer func() { l.over <- struct{}{} }()
	defer v.release()
	cost := c.plugin.costOf(contract.HookMessage)
	cost.records.Add(uint64(l.call.N))
	start := cost.begin()
	err := v.inst.Call(v.ctx, &l.call)
	cost.end(start)
	for l.done < l.call.N && err == nil {
		d, fault := l.call.Verdict(l.done)
		if fault != nil {
			err = fault
		} else if d.Action == contract.Deny {
			err = fmt.Errorf("%w: %s", errNotTaken, d.Text())
		} else {
			l.done++
		}
	}
	if err != nil && !errors.Is(err, errNotTaken) {
		c.plugin.faults.Add(1)
		cost.faults.Add(1)
	}
	if err != nil && l.done == 0 && l.lastTry {
		c.gone.Add(1)
		c.plugin.log.Error("record given up", zap.Uint64("record", l.seqs[0]), zap.Error(err))
		l.done, err = 1, nil
	}
	l.err = err
}

// settle publishes what came of the records of l that are done and moves the cursor
// over them. It returns how many those are.
func (c *consumer) settle(l *lot) (int, error) {
	if l.done == 0 {
		return 0, nil
	}
	if !c.publish(l) {
		return 0, errNoRoom
	}
	return l.done, c.log.Ack(l.seqs[l.done-1])
}

// publish takes the messages of the verdicts that are done into the publish
// pipeline. What must survive of them is in the journal before the cursor moves, and
// the journal keeps its order: a crash brings the record again or has its messages.
// False: there was no room for one of QoS 1 or 2, so the records come again.
func (c *consumer) publish(l *lot) bool {
	c.out = c.out[:0]
	frame := l.frame
	for i := range l.done {
		r, rest, err := contract.Split(frame)
		if err != nil {
			return true // it was made here
		}
		frame = rest
		if d, fault := l.call.Verdict(i); fault == nil {
			c.collect(d, r.Flags().Hops())
		}
	}
	if len(c.out) == 0 {
		return true
	}
	defer func() {
		clear(c.out)
		c.slab.Reset()
	}()
	if !l.publishes {
		c.plugin.log.Error("messages not published: the manifest does not ask for the capability publish", zap.Int("messages", len(c.out)))
		return true
	}
	return c.plugin.host.Publish(c.out) == 0
}

// collect appends the messages of a verdict. Above event.MaxHops they are counted
// and left out.
func (c *consumer) collect(d contract.Verdict, hops uint8) {
	list, _ := d.Ext(contract.ExtPublishes)
	for len(list) > 0 {
		r, rest, err := contract.Split(list)
		if err != nil {
			return // the block was checked
		}
		list = rest
		if hops >= event.MaxHops {
			c.plugin.looped()
			continue
		}
		c.out = append(c.out, event.Publication(&c.slab, r, event.Cause{From: c.plugin.name, Hops: hops, Now: c.plugin.now()}))
	}
}
