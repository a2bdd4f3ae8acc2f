package plugin

import (
	"unsafe"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// hookBinding is one hook of one version of a plugin. Immutable.
type hookBinding struct {
	HookSpec
	scope   scope
	onError OnError // "": by QoS, see messagePolicy
	reason  packet.ReasonCode
}

// ops is how events of one type go to a plugin and their verdicts come back.
type ops[E any] struct {
	// wants tells whether the plugin is to be asked: undecided and in scope.
	wants func(p *loaded, h *hookBinding, e *E) bool
	// key is the event's connection.
	key func(e *E) uint64
	// encode writes one record.
	encode func(w *encoder, k contract.Hook, e *E)
	// apply writes the plugin's verdict into the event.
	apply func(a *answer, e *E)
	// fail applies the policy to an event whose plugin faulted.
	fail func(h *hookBinding, e *E)
	// records, if set, gives the topicstore services of the call: at[i] is the
	// index in es of record i.
	records func(p *loaded, es []E, at []int) Records
}

// answer is one verdict with what is needed to carry it out.
type answer struct {
	contract.Verdict
	plugin *loaded
	now    int64
}

// asking is the memory of one call; kept in a pool.
type asking struct {
	call Call
	enc  encoder
	at   []int // record -> event
	ans  answer
}

// ask asks plugin p about the events of one socket read: one call for all that
// are in scope, more only above the limits of a frame.
func ask[E any](p *loaded, k contract.Hook, es []E, o *ops[E]) {
	v := p.acquire()
	if v == nil {
		return
	}
	defer v.release()
	h := v.hooks[k]
	if h == nil {
		return
	}
	i := 0
	for i < len(es) && !o.wants(p, h, &es[i]) {
		i++
	}
	if i == len(es) {
		return
	}
	a := p.asking()
	defer p.done(a)
	for i < len(es) {
		i = fill(a, v, h, es, i, o, p)
		if len(a.at) > 0 {
			carry(a, v, h, es, o, p)
		}
	}
}

// one makes a slice of a single event in place.
func one[E any](e *E) []E { return unsafe.Slice(e, 1) }

// fill encodes events from es[i] on into a's frame, up to the limits of a
// frame, and returns the index of the first event that is not in it.
func fill[E any](a *asking, v *version, h *hookBinding, es []E, i int, o *ops[E], p *loaded) int {
	a.enc.start(h, p.now())
	a.at = a.at[:0]
	for ; i < len(es) && len(a.at) < v.maxRecords; i++ {
		e := &es[i]
		if !o.wants(p, h, e) {
			continue
		}
		n, size := a.enc.Count(), a.enc.Len()
		o.encode(&a.enc, h.Hook, e)
		if n > 0 && a.enc.Len() > contract.MaxFrameBytes {
			a.enc.Truncate(n, size)
			break
		}
		a.at = append(a.at, i)
	}
	return i
}

// carry hands a's frame to the plugin and the verdicts to the events.
func carry[E any](a *asking, v *version, h *hookBinding, es []E, o *ops[E], p *loaded) {
	c := &a.call
	c.Reset()
	c.Hook, c.Frame, c.N, c.Hops = h.Hook, a.enc.Frame(), len(a.at), a.enc.hops
	c.Key = o.key(&es[a.at[0]])
	if o.records != nil {
		c.Records = o.records(p, es, a.at)
	}
	err := v.inst.Call(v.ctx, c)
	c.Records = nil
	ans := &a.ans
	ans.plugin, ans.now = p, a.enc.now
	for r, i := range a.at {
		var fault error
		ans.Verdict, fault = c.Verdict(r)
		if fault == nil {
			o.apply(ans, &es[i])
			continue
		}
		if err != nil {
			fault = err
		}
		p.faulted(h, fault)
		o.fail(h, &es[i])
	}
	ans.Verdict = contract.Verdict{}
}

// faulted counts a fault of p that on_error had to answer, and logs it.
func (p *loaded) faulted(h *hookBinding, err error) {
	p.faults.Add(1)
	p.log.Warn("plugin fault", zap.String("hook", h.Hook.String()), zap.Error(err))
}
