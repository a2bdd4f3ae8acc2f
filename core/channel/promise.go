package channel

import (
	"errors"
	"sync"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store"
)

// maxPromised is how many bytes of answers may wait for the store before the
// client is not read any more.
const maxPromised = 64 << 10

// promises are answers that wait until what they promise is safe, in the order
// in which they are to be sent.
type promises struct {
	out   []byte
	marks []promise // oldest first; the last ends with out
}

// promise is the answers up to end, from the end of the one before it.
type promise struct {
	tx  *journal.Tx
	end int
}

var promisePool = sync.Pool{New: func() any { return new(promises) }}

// promise holds back the answers from io.Out[from:] if what they answer has left
// something in the batch's transaction since mark was taken, or if earlier
// answers are held back: they keep their order [MQTT-4.6.0-2].
func (c *Channel) promise(io *IO, from, mark int) {
	grown := io.Batch.Mark() != mark
	if from == len(io.Out) || !grown && c.promises == nil {
		return
	}
	p := c.promises
	if p == nil {
		p = promisePool.Get().(*promises)
		c.promises = p
	}
	p.out = append(p.out, io.Out[from:]...)
	io.Out = io.Out[:from]
	if grown {
		tx := io.Batch.Tx(c.env.Journal)
		if n := len(p.marks); n == 0 || p.marks[n-1].tx != tx {
			p.marks = append(p.marks, promise{tx: tx})
			tx.Wait(c)
		}
	}
	p.marks[len(p.marks)-1].end = len(p.out)
}

// Resume implements journal.Waiter: a transaction has ended.
func (c *Channel) Resume() { c.wake.Wake(nil) }

// redeem sends the answers whose transactions have ended. When one has failed,
// nothing more may be acknowledged, and the client is told to go: elsewhere, or
// later, it sends again what it has no answer for.
func (c *Channel) redeem(io *IO) {
	p := c.promises
	if p == nil {
		return
	}
	k, end := 0, 0
	for ; k < len(p.marks); k++ {
		over, err := p.marks[k].tx.Ended()
		if !over {
			break
		}
		if err != nil {
			c.fail(io, &fault{packet.ImplementationSpecificError, "the store has failed: nothing more is acknowledged"})
			return
		}
		end = p.marks[k].end
	}
	if k == 0 {
		return
	}
	io.Out = append(io.Out, p.out[:end]...)
	p.out = p.out[:copy(p.out, p.out[end:])]
	left := copy(p.marks, p.marks[k:])
	clear(p.marks[left:])
	p.marks = p.marks[:left]
	for i := range p.marks {
		p.marks[i].end -= end
	}
	if left == 0 {
		c.promises = nil
		if cap(p.out) <= maxPromised {
			promisePool.Put(p)
		}
	}
}

// overdue tells that the client has to wait for the store before it is read on.
func (c *Channel) overdue() bool {
	return c.promises != nil && (len(c.promises.out) > maxPromised || c.env.Journal.Busy())
}

// begun is a handshake that waits for the session to be safe.
type begun struct {
	txs     []*journal.Tx
	present bool
}

// begin makes the session durable if it is to outlive the connection; the
// handshake goes on in welcome, at once for a session in memory.
func (c *Channel) begin(io *IO, t *turn, present bool) {
	txs, err := c.owner.Begin(io.Batch, c.terms())
	c.begun = &begun{txs, present}
	if err != nil {
		f := &fault{packet.ServerUnavailable, err.Error()}
		if errors.Is(err, store.ErrFull) {
			f.code = packet.QuotaExceeded
		}
		c.refuse(io, f)
		return
	}
	for _, tx := range txs {
		tx.Wait(c)
	}
	c.proceed(io, t)
}

// proceed goes on with the handshake when all that it waits for has ended.
func (c *Channel) proceed(io *IO, t *turn) {
	for _, tx := range c.begun.txs {
		over, err := tx.Ended()
		switch {
		case !over:
			return
		case err != nil:
			c.refuse(io, &fault{packet.ServerUnavailable, "the store has failed: no session can be kept"})
			return
		}
	}
	present := c.begun.present
	c.begun = nil
	c.welcome(io, t, present)
}
