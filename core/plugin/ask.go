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
	t := turn[E]{plugin: p, version: v, hook: h, es: es, ops: o, asking: p.asking()}
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
	hook    *hookBinding
	es      []E
	ops     *ops[E]
	*asking
}

// one makes a slice of a single event in place.
func one[E any](e *E) []E { return unsafe.Slice(e, 1) }

// fill encodes events from es[i] on into the frame, up to the limits of a
// frame, and returns the index of the first event that is not in it.
func (t *turn[E]) fill(i int) int {
	t.enc.start(t.hook, t.plugin.now())
	t.at = t.at[:0]
	for ; i < len(t.es) && len(t.at) < t.version.maxRecords; i++ {
		e := &t.es[i]
		if !t.ops.wants(t.plugin, t.hook, e) {
			continue
		}
		n, size := t.enc.Count(), t.enc.Len()
		t.ops.encode(&t.enc, t.hook.Hook, e)
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
	c.Hook, c.Frame, c.N, c.Hops = t.hook.Hook, t.enc.Frame(), len(t.at), t.enc.hops
	c.Key = t.ops.key(&t.es[t.at[0]])
	if t.ops.records != nil {
		c.Records = t.ops.records(t.plugin, t.es, t.at)
	}
	err := t.version.inst.Call(t.version.ctx, c)
	c.Records = nil
	ans := &t.ans
	ans.plugin, ans.now = t.plugin, t.enc.now
	for r, i := range t.at {
		var fault error
		ans.Verdict, fault = c.Verdict(r)
		if fault == nil {
			t.ops.apply(ans, &t.es[i])
			continue
		}
		if err != nil {
			fault = err
		}
		t.plugin.faulted(t.hook, fault)
		t.ops.fail(t.hook, &t.es[i])
	}
	ans.Verdict = contract.Verdict{}
}

// faulted counts a fault of p that on_error had to answer, and logs it.
func (p *loaded) faulted(h *hookBinding, err error) {
	p.faults.Add(1)
	p.log.Warn("plugin fault", zap.String("hook", h.Hook.String()), zap.Error(err))
}
