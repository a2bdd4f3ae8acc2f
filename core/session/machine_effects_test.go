package session

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// effects prints what the last command asked for.
func (m *machine) effects() string {
	var b strings.Builder
	for i := range m.e.Send {
		o := &m.e.Send[i]
		switch {
		case o.Rel:
			fmt.Fprintf(&b, "out pubrel id=%d\n", o.PacketID)
			continue
		case o.QoS == 0:
			fmt.Fprintf(&b, "out publish %s qos=0", describe(o.Delivery))
		default:
			fmt.Fprintf(&b, "out publish %s qos=%d id=%d", describe(o.Delivery), o.QoS, o.PacketID)
		}
		if o.Dup {
			b.WriteString(" dup")
		}
		b.WriteString("\n")
	}
	for i := range m.e.Drops {
		fmt.Fprintf(&b, "drop %s %s\n", describe(m.e.Drops[i].Delivery), m.e.Drops[i].Reason)
	}
	for _, a := range m.e.Acked {
		fmt.Fprintf(&b, "acked %s#%s\n", a.Topic, a.Payload)
	}
	for _, v := range m.e.Moves {
		switch v.Step {
		case StepOver:
			fmt.Fprintf(&b, "over place=%d\n", v.Seq)
		case StepReceived:
			fmt.Fprintf(&b, "received place=%d\n", v.Seq)
		case StepForgotten:
			fmt.Fprintf(&b, "forgotten id=%d\n", v.ID)
		}
	}
	if m.e.Load {
		b.WriteString("load\n")
	}
	if m.e.Completed > 0 {
		fmt.Fprintf(&b, "completed %d\n", m.e.Completed)
	}
	return b.String()
}

// durable runs the commands about the journal.
func (m *machine) durable(name string, a args) bool {
	switch name {
	case "load":
		m.want(a.num("n", 64))
		m.s.Load(m.now, m.wanted, &m.e)
	case "want": // as load, but for other commands before bring
		m.want(a.num("n", 64))
	case "bring":
		m.s.Load(m.now, m.wanted, &m.e)
	case "lose":
		delete(m.journal, uint64(a.num("place", 0)))
	case "journal":
		for _, seq := range slices.Sorted(maps.Keys(m.journal)) {
			m.printf("place %d %s\n", seq, describe(m.journal[seq].Delivery))
		}
		for _, id := range slices.Sorted(maps.Keys(m.inbound)) {
			m.printf("inbound %d\n", id)
		}
	case "crash":
		m.crash()
	default:
		return false
	}
	return true
}

// want reads what the session wants, as the journal has it now.
func (m *machine) want(n int) {
	m.wanted = nil
	for _, seq := range m.s.Wanted(nil, n) {
		l := m.journal[seq]
		l.Seq = seq
		m.wanted = append(m.wanted, l)
	}
}

// crash makes the session again of what the journal has.
func (m *machine) crash() {
	var r Recovered
	for _, seq := range slices.Sorted(maps.Keys(m.journal)) {
		if m.journal[seq].Msg == nil {
			r.Received = append(r.Received, seq)
		} else {
			r.Kept = append(r.Kept, Kept{seq, m.journal[seq].Msg.Size(), m.journal[seq].Msg.Topic})
		}
	}
	r.Awaiting = slices.Sorted(maps.Keys(m.inbound))
	m.s = New("c", m.cfg, m.now)
	m.s.Recover(r, m.now)
}

// write does to the journal what the effects ask for.
func (m *machine) write() {
	for i := range m.e.Drops {
		delete(m.journal, m.e.Drops[i].Seq)
	}
	for _, v := range m.e.Moves {
		switch v.Step {
		case StepOver:
			delete(m.journal, v.Seq)
		case StepReceived:
			m.journal[v.Seq] = Loaded{}
		case StepForgotten:
			delete(m.inbound, v.ID)
		}
	}
}

// checkInvariants recounts everything that the session keeps a count of.
func checkInvariants(s *Session) error {
	f := &s.inflight
	quota, unsent, used := 0, 0, 0
	seen := map[uint16]bool{}
	f.each(func(en *entry) {
		seen[en.id] = true
		if en.flags&flagQuota != 0 {
			quota++
		}
		if en.flags&flagUnsent != 0 {
			unsent++
		}
		if en.msg.Seq != 0 && en.id != packetID(en.msg.Seq) {
			quota = math.MinInt
		}
		if (en.flags&flagRel == 0) != (en.msg.Msg != nil) {
			quota = math.MinInt
		}
	})
	for i := range f.slots {
		if f.slots[i].id != 0 {
			used++
		}
	}
	if seen[0] || len(seen) != f.count || used != f.count || quota != f.quota || unsent != f.unsent {
		return fmt.Errorf("inflight: count %d (ids %d, slots %d), quota %d (%d), unsent %d (%d)",
			f.count, len(seen), used, f.quota, quota, f.unsent, unsent)
	}
	if s.attached && f.quota > int(s.window) {
		return fmt.Errorf("quota %d is over the window %d", f.quota, s.window)
	}
	free := f.usable() - f.count
	if f.named {
		free = 0 // the list is not kept
	}
	for n, i := free, f.free; n > 0; n-- {
		if f.slots[i].id != 0 {
			return fmt.Errorf("slot %d is free and taken", i)
		}
		if n == 1 && i != f.freeTail {
			return fmt.Errorf("the free list ends at %d, not %d", i, f.freeTail)
		}
		i = f.slots[i].next
	}
	count, qos0, bytes := 0, 0, int64(0)
	if s.queue != nil {
		for i := range s.queue.levels {
			l := &s.queue.levels[i]
			count += l.kept.len()
			bytes += l.bytes
			for _, n := range l.kept.sizes {
				bytes -= int64(n)
			}
			if len(l.kept.sizes) != len(l.kept.seqs) {
				return fmt.Errorf("%d places have %d sizes", len(l.kept.seqs), len(l.kept.sizes))
			}
		}
	}
	s.queue.each(func(q *queued) {
		count++
		bytes -= q.size()
		if q.qos == 0 {
			qos0++
		}
	})
	if s.queue != nil && (count != s.queue.count || qos0 != s.queue.qos0) {
		return fmt.Errorf("queue: %d and %d, counted %d and %d", s.queue.count, s.queue.qos0, count, qos0)
	}
	if bytes != 0 {
		return fmt.Errorf("queue: counted %d bytes too many", bytes)
	}
	return nil
}
