package conn

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/listener"
)

// Errors that Lost and Serve report.
var (
	// ErrClosed: the engine has stopped or is draining. It is a
	// channel.ErrServerShutdown.
	ErrClosed = fmt.Errorf("connection engine is closed: %w", channel.ErrServerShutdown)
	// ErrPanic: the machine panicked; the connection was closed.
	ErrPanic = errors.New("connection machine panicked")
)

// Config sets an Engine up. The zero value is ready to use.
type Config struct {
	// Loops is the number of event loops; 0: GOMAXPROCS. With fewer loops than
	// GOMAXPROCS a loop with traffic waits for more without giving its processor
	// up, which halves what a message costs that comes alone.
	Loops int
	// Blocking tells whether machines may block now (a process plugin is in a hook
	// chain). Turns then run on goroutines of their own. nil: never.
	Blocking func() bool
	// Linger bounds how long a closing connection may take to send what is
	// pending and to close its side; 0: 5 s.
	Linger time.Duration
	// Log gets panics of machines and faults of the poller; nil: none.
	Log *zap.Logger
}

// Engine runs connections.
type Engine struct {
	// Immutable after New.
	blocking func() bool
	linger   time.Duration
	log      *zap.Logger
	loops    []*loop
	spare    bool // goroutines have a processor even if all loops hold theirs

	// Any goroutine.
	closed  atomic.Bool    // Serve refuses
	alone   atomic.Int64   // loops that run by themselves
	emptied chan struct{}  // the last connection has ended while closed
	group   sync.WaitGroup // streams and blocking turns
}

// New opens an engine's event loops. Run starts them and must be called once,
// if only with a context that is done, to close them again.
func New(cfg Config) (*Engine, error) {
	e := &Engine{blocking: cfg.Blocking, linger: cfg.Linger, log: cfg.Log, emptied: make(chan struct{}, 1)}
	if e.blocking == nil {
		e.blocking = func() bool { return false }
	}
	if e.linger == 0 {
		e.linger = 5 * time.Second
	}
	if e.log == nil {
		e.log = zap.NewNop()
	}
	n := cfg.Loops
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	e.spare = n < runtime.GOMAXPROCS(0)
	for range n {
		l, err := newLoop(e)
		if err != nil {
			for _, l := range e.loops {
				l.poller.close()
			}
			return nil, fmt.Errorf("open event loop: %w", err)
		}
		e.loops = append(e.loops, l)
	}
	return e, nil
}

// Serve takes a over, whatever it returns, and runs it with the machine that
// newMachine makes for it. The machine may use w from then on. It reports
// ErrClosed when the engine has stopped or drains.
func (e *Engine) Serve(a listener.Accepted, newMachine func(w Waker) Machine) error {
	l := e.loops[0]
	for _, o := range e.loops[1:] {
		if o.conns.Load() < l.conns.Load() {
			l = o
		}
	}
	l.conns.Add(1)
	if e.closed.Load() {
		l.leave()
		return errors.Join(ErrClosed, a.Close())
	}
	c := &Conn{loop: l, done: a.Done, fd: int32(a.FD), slot: -1}
	switch {
	case a.Pipe != nil:
		c.layers = &layers{a.Conn, a.Pipe}
		c.flags.unread = true // the handshakes may have read too far
	case a.Conn != nil:
		c.fd, c.stream = -1, newStream(c, a.Conn)
	}
	c.state.Store(owned | woken)
	c.machine = newMachine(c)
	l.post(c)
	return nil
}

// Run runs the loops until ctx is done, then gives every connection its Lost,
// closes it and returns when all of the engine's goroutines have ended.
func (e *Engine) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	e.alone.Store(int64(len(e.loops)))
	for _, l := range e.loops {
		loops.Go(l.run)
	}
	<-ctx.Done()
	e.closed.Store(true)
	for _, l := range e.loops {
		l.stop.Store(true)
		l.wake()
	}
	loops.Wait()
	e.group.Wait()
	for _, l := range e.loops {
		l.poller.close()
	}
	return nil
}

// Drain refuses new connections and waits until all have ended or ctx is done.
// The caller asks the machines to close (by commands of its own and Wake);
// cancelling Run's context ends those that do not.
func (e *Engine) Drain(ctx context.Context) error {
	e.closed.Store(true)
	for e.Len() > 0 {
		select {
		case <-e.emptied:
		case <-ctx.Done():
			return fmt.Errorf("%d connections are still open: %w", e.Len(), ctx.Err())
		}
	}
	return nil
}

// Len returns the number of open connections, closing ones included.
func (e *Engine) Len() int {
	n := 0
	for _, l := range e.loops {
		n += int(l.conns.Load())
	}
	return n
}

// Running is how many event loops run by themselves: one while there is little to
// do, which then runs for the others.
func (e *Engine) Running() int { return int(e.alone.Load()) }
