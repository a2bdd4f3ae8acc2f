package conn

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/listener"
)

// Errors that Lost and Serve report.
var (
	// ErrClosed: the engine has stopped or is draining.
	ErrClosed = errors.New("connection engine is closed")
	// ErrPanic: the machine panicked; the connection was closed.
	ErrPanic = errors.New("connection machine panicked")
)

// Config sets an Engine up. The zero value is ready to use.
type Config struct {
	// Loops is the number of event loops; 0: GOMAXPROCS.
	Loops int
	// Blocking tells whether machines may block now (a process plugin is in a hook
	// chain). Turns then run on goroutines of their own. nil: never.
	Blocking func() bool
	// Linger bounds how long a closing connection may take to send what is
	// pending; 0: 5 s.
	Linger time.Duration
	// Log gets panics of machines and faults of the poller; nil: none.
	Log *zap.Logger
}

// Engine runs connections.
type Engine struct {
	cfg Config
}

// New opens an engine's event loops; Run starts them.
func New(cfg Config) (*Engine, error) { return &Engine{cfg: cfg}, nil }

// Serve takes a over, whatever it returns, and runs it with the machine that
// newMachine makes for it. The machine may use w from then on. It reports
// ErrClosed when the engine has stopped or drains.
func (e *Engine) Serve(a listener.Accepted, newMachine func(w Waker) Machine) error {
	return errors.Join(ErrClosed, a.Close())
}

// Run runs the loops until ctx is done, then gives every connection its Lost,
// closes it and returns when all of the engine's goroutines have ended.
func (e *Engine) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Drain refuses new connections and waits until all have ended or ctx is done.
// The caller asks the machines to close (by commands of its own and Wake);
// cancelling Run's context ends those that do not.
func (e *Engine) Drain(ctx context.Context) error { return ctx.Err() }

// Len returns the number of open connections, closing ones included.
func (e *Engine) Len() int { return 0 }
