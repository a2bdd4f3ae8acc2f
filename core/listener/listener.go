package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"go.uber.org/zap"
)

// Listener is one bound port.
type Listener struct {
	// Immutable after Open.
	cfg     Config
	log     *zap.Logger
	ln      *net.TCPListener
	source  source      // of connections; of ln
	tls     *tls.Config // ssl and wss
	done    func()      // Accepted.Done, but for origins
	origins *origins    // nil: max_conn_per_address says nothing
	shakes  *handshakes // all but tcp
	closed  context.Context
	cancel  context.CancelFunc // of closed

	counts counts
}

// counts are a listener's counters; any goroutine.
type counts struct {
	current, accepted, refused, crowded, failed, handedOut atomic.Int64
}

// Stats are a listener's counts since it was opened.
type Stats struct {
	Current   int64 // connections now, handshakes included
	Accepted  int64 // from the kernel
	Refused   int64 // over max_connections
	Crowded   int64 // over max_conn_per_address
	Failed    int64 // whose handshake or upgrade failed, took too long or was pushed out
	HandedOut int64 // that became MQTT streams
}

// Open validates cfg, reads its certificates and binds the port. Connections
// wait in the kernel's queue until Run.
func Open(cfg Config, log *zap.Logger) (*Listener, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("listener %s: %w", cfg.ID(), err)
	}
	l := &Listener{cfg: cfg, log: log.With(zap.String("listener", cfg.ID())), origins: newOrigins(cfg.MaxConnPerAddress)}
	l.closed, l.cancel = context.WithCancel(context.Background())
	l.done = func() { l.counts.current.Add(-1) }
	if cfg.Proto != TCP {
		l.shakes = newHandshakes(cfg.MaxHandshakes)
	}
	if cfg.Proto.Secure() {
		tc, err := cfg.TLS.load()
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", cfg.ID(), err)
		}
		l.tls = tc
	}
	addr, err := cfg.address()
	if err != nil {
		return nil, fmt.Errorf("listener %s: bind: %w", cfg.ID(), err)
	}
	lc := net.ListenConfig{KeepAlive: -1, Control: l.prepare}
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", cfg.ID(), err)
	}
	l.ln = ln.(*net.TCPListener)
	if err := l.deepen(); err != nil {
		return nil, fmt.Errorf("listener %s: backlog: %w", cfg.ID(), joinClose(err, l.ln))
	}
	if l.source, err = l.newSource(); err != nil {
		return nil, fmt.Errorf("listener %s: %w", cfg.ID(), joinClose(err, l.ln))
	}
	return l, nil
}

// Run accepts and calls serve for each connection that is ready for MQTT, on
// changing goroutines, until ctx is done or Close is called; then it returns
// after its goroutines have ended. serve owns what it is handed and must not
// block for long.
func (l *Listener) Run(ctx context.Context, serve func(Accepted)) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	l.acceptAll(l.source.accept, func(a Accepted) {
		l.counts.handedOut.Add(1)
		serve(a)
	})
	if l.shakes != nil {
		l.shakes.stop()
	}
	return nil
}

// Close unbinds the port and ends Run. Connections that were handed out stay.
func (l *Listener) Close() error {
	l.cancel()
	err := l.source.Close()
	if e := l.ln.Close(); err == nil && !errors.Is(e, net.ErrClosed) {
		err = e
	}
	return err
}

// Addr is the bound address.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Config is what the listener was opened with.
func (l *Listener) Config() Config { return l.cfg }

// Stats reports the counts.
func (l *Listener) Stats() Stats {
	c := &l.counts
	return Stats{
		Current: c.current.Load(), Accepted: c.accepted.Load(), Refused: c.refused.Load(), Crowded: c.crowded.Load(),
		Failed: c.failed.Load(), HandedOut: c.handedOut.Load(),
	}
}
