package event

import (
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Consumes tells whether a message is to be kept for plugin p.
func (b *Binding) Consumes(p *Plugin, c *hook.Client, m *message.Message) bool {
	return !p.Own(m) && b.Scope.message(c, m)
}

// Refuses tells whether the plugin has no room for a message that it consumes.
func (b *Binding) Refuses(m *message.Message) bool {
	return b.Refused != nil && b.Refused.topic(m.Topic)
}

// Message writes one record of the hook message.
func (b *Binding) Message(w *Encoder, c *hook.Client, m *message.Message) {
	w.message(contract.HookMessage, c, m)
}
