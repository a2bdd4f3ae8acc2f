package session

import "github.com/dunlinmq/dunlin/core/message"

// Reasons of a [Drop], in EMQ X 4's words where it has them.
const (
	ReasonQueueFull  = "queue_full"  // no room in the queue, or in the socket for QoS 0
	ReasonQueueBytes = "queue_bytes" // the queue has Config.MaxQueueBytes; not EMQ X 4's
	ReasonQoS0       = "qos0_msg"    // QoS 0 for a client that is not connected
	ReasonExpired    = "expired"     // Message Expiry Interval passed [MQTT-3.3.2-5]
	ReasonNoLocal    = "no_local"    // the client's own message [MQTT-3.8.3-3]
)

// Outgoing is one packet to send now, in the order of Effects.Send.
type Outgoing struct {
	message.Delivery        // Msg is nil if Rel
	PacketID         uint16 // 0 with QoS 0
	QoS              byte   // effective
	Dup              bool   // sent before [MQTT-3.3.1-1]
	Rel              bool   // send PUBREL PacketID instead of a PUBLISH
}

// Drop is one message that the client will not get.
type Drop struct {
	message.Delivery
	Reason string
}

// Step is how far a delivery that is in the journal has come.
type Step byte

// The steps.
const (
	// StepOver: the exchange is over; forget it.
	StepOver Step = iota
	// StepReceived: the client has the QoS 2 message; only its identifier is still
	// to be released. It must be safe before the PUBREL leaves: else the message
	// could be sent again as a new one.
	StepReceived
	// StepForgotten: the inbound QoS 2 identifier ID was given up.
	StepForgotten
)

// Move is a step of the delivery with place Seq, or of an inbound identifier.
type Move struct {
	Seq  uint64
	ID   uint16 // of StepForgotten
	Step Step
}

// Effects is what a call asks its caller to do. Calls append; the caller carries
// it out and resets it. A caller that calls Skip while it walks Send must walk
// by index, because Skip may append.
type Effects struct {
	Send []Outgoing
	// Drops are dropped messages, each counted in Info.Dropped.
	Drops []Drop
	// Acked are messages that the client took over: QoS 1 at PUBACK, QoS 2 at
	// PUBREC.
	Acked []*message.Message
	// Moves are how deliveries with a place in the journal went on. Drops have
	// theirs too: they are over.
	Moves []Move
	// Load asks for [Session.Load]: the queue goes on with messages that are in
	// the journal only.
	Load bool
	// Completed counts the packet identifiers that became free by PUBACK,
	// PUBCOMP or a PUBREC that refused.
	Completed int
	// TimedOut counts inbound QoS 2 messages whose PUBREL did not come in time.
	TimedOut int
}

// Empty tells whether there is nothing to carry out.
func (e *Effects) Empty() bool {
	return len(e.Send)|len(e.Drops)|len(e.Acked)|len(e.Moves)|e.Completed|e.TimedOut == 0 && !e.Load
}

// Reset empties e, keeps its capacity and lets go of the messages.
func (e *Effects) Reset() {
	clear(e.Send)
	clear(e.Drops)
	clear(e.Acked)
	*e = Effects{Send: e.Send[:0], Drops: e.Drops[:0], Acked: e.Acked[:0], Moves: e.Moves[:0]}
}

// over records that the exchange of a delivery is over.
func (e *Effects) over(d *message.Delivery) {
	if d.Seq != 0 {
		e.Moves = append(e.Moves, Move{Seq: d.Seq, Step: StepOver})
	}
}

// drop records that d is not delivered.
func (s *Session) drop(d message.Delivery, reason string, e *Effects) {
	s.dropped++
	e.Drops = append(e.Drops, Drop{Delivery: d, Reason: reason})
}
