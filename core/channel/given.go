package channel

import (
	"strings"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/topic"
)

// subscribeGiven makes the subscriptions that plugins want for the client, within
// the zone's capabilities and without a question to the acl, as EMQ X 4's
// emqx_mod_subscription did (emqx4 §4.5). A filter that the client has no fitting
// name for, or that the zone does not allow, is left out.
func (c *Channel) subscribeGiven(b *router.Batch, given []packet.Filter) {
	var fresh []hook.RetainedReadEvent
	for i := range given {
		f := &given[i]
		var ok bool
		if f.Filter, ok = c.filled(f.Filter); !ok {
			continue
		}
		if c.version != packet.V50 {
			f.RetainHandling = 0
		}
		code := c.checkFilter(f)
		if !code.Failed() {
			code, fresh = c.give(b, f, fresh)
		}
		if code.Failed() {
			c.env.Log.Debug("subscription of a plugin not made", zap.String("client_id", c.client.ID),
				zap.String("filter", f.Filter), zap.Uint8("reason_code", byte(code)))
		}
	}
	c.readRetained(fresh)
}

// give makes one subscription. One that the session has with an identifier is the
// client's own and stays as it is; one that it has with the same options is not
// made again, but brings the retained messages as a SUBSCRIBE would.
func (c *Channel) give(b *router.Batch, f *packet.Filter, fresh []hook.RetainedReadEvent) (packet.ReasonCode, []hook.RetainedReadEvent) {
	full, opts := c.mounted(f.Filter), c.subOptions(f, 0)
	old, exists := c.sess.Subscription(full)
	switch {
	case exists && old.ID != 0:
		return packet.Success, fresh
	case !exists || old != opts:
		return c.subscribe(b, f, 0, fresh)
	}
	if _, _, shared := topic.ParseShare(full); !shared && f.RetainHandling == 0 {
		fresh = append(fresh, hook.RetainedReadEvent{Client: c.client, Filter: full, Opts: opts})
	}
	return packet.Success, fresh
}

// filled puts the client's names in place of the levels %c and %u. It is false if
// a name is missing, or would change what the filter is about: if it is no single
// level, or begins with $, which as a first level stands for $SYS or $share.
func (c *Channel) filled(filter string) (string, bool) {
	if !strings.Contains(filter, "%") {
		return filter, true
	}
	levels := strings.Split(filter, "/")
	for i, l := range levels {
		switch l {
		case "%c":
			levels[i] = c.client.ID
		case "%u":
			levels[i] = c.client.Username
		default:
			continue
		}
		if name := levels[i]; name == "" || name[0] == '$' || strings.ContainsAny(name, "/+#") {
			return "", false
		}
	}
	return strings.Join(levels, "/"), true
}
