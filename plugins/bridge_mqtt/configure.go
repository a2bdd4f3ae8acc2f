//go:build !wasip1

package main

import (
	"fmt"
	"maps"
	"slices"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// bridges are those of one configuration. Immutable.
type bridges struct {
	named map[string]*bridge
	list  []*bridge // in the order of their names
}

func (a *bridges) names() []string {
	list := make([]string, len(a.list))
	for i, b := range a.list {
		list[i] = b.name
	}
	return list
}

// configured makes the bridges of a configuration, and keeps those that it leaves as
// they are.
func configured(text []byte, old *bridges) (*bridges, error) {
	all, err := parse(text, sdk.Node(), sdk.ConfigDir())
	if err != nil {
		return nil, err
	}
	next := &bridges{named: map[string]*bridge{}}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b := old.named[name]
		if b == nil || b.set.print != all[name].print {
			b = newBridge(name, all[name])
		}
		next.named[name] = b
		next.list = append(next.list, b)
	}
	return next, nil
}

// want asks for what goes out.
func (a *bridges) want() error {
	var wanted []string
	seen := map[string]struct{}{}
	for _, b := range a.list {
		for i := range b.set.Topics {
			r := &b.set.Topics[i]
			if _, have := seen[r.local()]; r.out() && !have {
				seen[r.local()] = struct{}{}
				wanted = append(wanted, r.local())
			}
		}
	}
	if err := sdk.Want(contract.HookMessage, wanted); err != nil {
		return fmt.Errorf("topics: %w", err)
	}
	return nil
}

// Configure reads all bridges. They connect once the queues are open: a process that
// is being replaced has them until it ends.
func (p *Plugin) Configure(text []byte) error {
	next, err := configured(text, &bridges{})
	if err != nil {
		return err
	}
	if err := next.want(); err != nil {
		return err
	}
	p.gone = map[string]*bridge{}
	p.set.Store(next)
	go p.open()
	return nil
}

// Reconfigure changes what a new configuration changes: bridges that it leaves as they
// are keep their connections and whether they are started, changed ones connect anew
// with the queue that they have, and one that is gone leaves its queue on the disk for
// the day when it comes back.
func (p *Plugin) Reconfigure(text []byte) error {
	old := p.set.Load()
	next, err := configured(text, old)
	if err != nil {
		return err
	}
	p.disk.Lock()
	defer p.disk.Unlock()
	if p.disk.buf != nil {
		for _, b := range next.list {
			if err := b.open(p.disk.buf, p.roomAgain); err != nil {
				return fmt.Errorf("bridge %s: %w", b.name, err)
			}
		}
	}
	if err := next.want(); err != nil {
		return err
	}
	p.set.Store(next)
	if p.disk.buf == nil { // they start with the queues
		return nil
	}
	for _, b := range old.list {
		if next.named[b.name] == nil {
			p.gone[b.name] = b
			go b.leave()
		}
	}
	for _, b := range next.list {
		before := old.named[b.name]
		if before == b {
			continue
		}
		if before == nil {
			before = p.gone[b.name]
			delete(p.gone, b.name)
		}
		b.follow(before)
	}
	p.room.tell(next)
	return nil
}
