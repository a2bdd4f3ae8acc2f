package router

import (
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/metrics"
	"github.com/dunlinmq/dunlin/core/packet"
)

// Subscriber receives matched messages: a client's session (online or not) or a
// plugin's internal subscription.
type Subscriber interface {
	// ClientID names the subscriber; unique in the node.
	ClientID() string
	// Online tells whether the subscriber can send now. Shared groups prefer
	// members that can.
	Online() bool
	// Deliver takes d. It never blocks and calls no hook: it appends to a bounded
	// mailbox and, if the subscriber has to be run, calls b.Touch.
	Deliver(b *Batch, d message.Delivery)
}

// Sink is a subscriber's engine that a batch runs once when all of the batch's
// messages are delivered: one write for many messages.
type Sink interface {
	// Flush runs what was delivered since the sink was touched.
	Flush(b *Batch)
}

// Batch is the work of one socket read (or of one burst of another publisher)
// and the sinks that it touched. It is owned by one goroutine.
type Batch struct {
	Now int64 // Unix nanoseconds; set at the batch's start
	// Count is what happened and is not in the node's metrics yet. Whoever works
	// for the batch counts here without an atomic; a channel hands it over when
	// its call ends, whoever else made the batch does when the batch has ended.
	Count   metrics.Counters
	sinks   []Sink
	matches Matches
	tx      *journal.Tx // what of the batch must survive; nil: nothing yet
	refused int
	reason  packet.ReasonCode // of the last refusal
}

// Refuse says that a delivery which would have to be kept could not be, and what
// its publisher is to be told: see [journal.Refusal].
func (b *Batch) Refuse(reason packet.ReasonCode) {
	b.refused++
	b.reason = reason
}

// Refusal is the reason that the last call of Refuse gave.
func (b *Batch) Refusal() packet.ReasonCode { return b.reason }

// Refused counts the calls of Refuse. Who has asked before and after a delivery
// knows whether it was refused.
func (b *Batch) Refused() int { return b.refused }

// Tx is the batch's transaction in the journal, begun by the first call. Flush
// commits it. The caller fills it at once and does not keep it but to wait for it.
func (b *Batch) Tx(j *journal.Journal) *journal.Tx {
	if b.tx == nil {
		b.tx = j.Begin()
	}
	return b.tx
}

// Mark is how much the batch's transaction has by now. Who has asked before and
// after a call knows whether the call left something that has to be waited for.
func (b *Batch) Mark() int {
	if b.tx == nil {
		return 0
	}
	return b.tx.Len()
}

// Matches is the batch's scratch for [Router.Match], so that matching a message
// allocates nothing. Its content is good until the next call.
func (b *Batch) Matches() *Matches { return &b.matches }

// Touched is how many sinks wait for the batch's end.
func (b *Batch) Touched() int { return len(b.sinks) }

// Touch asks for one Flush of s when the batch ends. The caller makes sure that
// a sink is touched once until it is flushed.
func (b *Batch) Touch(s Sink) { b.sinks = append(b.sinks, s) }

// Flush commits the batch's transaction and runs the touched sinks, and those that
// they touch, until none is left. What the sinks leave is another transaction: the
// answer to a message never gets into the store before the message.
func (b *Batch) Flush() {
	b.commit()
	for i := 0; i < len(b.sinks); i++ {
		b.sinks[i].Flush(b)
	}
	clear(b.sinks)
	b.sinks = b.sinks[:0]
	b.commit()
}

func (b *Batch) commit() {
	if tx := b.tx; tx != nil {
		b.tx = nil
		tx.Commit()
	}
}
