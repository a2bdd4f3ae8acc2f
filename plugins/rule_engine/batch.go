//go:build !wasip1

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/rules"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

type sinkItem = sink.Item

// batch collects what the actions of one frame do. Owned by the handlers.
type batch struct {
	engine *Engine
	tx     rules.Tx
	queued *buffer.Tx // nil: nothing yet
	fault  error      // why no message of the frame is done
	next   []link     // published by rules, not yet seen by the others
}

// link is a message that a rule has published, on its way to other rules.
type link struct {
	m     rules.Message
	depth int
}

// The limits of one message's consequences.
const (
	maxDepth     = 8                   // rules one after another
	maxPublished = contract.MaxRecords // messages for one record
	openPatience = 20 * time.Second    // for the process before this one to let the queues go
	depthOfFirst = 1
)

var errTooMany = fmt.Errorf("one message makes more than %d others", maxPublished)

// begin makes the services of actions. Called once.
func (b *batch) begin(e *Engine) {
	b.engine = e
	b.tx = rules.Tx{Queue: b.queue, Publish: func(m rules.Message) error { return b.publish(m, depthOfFirst) }}
}

// queue puts a row in the queue of a resource. A queue that is full makes the
// broker's log wait with the whole frame, or lets its oldest rows go.
func (b *batch) queue(id, action string, row *sql.Map) error {
	buf, err := b.engine.open(openPatience)
	if err != nil {
		b.fault = fmt.Errorf("the queues cannot be opened: %w", err)
		return b.fault
	}
	q, drops := b.engine.resources.Queue(id)
	if q == nil {
		return fmt.Errorf("there is no resource %q any more", id)
	}
	if b.queued == nil {
		b.queued = buf.Begin()
	}
	item := sink.EncodeItem(sink.Item{Action: action, Row: row.AppendJSON(nil)})
	err = b.queued.Add(q, item)
	if errors.Is(err, buffer.ErrFull) && drops {
		if _, err = q.DropOldest(int64(len(item))); err == nil {
			err = b.queued.Add(q, item)
		}
	}
	if errors.Is(err, buffer.ErrFull) && !drops {
		b.fault = fmt.Errorf("the queue of the resource %s is full, so that rules wait: is it down? buffer_size and buffer_full are its settings", id)
	}
	return err
}

// publish takes a message that leaves with the answer to the record.
func (b *batch) publish(m rules.Message, depth int) error {
	e := b.engine
	if len(e.also) >= maxPublished {
		return errTooMany
	}
	e.also = append(e.also, sdk.Message{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain})
	if e.rules.Matches(m.Topic) {
		b.next = append(b.next, link{m, depth})
	}
	return nil
}

// chain shows what rules have published to the other rules, as the broker would if
// it came from elsewhere. A rule does not see its own, and no chain is longer than
// maxDepth.
func (b *batch) chain() {
	for i := 0; i < len(b.next); i++ {
		l := b.next[i]
		if l.depth >= maxDepth {
			b.engine.failed(l.m.Rule, fmt.Errorf("loop: %s was published on by %d rules one after another", l.m.Topic, maxDepth))
			continue
		}
		tx := b.tx
		tx.Event = republished(l.m)
		tx.Publish = func(m rules.Message) error { return b.publish(m, l.depth+1) }
		b.engine.rules.Message(&tx, l.m.Topic, l.m.Rule, &b.engine.scratch)
		b.tx.Bytes = tx.Bytes
	}
	clear(b.next)
	b.next = b.next[:0]
}

// republished is a rule's message as an event.
func republished(m rules.Message) sql.Row {
	now, flags := sql.IntOf(time.Now().UnixMilli()), &sql.Map{}
	flags.Set("dup", sql.BoolOf(false))
	flags.Set("retain", sql.BoolOf(m.Retain))
	return sql.Row{
		sql.ColEvent: sql.StringOf("message.publish"), sql.ColTimestamp: now, sql.ColNode: sql.StringOf(sdk.Node()), sql.ColClientID: sql.StringOf(m.Rule),
		sql.ColPayload: sql.StringOf(string(m.Payload)), sql.ColTopic: sql.StringOf(m.Topic), sql.ColQoS: sql.IntOf(int64(m.QoS)),
		sql.ColFlags: sql.ObjectOf(flags), sql.ColPublishReceivedAt: now,
	}
}

// commit ends a frame: its rows are on the disk, or the frame comes again.
func (b *batch) commit() error {
	tx, err := b.queued, b.fault
	b.queued, b.fault = nil, nil
	if tx == nil {
		return err
	}
	if err != nil {
		tx.Cancel()
		return err
	}
	return tx.Commit()
}
