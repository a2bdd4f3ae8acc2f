package channel

import (
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
)

// operator is a connected channel in its turn, as operators see it.
type operator struct {
	c *Channel
	b *router.Batch
}

var _ registry.Turn = operator{}

// obey runs what operators have left in the mailbox.
func (c *Channel) obey(b *router.Batch, commands []registry.Command) {
	for _, cmd := range commands {
		cmd(operator{c, b})
	}
}

// Session implements registry.Turn.
func (o operator) Session() *session.Session { return o.c.sess }

// Subscribe implements registry.Turn. The client gets the retained messages that
// its own SUBSCRIBE would bring.
func (o operator) Subscribe(filter string, opts message.SubOptions) packet.ReasonCode {
	f := packet.Filter{Filter: filter, QoS: opts.QoS, NoLocal: opts.NoLocal,
		RetainAsPublished: opts.RetainAsPublished, RetainHandling: opts.RetainHandling}
	if code := o.c.checkFilter(&f); code.Failed() {
		return code
	}
	var fresh []hook.RetainedReadEvent
	code, fresh := o.c.subscribe(o.b, &f, opts.ID, fresh)
	o.c.readRetained(fresh)
	return code
}

// Unsubscribe implements registry.Turn.
func (o operator) Unsubscribe(filter string) packet.ReasonCode {
	return o.c.unsubscribe(o.b, o.c.mounted(filter))
}

// ForgetACL implements registry.Turn.
func (o operator) ForgetACL() {
	if o.c.cache != nil {
		o.c.cache.Clear()
	}
}
