package message

// SubOptions are the options of one subscription [MQTT-3.8.3.1].
type SubOptions struct {
	ID                uint32 // Subscription Identifier, 1..268,435,455; 0: none
	QoS               byte   // granted maximum QoS
	RetainHandling    byte   // 0 send, 1 send if new, 2 do not send
	NoLocal           bool
	RetainAsPublished bool
}

// Share names the shared subscription that a delivery came through.
type Share struct {
	Group  string // "$queue" for $queue/<filter>
	Filter string // the inner filter
}

// Delivery is a message on its way to one subscriber.
type Delivery struct {
	Msg   *Message
	Share *Share // nil for an ordinary subscription
	// Seq is the delivery's place in the subscriber's journal, from 1; 0: it is
	// kept in memory only.
	Seq  uint64
	Opts SubOptions
}

// Retain is the RETAIN flag to send: kept on retained copies and for retain as
// published, else cleared [MQTT-3.3.1-8, -9, -12, -13].
func (d *Delivery) Retain() bool {
	return d.Msg.Retained || (d.Msg.Retain && d.Opts.RetainAsPublished)
}
