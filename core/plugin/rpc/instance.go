package rpc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

// Instance is one open process plugin: at most one process at a time, a queue
// of calls that outlives it, and a supervisor.
type Instance struct {
	// Immutable.
	t     *Transport
	spec  *plugin.Spec
	img   *image
	hooks contract.HookSet // of the first process
	limit map[contract.Hook]plugin.HookSpec

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // the supervisor, and what it starts

	mu     sync.Mutex
	work   sync.Cond // on mu: the window or the process changed
	win    window    // guarded by mu
	cur    *process  // guarded by mu; nil: down
	down   time.Time // guarded by mu: since when
	born   uint64    // guarded by mu: processes so far
	faults []time.Time
	state  plugin.State  // guarded by mu
	config []byte        // guarded by mu; for the next process
	status plugin.Status // guarded by mu: the counters
	host   hostCounts
}

var _ plugin.Instance = (*Instance)(nil)

func newInstance(t *Transport, s *plugin.Spec, img *image) *Instance {
	i := &Instance{t: t, spec: s, img: img, state: plugin.StateRestarting, config: s.Config, limit: map[contract.Hook]plugin.HookSpec{}}
	for _, h := range s.Hooks {
		i.limit[h.Hook] = h
	}
	i.work.L = &i.mu
	i.ctx, i.cancel = context.WithCancel(context.Background())
	return i
}

// Hooks are the hooks that the process said it handles.
func (i *Instance) Hooks() (contract.HookSet, bool) { return i.hooks, true }

// Call queues c and waits for its verdicts, over restarts of the process.
func (i *Instance) Call(ctx context.Context, c *plugin.Call) error {
	h := i.limit[c.Hook]
	r := &request{call: c, n: c.N, guest: c.Guest, stores: c.Records != nil, timeout: h.Timeout, park: h.Park, since: time.Now(), result: make(chan result, 1)}
	if r.timeout <= 0 {
		r.timeout = time.Second
	}
	if err := i.submit(r); err != nil {
		return err
	}
	defer r.giveUp()
	timer := time.NewTimer(min(r.timeout, max(r.park, time.Millisecond)))
	defer timer.Stop()
	for {
		select {
		case res := <-r.result:
			if res.err == nil && !c.Observe && !res.taken {
				res.bad = c.Take(0, c.N, res.block)
			}
			if res.bad != nil {
				i.fault(res.bad)
				return res.bad
			}
			return res.err
		case <-timer.C:
			wait, err := i.overdue(r)
			if err != nil {
				return err
			}
			timer.Reset(wait)
		case <-ctx.Done():
			i.drop(r)
			return plugin.ErrClosed
		}
	}
}

// submit queues r unless nobody would ever answer.
func (i *Instance) submit(r *request) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch i.state {
	case plugin.StateQuarantined:
		return fmt.Errorf("quarantined after %d faults: %s", i.t.cfg.MaxFaults, i.status.LastFault)
	case plugin.StateClosed:
		return plugin.ErrClosed
	}
	if r.guest != 0 && (i.cur == nil || i.cur.id != r.guest) {
		return plugin.ErrGone
	}
	i.status.Calls++
	i.status.Records += uint64(r.n)
	i.win.add(r)
	i.work.Broadcast()
	return nil
}

// drop takes r back.
func (i *Instance) drop(r *request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.win.forget(r)
}

// overdue tells how much longer r may wait; an error if it may not. While a
// process runs its timeout counts, while none does its park time.
func (i *Instance) overdue(r *request) (time.Duration, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	from, limit, err := i.down, r.park, plugin.ErrDown
	if i.cur != nil {
		from, limit, err = i.cur.since, r.timeout, plugin.ErrTimeout
	}
	if r.since.After(from) {
		from = r.since
	}
	if left := limit - time.Since(from); left > 0 {
		return left, nil
	}
	i.win.forget(r)
	if i.cur == nil {
		return 0, err
	}
	for _, p := range i.win.open {
		for _, q := range p.reqs {
			if q == r && !p.late {
				p.late = true
				i.faultLocked(fmt.Errorf("frame %d: %w", p.frame.GetSeq(), err))
			}
		}
	}
	return 0, err
}

