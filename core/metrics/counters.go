// Package metrics counts what the broker does, by EMQ X 4's names (emqx4 §6.2,
// §6.3), without locks or shared cache lines on the hot path. It refuses to
// know who reads the numbers.
package metrics

import (
	"reflect"
	"sync/atomic"
	"unsafe"
)

// Counters is one number for each metric. Adding a metric is adding a line.
//
// It is the local form: whoever does the work counts into a Counters of its own
// with c.BytesReceived += n and gives it to [Stripe.Flush] once for many
// messages. All fields are uint64.
type Counters struct {
	BytesReceived uint64 `metric:"bytes.received"`
	BytesSent     uint64 `metric:"bytes.sent"`

	PacketsReceived            uint64 `metric:"packets.received"`
	PacketsSent                uint64 `metric:"packets.sent"`
	PacketsConnectReceived     uint64 `metric:"packets.connect.received"`
	PacketsConnackSent         uint64 `metric:"packets.connack.sent"`
	PacketsConnackError        uint64 `metric:"packets.connack.error"`
	PacketsConnackAuthError    uint64 `metric:"packets.connack.auth_error"`
	PacketsPublishReceived     uint64 `metric:"packets.publish.received"`
	PacketsPublishSent         uint64 `metric:"packets.publish.sent"`
	PacketsPublishInuse        uint64 `metric:"packets.publish.inuse"`
	PacketsPublishError        uint64 `metric:"packets.publish.error"`
	PacketsPublishAuthError    uint64 `metric:"packets.publish.auth_error"`
	PacketsPublishDropped      uint64 `metric:"packets.publish.dropped"`
	PacketsPubackReceived      uint64 `metric:"packets.puback.received"`
	PacketsPubackSent          uint64 `metric:"packets.puback.sent"`
	PacketsPubackInuse         uint64 `metric:"packets.puback.inuse"`
	PacketsPubackMissed        uint64 `metric:"packets.puback.missed"`
	PacketsPubrecReceived      uint64 `metric:"packets.pubrec.received"`
	PacketsPubrecSent          uint64 `metric:"packets.pubrec.sent"`
	PacketsPubrecInuse         uint64 `metric:"packets.pubrec.inuse"`
	PacketsPubrecMissed        uint64 `metric:"packets.pubrec.missed"`
	PacketsPubrelReceived      uint64 `metric:"packets.pubrel.received"`
	PacketsPubrelSent          uint64 `metric:"packets.pubrel.sent"`
	PacketsPubrelMissed        uint64 `metric:"packets.pubrel.missed"`
	PacketsPubcompReceived     uint64 `metric:"packets.pubcomp.received"`
	PacketsPubcompSent         uint64 `metric:"packets.pubcomp.sent"`
	PacketsPubcompInuse        uint64 `metric:"packets.pubcomp.inuse"`
	PacketsPubcompMissed       uint64 `metric:"packets.pubcomp.missed"`
	PacketsSubscribeReceived   uint64 `metric:"packets.subscribe.received"`
	PacketsSubscribeError      uint64 `metric:"packets.subscribe.error"`
	PacketsSubscribeAuthError  uint64 `metric:"packets.subscribe.auth_error"`
	PacketsSubackSent          uint64 `metric:"packets.suback.sent"`
	PacketsUnsubscribeReceived uint64 `metric:"packets.unsubscribe.received"`
	PacketsUnsubscribeError    uint64 `metric:"packets.unsubscribe.error"`
	PacketsUnsubackSent        uint64 `metric:"packets.unsuback.sent"`
	PacketsPingreqReceived     uint64 `metric:"packets.pingreq.received"`
	PacketsPingrespSent        uint64 `metric:"packets.pingresp.sent"`
	PacketsDisconnectReceived  uint64 `metric:"packets.disconnect.received"`
	PacketsDisconnectSent      uint64 `metric:"packets.disconnect.sent"`
	PacketsAuthReceived        uint64 `metric:"packets.auth.received"`
	PacketsAuthSent            uint64 `metric:"packets.auth.sent"`

	MessagesReceived                  uint64 `metric:"messages.received"`
	MessagesSent                      uint64 `metric:"messages.sent"`
	MessagesQoS0Received              uint64 `metric:"messages.qos0.received"`
	MessagesQoS0Sent                  uint64 `metric:"messages.qos0.sent"`
	MessagesQoS1Received              uint64 `metric:"messages.qos1.received"`
	MessagesQoS1Sent                  uint64 `metric:"messages.qos1.sent"`
	MessagesQoS2Received              uint64 `metric:"messages.qos2.received"`
	MessagesQoS2Sent                  uint64 `metric:"messages.qos2.sent"`
	MessagesPublish                   uint64 `metric:"messages.publish"`
	MessagesDropped                   uint64 `metric:"messages.dropped"`
	MessagesDroppedAwaitPubrelTimeout uint64 `metric:"messages.dropped.await_pubrel_timeout"`
	MessagesDroppedNoSubscribers      uint64 `metric:"messages.dropped.no_subscribers"`
	MessagesForward                   uint64 `metric:"messages.forward"`
	MessagesRetained                  uint64 `metric:"messages.retained"`
	MessagesDelayed                   uint64 `metric:"messages.delayed"`
	MessagesDelivered                 uint64 `metric:"messages.delivered"`
	MessagesAcked                     uint64 `metric:"messages.acked"`

	DeliveryDropped          uint64 `metric:"delivery.dropped"`
	DeliveryDroppedNoLocal   uint64 `metric:"delivery.dropped.no_local"`
	DeliveryDroppedTooLarge  uint64 `metric:"delivery.dropped.too_large"`
	DeliveryDroppedQoS0Msg   uint64 `metric:"delivery.dropped.qos0_msg"`
	DeliveryDroppedQueueFull uint64 `metric:"delivery.dropped.queue_full"`
	DeliveryDroppedExpired   uint64 `metric:"delivery.dropped.expired"`
	// Of queue_full, those that max_mqueue_bytes has dropped. Not EMQ X 4's.
	DeliveryDroppedQueueBytes uint64 `metric:"delivery.dropped.queue_bytes"`

	ClientConnect              uint64 `metric:"client.connect"`
	ClientConnack              uint64 `metric:"client.connack"`
	ClientConnected            uint64 `metric:"client.connected"`
	ClientAuthenticate         uint64 `metric:"client.authenticate"`
	ClientCheckACL             uint64 `metric:"client.check_acl"`
	ClientSubscribe            uint64 `metric:"client.subscribe"`
	ClientUnsubscribe          uint64 `metric:"client.unsubscribe"`
	ClientDisconnected         uint64 `metric:"client.disconnected"`
	ClientAuthSuccess          uint64 `metric:"client.auth.success"`
	ClientAuthSuccessAnonymous uint64 `metric:"client.auth.success.anonymous"`
	ClientAuthFailure          uint64 `metric:"client.auth.failure"`
	ClientACLAllow             uint64 `metric:"client.acl.allow"`
	ClientACLDeny              uint64 `metric:"client.acl.deny"`
	ClientACLCacheHit          uint64 `metric:"client.acl.cache_hit"`

	SessionCreated    uint64 `metric:"session.created"`
	SessionResumed    uint64 `metric:"session.resumed"`
	SessionTakenOver  uint64 `metric:"session.takeovered"`
	SessionDiscarded  uint64 `metric:"session.discarded"`
	SessionTerminated uint64 `metric:"session.terminated"`
}

