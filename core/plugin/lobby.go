package plugin

import "github.com/dunlinmq/dunlin/pluginsdk/contract"

// Lobby is where the events of an [Instance] wait that has no Manager: a tool runs it by
// itself, answers what its guests have asked for, and looks what they decide. It is the
// [Parked] of the instance's services. The zero Lobby is ready.
type Lobby struct{ parked }

// Let allows the records of a call to be put off. Before the call, behind its Reset.
func (l *Lobby) Let(c *Call) { c.parked = &l.parked }

// Final is what the plugin has decided about a record by now. later: it had put the
// record off; open: it still does, and v is its Pending. The error is as Verdict's.
func (l *Lobby) Final(c *Call, record int) (v contract.Verdict, later, open bool, err error) {
	if v, err = c.Verdict(record); err != nil || v.Action != contract.Pending {
		return v, false, false, err
	}
	t := c.ticketOf(record)
	if t == nil {
		return v, true, true, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.state {
	case decided:
		return t.verdicts.At(0), true, false, nil
	case lost:
		return v, true, true, ErrGone
	}
	return v, true, true, nil
}

// Leave gives up what a call's records wait for.
func (l *Lobby) Leave(c *Call) {
	for _, t := range c.tickets {
		t.Cancel()
	}
}
