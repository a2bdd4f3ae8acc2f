package registry

import (
	"sync"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/router"
)

// Mailbox is a drained batch of deliveries, oldest first, and what operators ask.
type Mailbox struct {
	Deliveries []message.Delivery
	Commands   []Command

	waits []wait // transactions with some of Deliveries, oldest first
}

// wait says that deliveries before upTo, from the end of the wait before it, are
// safe when tx has ended.
type wait struct {
	upTo int
	tx   *journal.Tx
}

var mailboxes = sync.Pool{New: func() any { return &Mailbox{Deliveries: make([]message.Delivery, 0, 64)} }}

// Free gives the mailbox back for reuse, however full a batch has made it: the
// collector empties the pool of what nobody takes. A nil mailbox is fine.
func (m *Mailbox) Free() {
	if m == nil || cap(m.Deliveries) > MailboxLimit {
		return
	}
	clear(m.Deliveries)
	m.Deliveries, m.Commands, m.waits = m.Deliveries[:0], nil, nil
	mailboxes.Put(m)
}

// add appends d. One with a place in the journal waits for b's transaction, and
// c is resumed when that has ended.
func (m *Mailbox) add(b *router.Batch, c *Client, d message.Delivery) {
	m.Deliveries = append(m.Deliveries, d)
	if d.Seq == 0 {
		return
	}
	tx := b.Tx(c.reg.cfg.Journal)
	n := len(m.Deliveries)
	if k := len(m.waits); k > 0 && m.waits[k-1].tx == tx {
		m.waits[k-1].upTo = n
		return
	}
	m.waits = append(m.waits, wait{n, tx})
	tx.Wait(c)
}

// ripe splits the mailbox: what may go out, and what has to wait; nil for
// nothing. What a failed transaction had is dropped: its publisher has no
// acknowledgement.
func (m *Mailbox) ripe() (ready, rest *Mailbox) {
	n, k, lost := 0, 0, 0
	for ; k < len(m.waits); k++ {
		over, err := m.waits[k].tx.Ended()
		if !over {
			break
		}
		to := m.waits[k].upTo
		if err != nil {
			lost += m.lose(n, to)
		}
		n = to
	}
	if k == len(m.waits) {
		m.waits = nil
		if lost > 0 {
			m.compact()
		}
		return m, nil
	}
	if n == 0 && len(m.Commands) == 0 {
		return nil, m
	}
	ready = mailboxes.Get().(*Mailbox)
	ready.Deliveries = append(ready.Deliveries, m.Deliveries[:n]...)
	ready.Commands, m.Commands = m.Commands, nil
	if lost > 0 {
		ready.compact()
	}
	left := copy(m.Deliveries, m.Deliveries[n:])
	clear(m.Deliveries[left:])
	m.Deliveries = m.Deliveries[:left]
	m.waits = append([]wait(nil), m.waits[k:]...)
	for i := range m.waits {
		m.waits[i].upTo -= n
	}
	return ready, m
}

// lose takes the message off the deliveries from..to that have a place.
func (m *Mailbox) lose(from, to int) (n int) {
	for i := from; i < to; i++ {
		if m.Deliveries[i].Seq != 0 {
			m.Deliveries[i].Msg = nil
			n++
		}
	}
	return n
}

// compact removes deliveries without a message.
func (m *Mailbox) compact() {
	kept := m.Deliveries[:0]
	for _, d := range m.Deliveries {
		if d.Msg != nil {
			kept = append(kept, d)
		}
	}
	clear(m.Deliveries[len(kept):])
	m.Deliveries = kept
}

// PutBack returns a drained mailbox to its place before what has come since, so
// that Release keeps it with the session.
func (c *Client) PutBack(box *Mailbox) {
	if box == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inbox != nil {
		for _, w := range c.inbox.waits {
			box.waits = append(box.waits, wait{w.upTo + len(box.Deliveries), w.tx})
		}
		box.Deliveries = append(box.Deliveries, c.inbox.Deliveries...)
		box.Commands = append(box.Commands, c.inbox.Commands...)
	}
	c.inbox = box
}

// Resume implements journal.Waiter: what the mailbox holds may be safe now.
func (c *Client) Resume() {
	c.mu.Lock()
	runner, wake := c.runner, !c.woken && c.runner != nil
	c.woken = c.woken || wake
	c.mu.Unlock()
	if wake {
		runner.Wake(nil)
	}
}

// Pending is how many deliveries the mailbox holds.
func (c *Client) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inbox == nil {
		return 0
	}
	return len(c.inbox.Deliveries)
}