// Dropped counts a message that a subscriber does not get, for EMQ X 4's reason:
// no_local, too_large, qos0_msg, queue_full or expired; queue_bytes counts as
// queue_full too, what else there is in delivery.dropped only.
func (c *Counters) Dropped(reason string) {
	c.DeliveryDropped++
	switch reason {
	case "no_local":
		c.DeliveryDroppedNoLocal++
	case "too_large":
		c.DeliveryDroppedTooLarge++
	case "qos0_msg":
		c.DeliveryDroppedQoS0Msg++
	case "queue_full":
		c.DeliveryDroppedQueueFull++
	case "queue_bytes":
		c.DeliveryDroppedQueueFull++
		c.DeliveryDroppedQueueBytes++
	case "expired":
		c.DeliveryDroppedExpired++
	}
}

// size is the number of metrics.
const size = int(unsafe.Sizeof(Counters{}) / 8)

// array is c as numbers in the order of its fields.
func (c *Counters) array() *[size]uint64 { return (*[size]uint64)(unsafe.Pointer(c)) }

// names are the metrics' names in the order of the fields.
func names() []string {
	t := reflect.TypeFor[Counters]()
	ns := make([]string, t.NumField())
	for i := range ns {
		ns[i] = t.Field(i).Tag.Get("metric")
	}
	return ns
}

// Stripe is one part of every metric. Stripes share no cache line; parts of one
// stripe do, so each event loop should have its own. Any goroutine may use it.
type Stripe struct {
	_ [64]byte
	n [size]atomic.Uint64
	_ [64]byte
}

// Flush adds c to the stripe and sets c to zero. It costs about 50 ns and an
// atomic add for each number that is not zero.
func (s *Stripe) Flush(c *Counters) {
	for i, v := range c.array() {
		if v != 0 {
			s.n[i].Add(v)
		}
	}
	*c = Counters{}
}

// Add adds c to the stripe: for rare events, where no local Counters is at
// hand: s.Add(&Counters{SessionCreated: 1}).
func (s *Stripe) Add(c *Counters) {
	for i, v := range c.array() {
		if v != 0 {
			s.n[i].Add(v)
		}
	}
}
