package channel

import "github.com/dunlinmq/dunlin/core/router"

// IO is what a connection lends its channel for one turn. The connection owns
// it; the channel uses it only during the call.
type IO struct {
	// Batch carries the turn's time and the sinks that its publishes touched.
	Batch *router.Batch
	// Out collects encoded packets in the order in which they must be sent. The
	// channel appends; the connection writes it when the turn ends.
	Out []byte
	// Backlog is how many bytes of earlier turns the socket has not taken yet.
	// The connection sets it before each call.
	Backlog int

	// Deadline is when Tick has to be called next, Unix nanoseconds; 0: never.
	// The channel sets it; a later deadline replaces an earlier one.
	Deadline int64
	// Pause stops reading (a claim or a rate limit is pending) until a later
	// call clears it. The channel sets it.
	Pause bool
	// Close asks to write Out and then to close the connection. The channel sets it.
	Close bool
}
