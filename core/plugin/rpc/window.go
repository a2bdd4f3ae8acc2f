package rpc

import (
	"slices"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

// Frames in flight to one process.
const (
	maxCalls    = 2
	maxObserves = 1
	maxCrashes  = 3 // a frame that was in flight so often when the process died fails
)

// request is one Call on its way.
type request struct {
	call    *plugin.Call // owned by the caller of Instance.Call
	n       int          // its records; readable after the caller has returned
	stores  bool         // it has topicstore services
	guest   uint64       // the process that it is for; 0: whichever
	timeout time.Duration
	park    time.Duration
	since   time.Time
	result  chan result // capacity 1

	mu     sync.Mutex // held while a host call uses the call's records
	gaveUp bool       // guarded by mu: the caller has returned
}

type result struct {
	block []byte
	taken bool  // the call has the verdicts already
	bad   error // what the call says of them
	err   error
}

// parcel is one frame of the stream: the records of one or more requests.
type parcel struct {
	frame   *pluginpb.Frame
	reqs    []*request
	sent    time.Time
	timeout time.Duration // the longest of the requests'
	hops    uint8
	crashes int
	late    bool // its timeout was counted as a fault
}

func (p *parcel) observe() bool { return p.frame.GetKind() == pluginpb.Kind_KIND_OBSERVE }

// window holds what waits to be sent and what waits for an answer. It knows no
// process: it outlives them. The owner's mutex guards it.
type window struct {
	seq      uint64
	calls    []*request
	observes []*request
	open     []*parcel // sent, not answered; in order of seq
	resend   []*parcel // of open: not yet sent to the present process
}

// add queues a request.
func (w *window) add(r *request) {
	if r.call.Observe {
		w.observes = append(w.observes, r)
	} else {
		w.calls = append(w.calls, r)
	}
}

// next is the frame to send now; nil: there is none, or the window is full.
func (w *window) next(now time.Time) *parcel {
	if len(w.resend) > 0 {
		p := w.resend[0]
		w.resend = w.resend[1:]
		p.sent = now
		return p
	}
	calls, observes := 0, 0
	for _, p := range w.open {
		if p.observe() {
			observes++
		} else {
			calls++
		}
	}
	switch {
	case len(w.calls) > 0 && calls < maxCalls:
		return w.pack(&w.calls, pluginpb.Kind_KIND_CALL, now)
	case len(w.observes) > 0 && observes < maxObserves:
		return w.pack(&w.observes, pluginpb.Kind_KIND_OBSERVE, now)
	}
	return nil
}

// pack makes a frame of everything that is queued, up to the limits of a frame.
func (w *window) pack(queue *[]*request, kind pluginpb.Kind, now time.Time) *parcel {
	w.seq++
	p := &parcel{frame: &pluginpb.Frame{Seq: w.seq, Kind: kind}, sent: now}
	n, size, k := 0, 0, 0
	for _, r := range *queue {
		if k > 0 && (r.guest != (*queue)[0].guest || n+r.call.N > contract.MaxRecords || size+len(r.call.Frame) > contract.MaxFrameBytes) {
			break
		}
		n, size, k = n+r.call.N, size+len(r.call.Frame), k+1
	}
	p.reqs = slices.Clone((*queue)[:k])
	*queue = slices.Delete(*queue, 0, k)
	p.frame.N, p.frame.Data = uint32(n), make([]byte, 0, size)
	for _, r := range p.reqs {
		p.frame.Data = append(p.frame.Data, r.call.Frame...)
		p.timeout, p.hops = max(p.timeout, r.timeout), max(p.hops, r.call.Hops)
	}
	w.open = append(w.open, p)
	return p
}

// find returns the open frame with the given seq; nil if there is none.
func (w *window) find(seq uint64) *parcel {
	for _, p := range w.open {
		if p.frame.GetSeq() == seq {
			return p
		}
	}
	return nil
}

// answered takes a frame out of the window.
func (w *window) answered(p *parcel) {
	w.open = slices.DeleteFunc(w.open, func(q *parcel) bool { return q == p })
}

// orphans takes out what was for the process that is lost and for no other.
func (w *window) orphans() (rs []*request) {
	w.calls = slices.DeleteFunc(w.calls, func(r *request) bool {
		if r.guest != 0 {
			rs = append(rs, r)
		}
		return r.guest != 0
	})
	w.open = slices.DeleteFunc(w.open, func(p *parcel) bool {
		mine := p.reqs[0].guest != 0
		if mine {
			rs = append(rs, p.reqs...)
		}
		return mine
	})
	return rs
}

// crashed makes the open frames ready to be sent to another process. Those that
// nobody waits for any more are dropped; those that were open in too many
// crashes are returned: they may be the cause.
func (w *window) crashed() (fatal []*parcel) {
	for _, p := range w.open {
		if p.crashes++; p.crashes >= maxCrashes {
			fatal = append(fatal, p)
		}
	}
	w.open = slices.DeleteFunc(w.open, func(p *parcel) bool {
		return p.crashes >= maxCrashes || !slices.ContainsFunc(p.reqs, (*request).waiting)
	})
	w.resend = slices.Clone(w.open)
	return fatal
}

// forget takes a request out of the queues; frames keep it until they are answered.
func (w *window) forget(r *request) {
	w.calls = slices.DeleteFunc(w.calls, func(q *request) bool { return q == r })
	w.observes = slices.DeleteFunc(w.observes, func(q *request) bool { return q == r })
}

// all empties the window and returns every request in it.
func (w *window) all() []*request {
	rs := append(w.calls, w.observes...)
	for _, p := range w.open {
		rs = append(rs, p.reqs...)
	}
	*w = window{seq: w.seq}
	return rs
}

// hops is the highest hop count of the open frames.
func (w *window) hops() uint8 {
	var h uint8
	for _, p := range w.open {
		h = max(h, p.hops)
	}
	return h
}

// finish gives r its result; the first one counts.
func (r *request) finish(res result) {
	select {
	case r.result <- res:
	default:
	}
}

func (r *request) waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.gaveUp
}

// giveUp makes sure that nothing touches the call any more.
func (r *request) giveUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gaveUp = true
}

// deliver hands the block of an answered frame to its requests. guest is the
// process that answered.
func (p *parcel) deliver(block []byte, guest uint64) {
	at := 0
	for _, r := range p.reqs {
		n := r.n
		part, err := cut(block, int(p.frame.GetN()), at, n)
		if err == nil && putsOff(part, n) {
			r.take(part, guest)
		} else {
			r.finish(result{block: part, err: err})
		}
		at += n
	}
}

// putsOff tells whether one of the n verdicts of a block comes later.
func putsOff(block []byte, n int) bool {
	for i := range n {
		if contract.VerdictAt(block, i).Action == contract.Pending {
			return true
		}
	}
	return false
}

// take gives the call its verdicts on the receiver: the process may decide what
// it has put off with the very next frame.
func (r *request) take(block []byte, guest uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gaveUp {
		return
	}
	r.call.Guest = guest
	r.finish(result{taken: true, bad: r.call.Take(0, r.n, block)})
}

// record finds the request behind a record of the frame, and the record's
// index there.
func (p *parcel) record(i int) (*request, int) {
	for _, r := range p.reqs {
		if i < r.n {
			return r, i
		}
		i -= r.n
	}
	return nil, 0
}
