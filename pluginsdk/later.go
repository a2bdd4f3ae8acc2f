package sdk

import (
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Token names an event that a handler has put off with [Later].
type Token uint64

// lastToken counts the tokens of this instance.
var lastToken atomic.Uint64

// Later is the verdict of a handler that decides later: it returns v and calls
// Resume on t from a later handler, for example OnHTTPResponse or OnTimer. Until
// then, at most wait (up to a minute), the client is not read; after that the
// event is refused. For OnConnect, OnAuthenticate, OnAuthContinue, OnACL,
// OnSubscribe and OnPublish. The event itself is gone when the handler returns:
// keep what is needed of it.
func Later(wait time.Duration) (v Verdict, t Token) {
	t = Token(lastToken.Add(1))
	return Verdict{Action: Pending, token: t, wait: min(wait, contract.MaxPending*time.Millisecond)}, t
}

// Resume decides the event, with any verdict that its handler could have returned
// but another Later. In a process any goroutine may call it. [ErrNotFound]: nobody
// waits any more (the client is gone, or it took too long). [ErrInvalid]: the
// verdict is not one of the event's hook.
func (t Token) Resume(v Verdict) error {
	var c encoder
	c.reset(1)
	c.put(0, &v)
	block := c.block()
	if block == nil { // Next
		block = make([]byte, contract.VerdictSize)
	}
	return errnoOf(hostResume(uint64(t), block))
}
