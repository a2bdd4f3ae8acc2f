package plugin

import (
	"errors"
	"fmt"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Call is one frame on its way through one plugin, and what came back. The
// manager makes it; a transport reads the first part and answers through Take
// and Fail. It is owned by one goroutine at a time.
type Call struct {
	// Hook is the hook of every record; of the first one in an observe batch,
	// which may mix hooks.
	Hook contract.Hook
	// Observe says that nobody waits for verdicts: the instance may return as
	// soon as the plugin has taken the frame, and need not Take.
	Observe bool
	// Frame is N records back to back in the contract's layout. Read only; not
	// to be kept after Call returns.
	Frame []byte
	N     int
	// Key is the shard key: the connection of the records. Observe batches mix
	// connections and have Key 0.
	Key uint64
	// Hops is the highest hop count of the records' messages.
	Hops uint8
	// Records are the topicstore services of a retained call; nil otherwise.
	Records Records
	// Guest names the guest instance or process that answers, unique within the
	// version. The transport sets it before Take: what the guest puts off it alone
	// can decide. The manager sets it to send a frame to that guest only.
	Guest uint64

	parked  *parked   // where Take registers what is put off; nil: nothing can be
	tickets []*ticket // what was put off

	// Owned by the transport while Instance.Call runs.
	parts  []part
	used   int     // of parts
	faults []error // nil: none; else one a record
}

// part is the verdicts of records [from, from+Len()).
type part struct {
	from     int
	verdicts contract.Verdicts
}

// Take accepts the verdict block of the n records from record on: an empty one
// is Next for all. The block is validated and copied. An error means that the
// block is bad, which is a fault of the plugin; nothing was taken then. A later
// Take replaces an earlier one for the same record.
func (c *Call) Take(from, n int, block []byte) error {
	if from < 0 || n <= 0 || from+n > c.N {
		return fmt.Errorf("verdicts for records %d..%d of %d", from, from+n, c.N)
	}
	frame, err := c.Sub(from, n)
	if err != nil {
		return err
	}
	if c.used == len(c.parts) {
		c.parts = append(c.parts, part{})
	}
	p := &c.parts[c.used]
	p.from = from
	if err := p.verdicts.Load(frame, n, block); err != nil {
		return err
	}
	if err := c.putOff(from, n, frame, &p.verdicts); err != nil {
		return err
	}
	c.used++
	return nil
}

// putOff registers the records whose verdict comes later, before the guest can
// say anything about them.
func (c *Call) putOff(from, n int, frame []byte, vs *contract.Verdicts) error {
	if !vs.AnyPending() {
		return nil
	}
	var ts []*ticket
	for i := range n {
		d := vs.At(i)
		if d.Action != contract.Pending {
			continue
		}
		r, err := recordAt(frame, i)
		if err != nil {
			return err
		}
		if t := c.pending(from+i, r, d, time.Now()); t != nil {
			ts = append(ts, t)
		}
	}
	if ts == nil {
		return nil
	}
	if c.parked == nil {
		return errors.New("a verdict was put off that nobody can wait for")
	}
	if err := c.parked.add(ts); err != nil {
		return err
	}
	c.tickets = append(c.tickets, ts...)
	return nil
}

// recordAt is record i of a frame.
func recordAt(frame []byte, i int) (r contract.Record, err error) {
	for range i + 1 {
		if r, frame, err = contract.Split(frame); err != nil {
			return r, err
		}
	}
	return r, nil
}

// ticketOf is the ticket of a record; nil: it was not put off.
func (c *Call) ticketOf(record int) *ticket {
	for _, t := range c.tickets {
		if t.record == record {
			return t
		}
	}
	return nil
}

// Sub is the part of the frame that holds the n records from record on.
func (c *Call) Sub(from, n int) ([]byte, error) {
	if from == 0 && n == c.N {
		return c.Frame, nil
	}
	rest := c.Frame
	start := 0
	for i := range from + n {
		if i == from {
			start = len(c.Frame) - len(rest)
		}
		var err error
		if _, rest, err = contract.Split(rest); err != nil {
			return nil, err
		}
	}
	return c.Frame[start : len(c.Frame)-len(rest)], nil
}

// Fail marks one record as faulted: its hook's on_error policy applies.
func (c *Call) Fail(record int, err error) {
	if c.faults == nil {
		c.faults = make([]error, c.N)
	}
	if record >= 0 && record < len(c.faults) {
		c.faults[record] = err
	}
}

// Verdict is what the plugin decided about a record; an error if it faulted, or
// if nobody answered.
func (c *Call) Verdict(record int) (v contract.Verdict, err error) {
	err = c.read(record, &v)
	return v, err
}

// read is Verdict in place.
func (c *Call) read(record int, v *contract.Verdict) error {
	if c.faults != nil && c.faults[record] != nil {
		*v = contract.Verdict{}
		return c.faults[record]
	}
	for i := c.used - 1; i >= 0; i-- {
		p := &c.parts[i]
		if record >= p.from && record < p.from+p.verdicts.Len() {
			p.verdicts.Read(record-p.from, v)
			return nil
		}
	}
	*v = contract.Verdict{}
	return ErrTimeout
}

// Reset makes c ready for another frame and keeps the memory of its verdicts.
func (c *Call) Reset() { *c = Call{parts: c.parts} }
