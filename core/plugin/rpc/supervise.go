package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

// start starts a process. Each step has StartTimeout; all of them have twice that.
func (i *Instance) start(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*i.t.cfg.StartTimeout)
	defer cancel()
	return i.launch(ctx)
}

// supervise watches the present process and replaces it when it is lost, until
// Close or quarantine.
func (i *Instance) supervise() {
	for {
		i.mu.Lock()
		p := i.cur
		i.mu.Unlock()
		if p == nil || !i.watch(p) {
			return
		}
		if !i.restart() {
			return
		}
	}
}

// watch returns when p is lost (true) or the instance closes (false).
func (i *Instance) watch(p *process) bool {
	tick := time.NewTicker(i.t.cfg.Ping)
	defer tick.Stop()
	missed := 0
	for {
		select {
		case <-i.ctx.Done():
			return false
		case <-p.dead:
			if i.ctx.Err() != nil {
				return false
			}
			i.lost(p)
			return true
		case <-tick.C:
			if missed = i.check(p, missed); missed >= 2 {
				p.fail(errors.New("two pings went unanswered"))
			}
		}
	}
}

// check is one ping; it returns the number of pings missed in a row. Frames
// count as pings, but a process that answers pings and no frame is stuck.
func (i *Instance) check(p *process, missed int) int {
	i.mu.Lock()
	var oldest *parcel
	if len(i.win.open) > 0 {
		oldest = i.win.open[0]
	}
	stuck := oldest != nil && time.Since(oldest.sent) > oldest.timeout+2*i.t.cfg.Ping
	i.mu.Unlock()
	if stuck {
		p.fail(fmt.Errorf("frame %d was not answered", oldest.frame.GetSeq()))
		return 0
	}
	if time.Since(time.Unix(0, p.heard.Load())) < i.t.cfg.Ping {
		return 0
	}
	ctx, cancel := context.WithTimeout(i.ctx, i.t.cfg.Ping)
	defer cancel()
	h, err := p.api.Health(ctx, &pluginpb.HealthReq{})
	switch {
	case err != nil:
		return missed + 1
	case !h.GetOk():
		i.spec.Log.Warn("plugin is not well", zap.String("text", h.GetText()))
	}
	return 0
}

// lost takes p away and decides about its open frames.
func (i *Instance) lost(p *process) {
	i.mu.Lock()
	i.cur, i.down = nil, time.Now()
	quarantined := i.state == plugin.StateQuarantined
	if !quarantined {
		i.state = plugin.StateRestarting
		i.faultLocked(p.why)
	}
	orphans := i.win.orphans()
	fatal := i.win.crashed()
	i.work.Broadcast()
	i.mu.Unlock()
	for _, r := range orphans {
		r.finish(result{err: fmt.Errorf("the process died: %w", p.why)})
	}
	for _, f := range fatal {
		for _, r := range f.reqs {
			r.finish(result{err: fmt.Errorf("the process died %d times with frame %d: %w", maxCrashes, f.frame.GetSeq(), p.why)})
		}
	}
	if parked := i.spec.Services.Parked; parked != nil {
		parked.Gone(p.id)
	}
	i.spec.Log.Error("plugin process lost", zap.String("pid", p.child.Load().ID()), zap.Error(p.why))
	i.wg.Go(p.cleanup)
}

// restart starts processes until one runs (true), or the plugin is quarantined
// or closed (false).
func (i *Instance) restart() bool {
	for {
		i.mu.Lock()
		n, quarantined := len(i.faults), i.state == plugin.StateQuarantined
		i.mu.Unlock()
		if quarantined {
			i.quarantine()
			return false
		}
		t := time.NewTimer(i.t.cfg.Backoff[max(0, min(n, len(i.t.cfg.Backoff))-1)])
		select {
		case <-i.ctx.Done():
			t.Stop()
			return false
		case <-t.C:
		}
		p, err := i.start(i.ctx)
		if i.ctx.Err() != nil {
			if err == nil {
				p.cleanup()
			}
			return false
		}
		if err != nil {
			i.spec.Log.Error("plugin process does not start", zap.Error(err))
			i.fault(err)
			continue
		}
		i.mu.Lock()
		i.status.Restarts++
		took := time.Since(i.down)
		i.mu.Unlock()
		if !i.install(p) {
			p.cleanup()
			return false
		}
		i.spec.Log.Info("plugin process restarted", zap.String("pid", p.child.Load().ID()), zap.Duration("down", took))
		return true
	}
}

// quarantine fails everything that waits; calls to come fail at once.
func (i *Instance) quarantine() {
	i.mu.Lock()
	rs := i.win.all()
	last := i.status.LastFault
	i.mu.Unlock()
	for _, r := range rs {
		r.finish(result{err: fmt.Errorf("quarantined: %s", last)})
	}
	i.spec.Log.Error("plugin is quarantined until it is reloaded", zap.Int("faults", i.t.cfg.MaxFaults),
		zap.Duration("within", i.t.cfg.FaultWindow), zap.String("last", last))
}
