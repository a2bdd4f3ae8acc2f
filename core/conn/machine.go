package conn

import (
	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/router"
)

// Machine is the protocol of one connection. Its methods are called one at a
// time, by changing goroutines, and own everything in the IO only during the
// call. IO.Deadline and IO.Pause keep their values between calls; IO.Out and
// IO.Close start empty in each turn.
//
// The first call is Run, so that the machine can set its first deadline.
type Machine interface {
	// Input handles all whole packets at the start of b and returns how many
	// bytes they were. The rest is offered again together with what follows, and
	// after IO.Pause was cleared. It borrows b for the call. Memory is bounded
	// because the machine closes on a packet that is too large.
	Input(io *channel.IO, b []byte) (consumed int)
	// Run handles what others left for the machine (mailbox, commands). It is
	// called after every Wake, once for many; and, for a machine that held back,
	// when a backlog has drained and when 64 KiB or more of IO.Out were sent.
	Run(io *channel.IO)
	// Tick is called when IO.Deadline has passed. The deadline is 0 during the
	// call: the machine sets the next one.
	Tick(io *channel.IO)
	// Lost is the last call, exactly once: the peer closed (io.EOF), the socket
	// failed, the engine stopped (ErrClosed), the machine panicked (ErrPanic), or
	// IO.Close was honoured (nil). IO.Out is discarded.
	Lost(io *channel.IO, err error)
}

// Waker makes a machine's Run be called soon. *Conn implements it.
type Waker interface {
	// Wake may be called by any goroutine, also after Lost. What was left for the
	// machine before the call is seen by Run. With a batch the turn runs at the
	// batch's end; the batch must be flushed. b may be nil.
	Wake(b *router.Batch)
}
