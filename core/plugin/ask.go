package plugin

import (
	"unsafe"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// asking is the memory of one call; kept in a pool.
type asking struct {
	call Call
	enc  event.Encoder
	at   []int // record -> event
	ans  event.Answer

	verdicts [7]uint32 // of the call, by action
}

// ask asks plugin p about the events of one socket read: one call for all that
// are in scope, more only above the limits of a frame.
func ask[E any](p *loaded, k contract.Hook, es []E, o *event.Ops[E]) {
	askAgain(p, es, question[E]{hook: k, ops: o})
}

// question is what a plugin is asked.
type question[E any] struct {
	hook  contract.Hook
	ops   *event.Ops[E]
	asked int // how often the plugin was asked before, and lost before it decided
}

// askAgain is ask about events that the plugin may have been asked about before.
func askAgain[E any](p *loaded, es []E, q question[E]) {
	v := p.acquire()
	if v == nil {
		return
	}
	defer v.release()
	h, o := v.hooks[q.hook], q.ops
	if h == nil {
		return
	}
	i := 0
	for i < len(es) && !o.Wants(&p.party, h, &es[i]) {
		i++
	}
	if i == len(es) {
		return
	}
	t := turn[E]{plugin: p, version: v, hook: h, es: es, ops: o, asking: p.asking(), asked: q.asked}
	defer p.done(t.asking)
	for i < len(es) {
		i = t.fill(i)
		if len(t.at) > 0 {
			t.carry()
		}
	}
}

// turn is one plugin's turn at the events of one socket read.
type turn[E any] struct {
	plugin  *loaded
	version *version
	hook    *event.Binding
	es      []E
	ops     *event.Ops[E]
	asked   int
	*asking
}

// one makes a slice of a single event in place.
func one[E any](e *E) []E { return unsafe.Slice(e, 1) }

// fill encodes events from es[i] on into the frame, up to the limits of a
// frame, and returns the index of the first event that is not in it.
func (t *turn[E]) fill(i int) int {
	t.enc.Start(t.hook, t.plugin.now())
	t.at = t.at[:0]
	for ; i < len(t.es) && len(t.at) < t.version.maxRecords; i++ {
		e := &t.es[i]
		if !t.ops.Wants(&t.plugin.party, t.hook, e) {
			continue
		}
		n, size := t.enc.Count(), t.enc.Len()
		t.ops.Encode(&t.enc, t.hook.Hook, e)
		if n > 0 && t.enc.Len() > contract.MaxFrameBytes {
			t.enc.Truncate(n, size)
			break
		}
		t.at = append(t.at, i)
	}
	return i
}

// carry hands the frame to the plugin and the verdicts to the events.
func (t *turn[E]) carry() {
	c := &t.call
	c.Reset()
	c.Hook, c.Frame, c.N, c.Hops = t.hook.Hook, t.enc.Frame(), len(t.at), t.enc.Hops
	c.Key, c.parked = t.ops.Key(&t.es[t.at[0]]), t.version.parked
	if t.ops.Records != nil {
		c.Records = t.ops.Records(&t.plugin.party, t.es, t.at)
	}
	cost := t.plugin.costOf(t.hook.Hook)
	cost.records.Add(uint64(c.N))
	start := cost.begin()
	err := t.version.inst.Call(t.version.ctx, c)
	cost.end(start)
	c.Records = nil
	ans := &t.ans
	ans.Plugin, ans.Binding, ans.Now = &t.plugin.party, t.hook, t.enc.Now
	for r, i := range t.at {
		fault := c.read(r, &ans.Verdict)
		switch {
		case fault != nil:
			cost.faults.Add(1)
		case ans.Action == contract.Pending:
			t.verdicts[contract.Pending]++
			t.park(c.ticketOf(r), &t.es[i])
			continue
		default:
			t.verdicts[ans.Action]++
			t.ops.Apply(ans, &t.es[i])
			continue
		}
		if err != nil {
			fault = err
		}
		t.plugin.faulted(t.hook, fault)
		t.ops.Fail(t.hook, &t.es[i])
	}
	cost.decided(&t.verdicts)
	ans.Verdict = contract.Verdict{}
}

// faulted counts a fault of p that on_error had to answer, and logs it.
func (p *loaded) faulted(h *event.Binding, err error) {
	p.faults.Add(1)
	p.log.Warn("plugin fault", zap.String("hook", h.Hook.String()), zap.Error(err))
}
