package plugin

import (
	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// private are the services of one loaded plugin that outlive a version.
type private struct {
	numbers *numbers
	outbox  *outbox
}

// enlist makes the lasting part of a plugin.
func (m *Manager) enlist(name string, order int) *loaded {
	p := &loaded{
		name: name, order: order, host: m.host, keys: newKeys(m.host.Now), removes: map[contract.Hook]func(){}, queue: newQueue(),
		log: limited(m.log.With(zap.String("plugin", name)), m.host.Now),
	}
	p.party = event.Plugin{Name: name, Store: m.host.Store, Now: m.host.Now, Looped: p.looped}
	own := private{numbers: &numbers{}, outbox: &outbox{plugin: p, pump: m.host.pump}}
	if m.host.Publish != nil {
		p.outbox = own.outbox
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.extra[name] = own
	return p
}
