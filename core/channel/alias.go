package channel

import (
	"strings"

	"github.com/dunlinmq/dunlin/core/packet"
)

// maxAliasesOut bounds the aliases that the server sets for a client, however
// many the client would take: the first topics win.
const maxAliasesOut = 64

// aliases are the topic aliases of one connection, both ways. They never
// outlive it [MQTT-3.3.2-7].
type aliases struct {
	in      map[uint16]string
	inBytes int
	out     map[string]uint16
	maxOut  uint16 // what the client takes; 0: none
}

// named returns the channel's aliases.
func (c *Channel) named() *aliases {
	if c.aliases == nil {
		c.aliases = new(aliases)
	}
	return c.aliases
}

// resolve replaces the alias of a PUBLISH that has one by its topic, or remembers it.
// maxBytes bounds the topics remembered.
func (a *aliases) resolve(p *packet.Publish, maxAlias uint16, maxBytes int) *fault {
	alias, _ := p.TopicAlias()
	if alias == 0 || alias > maxAlias {
		return &fault{packet.TopicAliasInvalid, "topic alias above the maximum"} // [MQTT-3.3.2-9]
	}
	if p.Topic == "" {
		name, known := a.in[alias]
		if !known {
			return &fault{packet.ProtocolError, "topic alias is not known"}
		}
		p.Topic = name
		return nil
	}
	if a.in == nil {
		a.in = make(map[uint16]string)
	}
	a.inBytes += len(p.Topic) - len(a.in[alias])
	if a.inBytes > maxBytes {
		return &fault{packet.QuotaExceeded, "topics of aliases take more than a packet's maximum size"}
	}
	a.in[alias] = strings.Clone(p.Topic)
	return nil
}

// assign chooses how to name a topic to the client: alias 0 means by name only;
// else known tells that the name may be left out. Nil aliases have none.
func (a *aliases) assign(name string) (alias uint16, known bool) {
	if a == nil || a.maxOut == 0 {
		return 0, false
	}
	if alias, known = a.out[name]; known {
		return alias, true
	}
	if len(a.out) >= int(a.maxOut) {
		return 0, false
	}
	if a.out == nil {
		a.out = make(map[string]uint16)
	}
	alias = uint16(len(a.out) + 1)
	a.out[strings.Clone(name)] = alias
	return alias, false
}

// forget takes back the latest assignment: the client was not told of it.
func (a *aliases) forget(name string) { delete(a.out, name) }