// fault counts a fault of the plugin.
func (i *Instance) fault(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.faultLocked(err)
}

// faultLocked is fault with mu held.
func (i *Instance) faultLocked(err error) {
	now := time.Now()
	i.status.Faults++
	i.status.LastFault = err.Error()
	i.faults = append(i.faults, now)
	for len(i.faults) > 0 && now.Sub(i.faults[0]) > i.t.cfg.FaultWindow {
		i.faults = i.faults[1:]
	}
	if len(i.faults) >= i.t.cfg.MaxFaults && i.state != plugin.StateClosed {
		i.state = plugin.StateQuarantined
		if i.cur != nil {
			i.cur.fail(errors.New("quarantined"))
		}
	}
}

// install makes p the present process; false: the instance is closed.
func (i *Instance) install(p *process) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.state == plugin.StateClosed {
		return false
	}
	if i.hooks == 0 {
		i.hooks = p.hooks
	}
	i.born++
	p.id, p.since = i.born, time.Now()
	p.heard.Store(p.since.UnixNano())
	i.cur = p
	if i.state == plugin.StateRestarting {
		i.state = plugin.StateRunning
	}
	i.wg.Go(func() { i.sender(p) })
	i.wg.Go(func() { i.receiver(p) })
	i.work.Broadcast()
	return true
}

// sender sends what the window has until p is lost.
func (i *Instance) sender(p *process) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for i.cur == p {
		parcel := i.win.next(time.Now())
		if parcel == nil {
			i.work.Wait()
			continue
		}
		if parcel.crashes > 0 {
			i.status.Retries++
		}
		i.mu.Unlock()
		p.send(parcel.frame)
		i.mu.Lock()
	}
}

// receiver takes what p sends until the stream ends.
func (i *Instance) receiver(p *process) {
	for {
		f, err := p.stream.Recv()
		if err != nil {
			p.fail(fmt.Errorf("the process is gone: %w", plain(err)))
			return
		}
		p.heard.Store(time.Now().UnixNano())
		switch f.GetKind() {
		case pluginpb.Kind_KIND_VERDICTS, pluginpb.Kind_KIND_ACK:
			i.answer(p, f)
		case pluginpb.Kind_KIND_HOSTCALL:
			i.hostCall(p, f)
		}
	}
}

// answer settles the frame that f answers. Answers of a process that is no
// longer the present one come too late: its frames go to the next.
func (i *Instance) answer(p *process, f *pluginpb.Frame) {
	i.mu.Lock()
	parcel := i.win.find(f.GetSeq())
	if parcel != nil && i.cur == p {
		i.win.answered(parcel)
		i.work.Broadcast()
	} else {
		parcel = nil
	}
	i.mu.Unlock()
	if parcel != nil {
		parcel.deliver(f.GetData(), p.id)
	}
}

// Close drains the process, ends it and everything about it.
func (i *Instance) Close(ctx context.Context) error {
	i.mu.Lock()
	i.state = plugin.StateClosed
	p := i.cur
	rs := i.win.all()
	i.mu.Unlock()
	for _, r := range rs {
		r.finish(result{err: plugin.ErrClosed})
	}
	i.cancel() // the supervisor ends and leaves the process alone
	var err error
	if p != nil {
		err = p.goodbye(ctx)
		p.fail(plugin.ErrClosed)
	}
	i.mu.Lock()
	i.cur = nil
	i.work.Broadcast()
	i.mu.Unlock()
	i.wg.Wait()
	return errors.Join(err, i.img.close())
}

// Status tells how the plugin is.
func (i *Instance) Status() plugin.Status {
	i.mu.Lock()
	s, p := i.status, i.cur
	s.State = i.state
	i.mu.Unlock()
	if p != nil {
		s.Instances = 1
		s.PID, _ = strconv.Atoi(p.child.Load().ID())
		s.Memory, s.CPU = resident(s.PID), cpuTime(s.PID)
	}
	s.HostCalls = i.host.list()
	return s
}

// resident is the memory of a process, where the system tells.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	if f := strings.Fields(string(text)); len(f) > 1 {
		pages, _ := strconv.ParseInt(f[1], 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}
