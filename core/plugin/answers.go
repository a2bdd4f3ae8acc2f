package plugin

import (
	"errors"
	"sync"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// ErrGone is the result of a Call that names a guest that there is no more.
var ErrGone = errors.New("the guest is gone")

// maxAnswers bounds the answers of one version that wait for their guests.
const maxAnswers = 8192

// answers hands the answers to what guests have asked for to those guests, in
// order, on a goroutine that runs while there are any. The bounds of what may be
// asked for keep it short; what is too much all the same is dropped and counted.
type answers struct {
	plugin *loaded

	mu      sync.Mutex
	version *version // guarded by mu; nil: not opened yet, or closed
	queue   []answer // guarded by mu
	running bool     // guarded by mu
}

// answer is one record for one guest.
type answer struct {
	guest  uint64
	record []byte
}

// open lets answers flow.
func (a *answers) open(v *version) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version = v
	a.start()
}

// close forgets what is left.
func (a *answers) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version, a.queue = nil, nil
}

// push queues one record for a guest.
func (a *answers) push(guest uint64, record []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) >= maxAnswers {
		a.plugin.lost.Add(1)
		return
	}
	a.queue = append(a.queue, answer{guest, record})
	a.start()
}

// start begins a run if there is something to do. mu is held.
func (a *answers) start() {
	if !a.running && a.version != nil && len(a.queue) > 0 {
		a.running = true
		go a.run()
	}
}

// run delivers until the queue is empty.
func (a *answers) run() {
	for {
		a.mu.Lock()
		v, queue := a.version, a.queue
		a.queue = nil
		if v == nil || len(queue) == 0 {
			a.running = false
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		for len(queue) > 0 && v.enter() {
			n := 1
			for n < len(queue) && n < v.maxRecords && queue[n].guest == queue[0].guest {
				n++
			}
			a.deliver(v, queue[:n])
			v.release()
			queue = queue[n:]
		}
	}
}

// deliver hands a guest one frame.
func (a *answers) deliver(v *version, as []answer) {
	c := &Call{N: len(as), Guest: as[0].guest, parked: v.parked}
	for _, r := range as {
		c.Frame = append(c.Frame, r.record...)
	}
	first, _, err := contract.Split(c.Frame)
	if err != nil {
		return // they were made here
	}
	c.Hook = first.Hook()
	err = v.inst.Call(v.ctx, c)
	if errors.Is(err, ErrGone) {
		a.plugin.lost.Add(uint64(len(as)))
		return
	}
	for i := range as {
		d, fault := c.Verdict(i)
		if err != nil && fault != nil {
			fault = err
		}
		if fault != nil {
			a.plugin.faults.Add(1)
			a.plugin.log.Warn("plugin fault", zap.String("hook", c.Hook.String()), zap.Error(fault))
			continue
		}
		a.publish(d)
	}
}

// publish lets the messages of a verdict go.
func (a *answers) publish(d contract.Verdict) {
	list, _ := d.Ext(contract.ExtPublishes)
	for len(list) > 0 {
		r, rest, err := contract.Split(list)
		if err != nil {
			return
		}
		list = rest
		if a.plugin.outbox == nil {
			return
		}
		if err := a.plugin.outbox.Publish(r.Raw(), 0); err != nil {
			a.plugin.log.Warn("plugin's message refused", zap.Error(err))
		}
	}
}
