package server

import (
	"errors"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/listener"
)

// errStopping is the answer to changes of a node that ends.
var errStopping = errors.New("the node is stopping")

// ports are the node's listeners. Changes come one at a time, from reloads and
// operators; reading does not wait for them.
type ports struct {
	log *zap.Logger // immutable

	changing sync.Mutex // held during a change, taken before mu

	mu sync.RWMutex
	// Guarded by mu.
	all    []*listener.Listener     // in the configuration's order
	run    func(*listener.Listener) // starts a listener's Run; nil: not yet
	closed bool
}

// list is the listeners of now.
func (p *ports) list() []*listener.Listener {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Clone(p.all)
}

// find is the listener with the id; nil: there is none.
func (p *ports) find(id string) *listener.Listener {
	for _, l := range p.list() {
		if cfg := l.Config(); cfg.ID() == id {
			return l
		}
	}
	return nil
}

// start runs what is open, and what will be, with run.
func (p *ports) start(run func(*listener.Listener)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.run = run
	for _, l := range p.all {
		run(l)
	}
}

// close closes all for good.
func (p *ports) close() error {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	for _, l := range p.all {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// change makes the listeners those of cfgs, or nothing: what was done before an
// error is undone. Listeners whose configuration stays read their files again.
// Clients stay, also those of listeners that go.
func (p *ports) change(cfgs []listener.Config) (err error) {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.mu.RLock()
	closed := p.closed
	p.mu.RUnlock()
	if closed {
		return errStopping
	}
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for _, step := range slices.Backward(undo) {
			err = errors.Join(err, step())
		}
	}()
	gone := slices.DeleteFunc(p.list(), func(l *listener.Listener) bool { return within(l, cfgs) })
	for _, l := range gone { // first: another may want the address
		if err := l.Stop(); err != nil {
			return err
		}
		undo = append(undo, l.Start)
	}
	next := make([]*listener.Listener, len(cfgs))
	for i := range cfgs {
		if next[i] = p.find(cfgs[i].ID()); next[i] == nil {
			continue
		}
		old := next[i].Config()
		if err := update(next[i], cfgs[i]); err != nil {
			return err
		}
		undo = append(undo, func() error { return update(next[i], old) })
	}
	var fresh []*listener.Listener
	for i, cfg := range cfgs {
		if next[i] != nil {
			continue
		}
		l, err := listener.Open(cfg, p.log)
		if err != nil {
			return err
		}
		undo = append(undo, l.Close)
		next[i], fresh = l, append(fresh, l)
	}
	p.replace(next, fresh)
	for _, l := range gone {
		if err := l.Close(); err != nil {
			cfg := l.Config()
			p.log.Warn("closing a listener", zap.String("listener", cfg.ID()), zap.Error(err))
		}
	}
	return nil
}

// replace makes next the listeners and runs those that are fresh.
func (p *ports) replace(next, fresh []*listener.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = next
	if p.run == nil {
		return
	}
	for _, l := range fresh {
		p.run(l)
	}
}

func within(l *listener.Listener, cfgs []listener.Config) bool {
	cfg := l.Config()
	return slices.ContainsFunc(cfgs, func(c listener.Config) bool { return c.ID() == cfg.ID() })
}

// update gives l another configuration, keeping its socket if that can be.
func update(l *listener.Listener, cfg listener.Config) error {
	err := l.Update(cfg)
	var rebind *listener.NeedsRebind
	if errors.As(err, &rebind) {
		err = l.Rebind(cfg)
	}
	return err
}
