package channel

import (
	"strings"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
)

// PublishWill publishes a will: authorised now, through will hooks and the same
// pipeline as every message. It may block in a plugin.
func (e *Env) PublishWill(b *router.Batch, w *registry.Will) {
	zone, ok := w.Zone.(*Zone)
	if !ok {
		panic("channel: a will without its zone")
	}
	acl := [1]hook.ACLEvent{{Client: w.Client, Action: hook.Publish, Topic: w.Will.Topic, QoS: w.Will.QoS, Retain: w.Will.Retain}}
	e.Access.Check(&zone.Access, nil, b.Now, acl[:])
	countACL(&b.Count, &zone.Access, acl[:])
	if acl[0].Verdict == hook.Deny {
		return
	}
	es := [1]hook.PublishEvent{{Client: w.Client, Msg: willMessage(zone, b.Now, w)}}
	for _, fold := range e.Hooks.MessageWill.Chain() {
		fold(es[:])
	}
	e.Broker.Publish(b, es[:])
}

// willMessage is the will as a message: its own properties without the delay,
// with its expiry interval counted from now [MQTT-3.1.3-10, 3.1.3.2.4].
func willMessage(zone *Zone, now int64, w *registry.Will) *message.Message {
	m := &message.Message{
		Topic:   strings.NewReplacer("%c", w.Client.ID, "%u", w.Client.Username).Replace(zone.Mountpoint) + w.Will.Topic,
		Payload: w.Will.Payload, From: w.Client.ID, Username: w.Client.Username,
		QoS: w.Will.QoS, Retain: w.Will.Retain, Time: now, Origin: message.OriginWill,
	}
	if s, ok := w.Will.Props.Uint32(packet.PropMessageExpiry); ok {
		m.Expiry = now + int64(s)*1e9
	}
	w.Will.Props.Each(func(id packet.PropID, value []byte) bool {
		if id != packet.PropWillDelay && id != packet.PropMessageExpiry {
			m.Props = append(append(m.Props, byte(id)), value...)
		}
		return true
	})
	return m
}
